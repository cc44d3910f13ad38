"""The networks of an evaluation: the main one, and its retrainings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from csiq.errors import ConfigError

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor


def load_graders(
    models: Sequence[str], retrained: str | Path | None = None, device: str = "cpu"
) -> list[Assessor]:
    """Load the networks of an evaluation.

    Parameters
    ----------
    models : sequence of str
        Names or files, or graders that another package adds; the main one first.
    retrained : path, optional
        A folder with ``model-00``, ``model-01`` ... in it, each with one network.
    device : str

    Raises
    ------
    ConfigError
        If there is no retrained network in the folder.
    ModelError
        If a model cannot be loaded.
    """
    from csiq.plugins import load_assessor
    from csiq.quality.grade import Grader

    found = [load_assessor(model, device) for model in models]
    for name, path in retrained_models(retrained) if retrained is not None else ():
        grader = Grader.load(path, device)
        grader.name = name
        found.append(grader)
    return found


def retrained_models(folder: str | Path) -> list[tuple[str, Path]]:
    """Return the networks in the folders ``model-00`` ... of a folder, or the files of these names.

    Raises
    ------
    ConfigError
        If there is none, or one of the folders holds several.
    """
    folder = Path(folder)
    found = []
    for place in sorted(folder.glob("model-*")):
        if place.is_dir():
            files = sorted(place.glob("*.safetensors"))
            if len(files) > 1:
                raise ConfigError(f"{len(files)} networks, expected one", file=place, field="--retrained")
            found += [(place.name, file) for file in files]
        elif place.suffix == ".safetensors":
            found.append((place.stem, place))
    if not found:
        hint = "expected model-00, model-01 ... as csiq train writes them"
        raise ConfigError("holds no retrained network", file=folder, field="--retrained", hint=hint)
    return found
