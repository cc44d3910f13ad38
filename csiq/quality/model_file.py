"""A model on disk: one safetensors file and one JSON card beside it.

Safetensors hold numbers only, so no weight file can run code; the card says what the numbers are good for
and carries their SHA-256, without which a flipped bit would load silently. Shipped models lie inside the
package and are read through ``importlib.resources``; nothing is ever fetched.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csiq.errors import ModelError, nearest, one_line
from csiq.io.atomic import write_bytes, write_text

if TYPE_CHECKING:
    from torch import Tensor

#: The model that is meant when none is named.
DEFAULT_MODEL = "iq-dcnn-v3"
CARD_SCHEMA = 1
_SUFFIX = ".safetensors"
_MAX_BYTES = 1 << 30
#: Entries of a card that belong to the file, not to what it says of the network.
_OF_FILE = ("schema_version", "name", "sha256")


@dataclass(frozen=True)
class ModelFile:
    """A model as it lies on disk, the card not yet held against the weights.

    Attributes
    ----------
    name : str
        Base name without suffix.
    weights : bytes
        The safetensors file.
    card : dict, optional
        None if there is no card, or one of another schema.
    warnings : tuple of str
        Why the grades of this model are uncertified, if they are.
    file : str
        Base name as it was given, for messages; empty: the name with its suffix.
    """

    name: str
    weights: bytes
    card: dict[str, Any] | None
    warnings: tuple[str, ...] = ()
    file: str = ""

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights, hexadecimal."""
        return hashlib.sha256(self.weights).hexdigest()


def shipped_models() -> list[str]:
    """Return the names of the models inside the package."""
    folder = resources.files("csiq.quality") / "weights"
    return sorted(e.name.removesuffix(_SUFFIX) for e in folder.iterdir() if e.name.endswith(_SUFFIX))


def open_model(name_or_file: str | Path = "default") -> ModelFile:
    """Read a model: a shipped one by name, or a ``.safetensors`` file with its card beside it.

    Raises
    ------
    ModelError
        If there is none, or it is no safetensors file.
    """
    name = DEFAULT_MODEL if str(name_or_file) == "default" else str(name_or_file)
    path = Path(name)
    if path.suffix == _SUFFIX or path.exists():
        return _read(path.name, path, path.with_suffix(".json"))
    known = shipped_models()
    if name not in known:
        hint = f"{nearest(name, known)} or a file of your own" if known else "none is shipped; see csiq train"
        raise ModelError(f"no model '{name}'", field="--model", hint=hint)
    folder = resources.files("csiq.quality") / "weights"
    return _read(name + _SUFFIX, folder / (name + _SUFFIX), folder / (name + ".json"))


def _read(base: str, weights: Any, card: Any) -> ModelFile:
    if not weights.is_file():
        what = "is a folder, expected a .safetensors file" if weights.is_dir() else "no such file"
        raise ModelError(what, file=base, hint="see csiq model list")
    try:
        if isinstance(weights, Path) and weights.stat().st_size > _MAX_BYTES:
            raise ModelError("larger than 1 GiB: not a grading model", file=base)
        data = weights.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", file=base) from error
    parsed, warnings = _read_card(base, card)
    return ModelFile(base.removesuffix(_SUFFIX), data, parsed, warnings, base)


def _read_card(base: str, card: Any) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    if not card.is_file():
        return None, (f"{base} has no model card beside it: its grades are uncertified",)
    try:
        parsed = json.loads(card.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise ModelError(f"model card cannot be read: {one_line(error)}", file=card.name) from error
    if not isinstance(parsed, dict):
        raise ModelError("expected a JSON object", file=card.name)
    schema = parsed.get("schema_version")
    if schema != CARD_SCHEMA:
        return None, (f"{card.name}: schema {schema}, known is {CARD_SCHEMA}: grades are uncertified",)
    return parsed, ()


def read_tensors(model: ModelFile) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Return the tensors of a model and the network its header describes.

    Raises
    ------
    ModelError
        If the file is truncated or no safetensors file, differs from its card, or holds NaN.
    """
    import safetensors
    import safetensors.torch
    import torch

    file = model.file or model.name + _SUFFIX
    if model.weights[:2] == b"PK" or model.weights[:1] == b"\x80":
        raise ModelError(
            "a pickled torch file, which could run code", file=file, hint="save it as safetensors"
        )
    expected = model.card.get("sha256") if model.card else None
    try:
        tensors = safetensors.torch.load(model.weights)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        what = f"truncated or not a safetensors file ({one_line(error)})"
        hint = "copy it again" if file.endswith(_SUFFIX) else "see csiq model list"
        raise ModelError(what, file=file, hint=hint) from error
    if model.card is not None and model.sha256 != expected:
        raise ModelError(
            "SHA-256 differs from the model card: damaged or exchanged",
            file=file,
            hint="see csiq model verify",
        )
    for key, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise ModelError("weights are not finite", file=file, field=key)
    try:
        return tensors, _header_network(model.weights)
    except (ValueError, RecursionError) as error:  # without a card no checksum vouches for it
        raise ModelError(f"no JSON ({one_line(error)})", file=file, field="network") from None


def _header_network(weights: bytes) -> dict[str, Any] | None:
    length = int.from_bytes(weights[:8], "little")
    metadata = json.loads(weights[8 : 8 + length]).get("__metadata__", {})
    return json.loads(metadata["network"]) if "network" in metadata else None


def encode_tensors(tensors: dict[str, Tensor], network: dict[str, Any]) -> bytes:
    """Return a safetensors file, the network's configuration in its header."""
    import safetensors.torch

    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    return safetensors.torch.save(plain, metadata={"network": json.dumps(network, sort_keys=True)})


def save_model(path: Path, weights: bytes, card: dict[str, Any]) -> None:
    """Write weights and card atomically; the card gets schema, name and SHA-256 of this file.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``; the card gets the same name with ``.json``.
    """
    full = {
        "schema_version": CARD_SCHEMA,
        "name": path.stem,
        "sha256": hashlib.sha256(weights).hexdigest(),
        **{key: value for key, value in card.items() if key not in _OF_FILE},
    }
    text = json.dumps(full, indent=1, allow_nan=False)
    write_bytes(path, weights)
    write_text(path.with_suffix(".json"), text + "\n")


def extend_card(path: Path, entries: dict[str, Any]) -> None:
    """Write further entries into the card of a model on disk; its weights stay as they are.

    Parameters
    ----------
    path : Path
        Ends in ``.safetensors``.
    entries : dict
        What the card says besides, or in place of what it said.

    Raises
    ------
    ModelError
        If there is no such model, or it has no card.
    """
    model = open_model(path)
    if model.card is None:
        raise ModelError("has no model card", file=path)
    save_model(path, model.weights, {**model.card, **entries})
