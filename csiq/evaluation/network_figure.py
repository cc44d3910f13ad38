"""The network as it is, drawn from the configuration in its card: Figure 1."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from csiq.errors import ModelError
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import BLUE, GREEN, ORANGE, PAGE, RED, SKY, blank, styled
from csiq.evaluation.section import Picture, Section
from csiq.report.figures import INK, MUTED

_ORIENTATIONS = ("axial", "coronal", "sagittal")
_OUT_OF = {"Conv2d": "conv", "MaxPool2d": "max pool", "ReLU": "ReLU", "Dropout": "dropout"}


@dataclass(frozen=True)
class Stage:
    """What comes out of a group of layers, for one patch.

    Attributes
    ----------
    channels, side : int
        Of the feature map.
    layers : tuple of str
        What has led here: ``conv 5×5``, ``ReLU``, ``max pool 2×2``.
    """

    channels: int
    side: int
    layers: tuple[str, ...]


def section(study: Comparison) -> Section:
    """Return the part with the network; no picture where its card does not describe an IQ-DCNN."""
    try:
        stages = stages_of(study.card["network"])
    except (KeyError, ModelError):
        return Section("The network", ("Its card does not describe an IQ-DCNN, so it is not drawn.",))
    name = study.predictions.models[0]
    caption = (
        "Figure 1. A: the input, patches of 128 × 128 voxels in three orthogonal orientations (blue: one of "
        "each), whose centres (dots) lie in a cube (dashed). B: the network as the card of "
        f"{name} describes it: channels × side² after each stage; the mean over the patches is the patient's "
        "grade. Fully connected layers are computed as convolutions. hp1 to hp4: the paper's "
        "hyperparameters. The paper has four convolutional and three fully connected layers, too, of widths "
        "it does not print."
    )
    data = [
        {"stage": i, "channels": s.channels, "side": s.side, "layers": ", ".join(s.layers)}
        for i, s in enumerate(stages)
    ]
    figure = network_figure(study, stages)
    alt = "The network: a patch, four convolutional stages, three fully connected layers, a grade"
    picture = Picture("figure-1", figure, alt, caption, data, is_photograph=True)
    hp = hyperparameters(study.card)
    lead = (
        f"hp1 {hp['hp1']} voxels, hp2 {hp['hp2']}, hp3 {hp['hp3']}, hp4 {hp['hp4']} voxels; the paper's "
        "optimum is 5, 0.3, 5e-3 and 40."
    )
    return Section("The network", (lead,), [picture], (), {"stages": data, **hp}, "network")


def hyperparameters(card: Any) -> dict[str, Any]:
    """Return the paper's four hyperparameters as a card has them; a dash for what it does not say."""
    return {
        "hp1": card["network"].get("first_kernel", "–"),
        "hp2": card["network"].get("keep", "–"),
        "hp3": card.get("training", {}).get("learning_rate", "–"),
        "hp4": card.get("input", {}).get("half_edge", "–"),
    }


def stages_of(described: dict[str, Any]) -> list[Stage]:
    """Return the stages of a network, traced through its layers without computing anything.

    Parameters
    ----------
    described : dict
        ``network`` of a card.

    Raises
    ------
    ModelError
        If it is of another kind.
    """
    import torch

    from csiq.quality.network import IQDCNN, PATCH, NetworkConfig

    with torch.device("meta"):
        network = IQDCNN(NetworkConfig.from_dict(described))
        x = torch.empty(1, 1, PATCH, PATCH)
    stages, layers = [Stage(1, PATCH, ())], list[str]()
    modules = [*network.features, *network.regression]
    for module, following in zip(modules, [*modules[1:], None], strict=True):
        x = module(x)
        layers.append(_words(module))
        # a stage ends where the next convolution begins
        if following is None or type(following).__name__ == "Conv2d":
            stages.append(Stage(int(x.shape[1]), int(x.shape[2]), tuple(layers)))
            layers = []
    return stages


def _words(module: Any) -> str:
    name = _OUT_OF.get(type(module).__name__, type(module).__name__)
    size = getattr(module, "kernel_size", None)
    if size is None:
        return name
    side = size[0] if isinstance(size, tuple) else size
    return f"{name} {side}×{side}"


@styled
def network_figure(study: Comparison, stages: list[Stage]) -> Figure:
    """Draw where the patches come from, and what becomes of one."""
    figure = blank(PAGE, 3.1)
    parts: Any = figure.subfigures(1, 2, width_ratios=(1, 3.6))
    left, right = parts
    half = study.card.get("input", {}).get("half_edge", 40)
    slices = _middle_slices(study)
    _draw_input(left, slices, half)
    axes = right.add_subplot()
    _draw_stages(axes, stages, hyperparameters(study.card), _patch_of(slices[0], half))
    for part, letter in ((left, "A"), (right, "B")):
        part.text(0.01, 0.985, letter, va="top", fontsize=10, fontweight="bold")
    return figure


def _middle_slices(study: Comparison) -> np.ndarray:
    """Return the middle slices of the best image, turned for display: float (3, side, side), 0 to 1."""
    from csiq.quality.patches import cut_slices

    image = study.cases.images[int(np.nanargmax(study.predicted))]
    slices = cut_slices(np.asarray(image.volume), image.voxel_size, (0.0,))[:, 0]
    top = float(np.quantile(slices[:, 52:156, 52:156], 0.997)) or 1.0
    # the volume's axes grow to the head, the front and the right
    return np.asarray(np.clip(slices[:, ::-1, ::-1] / top, 0, 1))


def _corner(side: int, half: int) -> int:
    """Return where the patch of the second centre begins, in rows as in columns."""
    return max(side // 2 - half + 16 - 64, 0)


def _patch_of(pixels: np.ndarray, half: int) -> np.ndarray:
    start = _corner(len(pixels), half)
    return pixels[start : start + 128, start : start + 128]


def _draw_input(figure: Any, slices: np.ndarray, half: int) -> None:
    """Draw slices with the cube of patch centres and one patch."""
    side = slices.shape[-1]
    middle, start = side / 2 - 0.5, _corner(side, half) - 0.5
    offsets = np.arange(-half, half + 1, 16)
    across, down = np.meshgrid(middle + offsets, middle + offsets)
    for axes, pixels, name in zip(figure.subplots(3, 1), slices, _ORIENTATIONS, strict=True):
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
        cube = Rectangle((middle - half, middle - half), 2 * half, 2 * half, fill=False, ec=ORANGE, ls="--")
        axes.add_patch(cube)
        axes.plot(across.ravel(), down.ravel(), ".", color=ORANGE, ms=1.6)
        axes.add_patch(Rectangle((start, start), 128, 128, fill=False, ec=SKY, lw=1.4))
        axes.set_axis_off()
        axes.text(side + 8, middle, name, rotation=90, va="center", fontsize=7)


def _draw_stages(axes: Axes, stages: list[Stage], hp: dict[str, Any], patch: np.ndarray) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 100)
    axes.set_ylim(-28, 26)
    axes.set_aspect("equal")
    step = 100 / len(stages)
    places = [step * (number + 0.5) for number in range(len(stages))]
    for x, stage in zip(places, stages, strict=True):
        _draw_stage(axes, x, stage, patch)
    for number, (before, stage) in enumerate(pairwise(stages)):
        start, end = places[number] + _width(before), places[number + 1] - _width(stage)
        axes.annotate("", (end, 0), (start, 0), arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.9})
        middle = (places[number] + places[number + 1]) / 2
        axes.text(middle, -12.5, "\n".join(stage.layers), ha="center", va="top", fontsize=6, linespacing=1.3)
    _draw_groups(axes, stages, places)
    text = "     ".join(
        (
            f"hp1 = {hp['hp1']} (first kernel)",
            f"hp2 = {hp['hp2']} (keep)",
            f"hp3 = {hp['hp3']} (learning rate)",
            f"hp4 = {hp['hp4']} (half edge)",
        )
    )
    axes.text(50, -27, text, ha="center", fontsize=6.8, color=MUTED)


def _draw_groups(axes: Axes, stages: list[Stage], places: list[float]) -> None:
    """Name the parts above the stages."""
    spatial = [x for x, stage in zip(places, stages, strict=True) if stage.side > 1]
    flat = [x for x, stage in zip(places, stages, strict=True) if stage.side == 1]
    groups = [
        (spatial[:1], "input patch"),
        (spatial[1:], f"{len(spatial) - 1} convolutional layers"),
        (flat, f"{len(flat)} fully connected layers"),
    ]
    for at, name in groups:
        if at:
            axes.plot([at[0] - 4.5, at[-1] + 4.5], [20, 20], color=MUTED, lw=0.8)
            axes.text((at[0] + at[-1]) / 2, 21, name, ha="center", va="bottom", fontsize=7)


def _width(stage: Stage) -> float:
    """Return half the room a stage takes."""
    return 1.6 if stage.side == 1 else 1.0 + _half(stage) + 0.2 * _sheets(stage)


def _half(stage: Stage) -> float:
    return 5.0 * float(stage.side / 128) ** 0.6


def _sheets(stage: Stage) -> int:
    return 1 if stage.channels == 1 else int(2 + np.log2(stage.channels) / 2)


def _draw_stage(axes: Axes, x: float, stage: Stage, patch: np.ndarray) -> None:
    if stage.side == 1:
        height = 1.9 * np.log2(stage.channels + 1) + 1.2
        colour = RED if stage.channels == 1 else GREEN
        axes.add_patch(Rectangle((x - 0.9, -height / 2), 1.8, height, fc=colour, ec=INK, lw=0.6, alpha=0.85))
        label, top = "1 grade" if stage.channels == 1 else f"{stage.channels}", height / 2
    else:
        half, sheets = _half(stage), _sheets(stage)
        for sheet in range(sheets, 0, -1):
            shift = 0.45 * (sheet - 1)
            corner = (x - half + shift, -half + shift)
            axes.add_patch(Rectangle(corner, 2 * half, 2 * half, fc="#d6e6f2", ec=BLUE, lw=0.6))
        label, top = f"{stage.channels} × {stage.side}²", half + 0.45 * (sheets - 1)
        if stage.channels == 1:
            label = f"{stage.side} × {stage.side}"
            axes.imshow(
                patch, cmap="gray", vmin=0, vmax=1, extent=(x - half, x + half, -half, half), zorder=2
            )
    axes.text(x, top + 1.2, label, ha="center", va="bottom", fontsize=6.5)
