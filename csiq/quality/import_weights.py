"""Weights of an IQ-DCNN that somebody else trained, taken over without running any of their code.

Tensors come from safetensors, or from a ``torch.save`` file that holds tensors alone. Names do not matter:
four convolutions and three fully connected layers are recognised by their shapes, in the order of their
names.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csiq.errors import ModelError, one_line
from csiq.quality.network import IQDCNN, PATCH, NetworkConfig
from csiq.quality.patches import HALF_EDGE, N_PATCHES, SPACING

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]
_MAX_BYTES = 1 << 30
_N_CONVOLUTIONS, _N_DENSE = 4, 3
#: Where a training script may have put the weights in what it saved.
_HOLDERS = ("state_dict", "model_state_dict", "model", "net", "network")
#: What an imported card cannot say.
UNKNOWN = (
    "what images it was trained on, and on which voxels",
    "who graded them, and on which scale",
    "how its input was normalised, and which patches it saw",
    "how far its grades follow a reader",
)


def read_foreign(path: Path) -> State:
    """Return the tensors of a safetensors file, or of a torch file that holds tensors alone.

    Raises
    ------
    ModelError
        If it is neither, is damaged, or would have to run code to be read.
    """
    import safetensors
    import safetensors.torch

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError("larger than 1 GiB: not a grading model", file=path)
        with path.open("rb") as file:
            start = file.read(2)
        if start == b"PK" or start[:1] == b"\x80":
            return _read_torch(path)
        return dict(safetensors.torch.load(path.read_bytes()))
    except FileNotFoundError:
        raise ModelError("no such file", file=path, hint="check the path") from None
    except IsADirectoryError:
        raise ModelError("is a folder, expected a file of weights", file=path) from None
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", file=path) from None
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        what = f"neither safetensors nor a torch file of tensors ({one_line(error)})"
        raise ModelError(what, file=path) from None


def _read_torch(path: Path) -> State:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            "holds more than tensors: reading it could run code", file=path, hint="save model.state_dict()"
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise ModelError(f"damaged, or no torch file of tensors ({one_line(error)})", file=path) from None
    while isinstance(found, dict) and (inner := next((k for k in _HOLDERS if k in found), None)):
        found = found[inner]
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ModelError("holds no state_dict", file=path, hint="save model.state_dict()")
    return {str(name): value for name, value in found.items()}


def as_iqdcnn(state: State, config: NetworkConfig | None = None) -> tuple[State, NetworkConfig]:
    """Return the tensors of an IQ-DCNN under csiq's names, and its configuration.

    Parameters
    ----------
    state : dict of tensors
        Under any names. Fully connected layers may be matrices: they are reshaped to the convolutions that
        they are on a patch, rows, columns and channels as ``torch.flatten`` orders them.
    config : NetworkConfig, optional
        What it has to be; recognised by its shapes if None.

    Raises
    ------
    ModelError
        If it is another network, or its numbers are not finite.
    """
    import torch

    weights, biases = _layers(state)
    try:
        found = config or _recognised(weights)
        network = IQDCNN(found)
    except (ModelError, ValueError, IndexError, RuntimeError) as error:
        raise ModelError(f"not an IQ-DCNN: {error}", field="network") from None
    wanted = network.state_dict()
    converted: State = {}
    for (name, want), value in zip(wanted.items(), _interleaved(weights, biases), strict=True):
        if want.numel() != value.numel() or want.shape[0] != value.shape[0]:
            raise ModelError(
                f"weights of another network: expected shape {tuple(want.shape)}, got {tuple(value.shape)}",
                field=name,
            )
        if not bool(torch.isfinite(value).all()):
            raise ModelError("weights are not finite", field=name)
        converted[name] = value.detach().to(torch.float32).reshape(want.shape).contiguous()
    network.load_state_dict(converted)
    with torch.inference_mode():
        graded = network.eval()(torch.rand(1, PATCH, PATCH, generator=torch.Generator().manual_seed(0)))
    if not bool(torch.isfinite(graded).all()):
        raise ModelError("gives no finite grade for a patch of noise", field="network")
    return converted, found


def _layers(state: State) -> tuple[list[Tensor], list[Tensor]]:
    """Return the weights and biases, convolutions before fully connected layers, each by natural order."""
    import torch

    names = sorted(state, key=_natural)
    odd = [n for n in names if not torch.is_floating_point(state[n]) or state[n].ndim not in (1, 2, 4)]
    if odd:
        raise ModelError("not an IQ-DCNN: it has other layers", field=odd[0])
    dense = [name for name in names if state[name].ndim == 2]
    spatial = [name for name in names if state[name].ndim == 4]
    order = [*spatial, *dense]
    if len(order) != _N_CONVOLUTIONS + _N_DENSE:
        what = f"{_N_CONVOLUTIONS} convolutions and {_N_DENSE} fully connected layers expected"
        raise ModelError(f"not an IQ-DCNN: {what}, {len(spatial)} and {len(dense)} found", field="network")
    biases = []
    for name in order:
        beside = f"{name.removesuffix('weight')}bias"
        if beside not in state or state[beside].shape != state[name].shape[:1]:
            raise ModelError("a layer without its bias", field=name)
        biases.append(state[beside])
    if len(state) != 2 * len(order):
        left = set(names) - set(order) - {f"{name.removesuffix('weight')}bias" for name in order}
        raise ModelError("not an IQ-DCNN: it has other layers", field=sorted(left)[0])
    return [state[name] for name in order], biases


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts layer 10 after layer 9."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]


def _recognised(weights: list[Tensor]) -> NetworkConfig:
    shapes = [tuple(weight.shape) for weight in weights]
    first, *further = shapes[:_N_CONVOLUTIONS]
    widths = tuple(shape[0] for shape in shapes[:_N_CONVOLUTIONS])
    kernels = {shape[-1] for shape in further}
    chain = [1, *widths[:-1]]
    squares = all(shape[2] == shape[3] for shape in (first, *further))
    if len(kernels) != 1 or not squares or [s[1] for s in (first, *further)] != chain:
        raise ModelError("its convolutions do not follow on each other")
    if shapes[-1][0] != 1:
        raise ModelError(f"its last layer gives {shapes[-1][0]} numbers, not one grade")
    a, b, c, d = widths
    hidden = (shapes[4][0], shapes[5][0])
    return NetworkConfig((a, b, c, d), first_kernel=first[-1], kernel=kernels.pop(), hidden=hidden)


def _interleaved(weights: list[Tensor], biases: list[Tensor]) -> list[Tensor]:
    return [tensor for pair in zip(weights, biases, strict=True) for tensor in pair]


def foreign_card(
    path: Path, config: NetworkConfig, *, title: str | None = None, voxels: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Return the card of imported weights, which says above all what is not known.

    Parameters
    ----------
    path : Path
        Of the file they came from.
    config : NetworkConfig
    title : str, optional
    voxels : (float, float), optional
        Smallest and largest voxel it was trained on, mm, if that is known.
    """
    return {
        "title": title or f"IQ-DCNN imported from {path.name}",
        "use": "Research use only. Imported weights: what they were trained on is not known to csiq, their "
        "grades are uncertified.",
        "network": config.as_dict(),
        "voxel_size_mm": {"min": voxels[0], "max": voxels[1]} if voxels else None,
        "input": {
            "voxels_mm": 1.0,
            "patch": PATCH,
            "spacing": SPACING,
            "half_edge": HALF_EDGE,
            "patches": N_PATCHES,
            "normalisation": "assumed as csiq's own: magnitude over its 99th percentile within the cube",
        },
        "domain": None,
        "imported": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "unknown": list(UNKNOWN),
    }
