"""Grades of slices with one region masked: by grading each whole, or by computing anew what changed.

A mask of 16 voxels changes 20x20 of the 204x204 outputs of the first convolution and at most 4x4 of the
11x11 features of a slice. :class:`SharedConvolutions` keeps what every stage saw of the unmasked slices,
carries a crop around the mask through the stages, and adds what the changed features change in the first
fully connected layer, which is linear: about a twentieth of the arithmetic, and the same grades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from csiq.quality.network import IQDCNN

_SLICES_AT_A_TIME = 4


class MaskedGrades(Protocol):
    """What grades a stack of slices with and without a masked region."""

    #: Grades of the unmasked slices, float64 (n,).
    baseline: Tensor

    def masked(self, rows: slice, columns: slice) -> Tensor:
        """Return the grades of all slices with a region masked, float64 (n,)."""


def masked_grades(network: nn.Module, slices: Tensor, fill: Tensor | None = None) -> MaskedGrades:
    """Return the fastest way to grade masked slices with a network.

    Parameters
    ----------
    network : torch module
        Takes (n, height, width) and returns n times any number of grades.
    slices : float32 tensor, (n, height, width)
    fill : float32 tensor, (n, height, width), optional
        What shows where the mask hides a slice; zeros by default.
    """
    if can_share(network):
        return SharedConvolutions(network, slices, fill)
    return WholeSlices(network, slices, fill)


class WholeSlices:
    """Grades every masked slice from its first voxel to its last; any network.

    Parameters
    ----------
    network : torch module
        Takes (n, height, width) and returns n times any number of grades.
    slices : float32 tensor, (n, height, width)
    fill : float32 tensor, (n, height, width), optional
        What shows where the mask hides a slice; zeros by default.
    """

    def __init__(self, network: nn.Module, slices: Tensor, fill: Tensor | None = None) -> None:
        self._network, self._slices = network, slices
        self._fill = torch.zeros_like(slices) if fill is None else fill
        self.baseline = self._grade(slices)

    def masked(self, rows: slice, columns: slice) -> Tensor:
        """Return the grades of all slices with a region masked, float64 (n,)."""
        slices = self._slices.clone()
        slices[:, rows, columns] = self._fill[:, rows, columns]
        return self._grade(slices)

    def _grade(self, slices: Tensor) -> Tensor:
        return self._network(slices).flatten(1).double().mean(1)


def can_share(network: nn.Module) -> TypeGuard[IQDCNN]:
    """Return whether a network is an IQ-DCNN whose layers :class:`SharedConvolutions` knows."""
    if not isinstance(network, IQDCNN) or network.training:
        return False
    layers = list(network.features)
    stages = [layers[i : i + 3] for i in range(0, len(layers), 3)]
    first, *rest = network.regression
    pointwise = all(layer.kernel_size == (1, 1) for layer in rest if isinstance(layer, nn.Conv2d))
    plain_first = isinstance(first, nn.Conv2d) and _is_plain(first)
    return plain_first and pointwise and all(_is_stage(stage) for stage in stages)


def _is_stage(layers: list[nn.Module]) -> bool:
    """Return whether layers are a convolution, then pooling by 2 and ReLU in either order."""
    if len(layers) != 3 or not isinstance(layers[0], nn.Conv2d) or not _is_plain(layers[0]):
        return False
    pooling = next((layer for layer in layers[1:] if isinstance(layer, nn.MaxPool2d)), None)
    halves = pooling is not None and pooling.kernel_size == pooling.stride == 2 and pooling.padding == 0
    return halves and any(isinstance(layer, nn.ReLU) for layer in layers[1:])


def _is_plain(layer: nn.Conv2d) -> bool:
    ones = layer.stride == layer.dilation == (1, 1) and layer.groups == 1
    return ones and layer.padding in ((0, 0), "valid") and layer.kernel_size[0] == layer.kernel_size[1]


@dataclass(frozen=True)
class Span:
    """Along one axis: what a change of a stage's input changes in its output.

    Attributes
    ----------
    read : slice
        Input that the changed outputs come from.
    paste, changed : slice
        Where in what is read, and which part of the change, the changed inputs go.
    out : slice
        Outputs that change, after pooling.
    """

    read: slice
    paste: slice
    changed: slice
    out: slice


def span_of(change: slice, side: int, kernel: int) -> Span:
    """Return what a change along one axis does in a stage: convolution, pooling by 2, and ReLU.

    Parameters
    ----------
    change : slice
        Inputs that change.
    side : int
        Inputs of the stage.
    kernel : int
    """
    low, high = change.start, change.stop
    n_out = side - kernel + 1
    first = max(0, low - kernel + 1) // 2
    last = min(n_out // 2, (min(n_out, high) + 1) // 2)
    if last <= first:  # an odd row that pooling drops, or no change before
        return Span(slice(0, 0), slice(0, 0), slice(0, 0), slice(0, 0))
    read = slice(2 * first, 2 * last + kernel - 1)
    from_, to = max(low, read.start), min(high, read.stop)
    return Span(
        read, slice(from_ - read.start, to - read.start), slice(from_ - low, to - low), slice(first, last)
    )


class SharedConvolutions:
    """Grades masked slices by computing anew only what the mask touches.

    Equal to :class:`WholeSlices` but for float32 rounding (1e-5).

    Parameters
    ----------
    network : IQDCNN
        One that :func:`can_share` accepts.
    slices, fill : float32 tensor, (n, height, width)
        As for :func:`masked_grades`.
    """

    def __init__(self, network: IQDCNN, slices: Tensor, fill: Tensor | None = None) -> None:
        self._fill = torch.zeros_like(slices) if fill is None else fill
        layers: list[Any] = list(network.features)
        self._convolutions: list[nn.Conv2d] = layers[::3]
        first: Any = network.regression[0]
        self._rest = network.regression[1:]
        # a few slices at a time stay in a CPU's cache
        parts = [self._through(part) for part in slices[:, None].split(_SLICES_AT_A_TIME)]
        self._inputs = [torch.cat(stage) for stage in zip(*parts, strict=True)]
        self._first = functional.conv2d(self._inputs[-1], first.weight, first.bias)
        self._windows = self._first.shape[-2:]
        self._kernel = int(first.kernel_size[0])
        # (row, column, channel, unit): what a column of the product below reads lies together
        self._weight = first.weight.permute(2, 3, 1, 0).contiguous()
        self._grades = self._rest(self._first)[:, 0].double()
        self.baseline = self._grades.mean((1, 2))

    def _through(self, values: Tensor) -> list[Tensor]:
        """Return what every convolution sees, and the features at the end."""
        stages = [values]
        for convolution in self._convolutions:
            stages.append(_stage(convolution, stages[-1]))
        return stages

    def masked(self, rows: slice, columns: slice) -> Tensor:
        """Return the grades of all slices with a region masked, float64 (n,)."""
        change = self._fill[:, None, rows, columns]
        for number, convolution in enumerate(self._convolutions):
            stage = self._inputs[number]
            kernel = int(convolution.kernel_size[0])
            down, right = span_of(rows, stage.shape[2], kernel), span_of(columns, stage.shape[3], kernel)
            if down.out.stop == 0 or right.out.stop == 0:
                return self.baseline
            crop = stage[:, :, down.read, right.read].clone()
            crop[:, :, down.paste, right.paste] = change[:, :, down.changed, right.changed]
            change = _stage(convolution, crop)
            rows, columns = down.out, right.out
        change -= self._inputs[-1][:, :, rows, columns]
        return self._regressed(change, rows, columns)

    def _regressed(self, change: Tensor, rows: slice, columns: slice) -> Tensor:
        """Return the grades after the features of some rows and columns changed by so much."""
        down, right = (
            slice(max(0, span.start - self._kernel + 1), min(n, span.stop))
            for span, n in zip((rows, columns), self._windows, strict=True)
        )
        matrix = self._first_layer(rows, columns, down, right)
        flat = change.permute(0, 2, 3, 1).reshape(len(change), -1)
        shape = (len(change), down.stop - down.start, right.stop - right.start, -1)
        added = (flat @ matrix).reshape(shape).flip(1, 2).permute(0, 3, 1, 2)
        grades = self._grades.clone()
        grades[:, down, right] = self._rest(self._first[:, :, down, right] + added)[:, 0].double()
        return grades.mean((1, 2))

    def _first_layer(self, rows: slice, columns: slice, down: slice, right: slice) -> Tensor:
        """Return the first fully connected layer from changed features to the windows that see them.

        Feature r is row r - i of window i. Windows run backwards, so that the next feature and the next
        window are the same step in the kernel: the matrix is a view with repeated strides on the kernel with
        zeros around.
        """
        row_pad, row_start = self._places(rows, down)
        column_pad, column_start = self._places(columns, right)
        padded = functional.pad(self._weight, (0, 0, 0, 0, *column_pad, *row_pad))
        row, column, channel, unit = padded.stride()
        features = (rows.stop - rows.start, columns.stop - columns.start, padded.shape[2])
        windows = (down.stop - down.start, right.stop - right.start, padded.shape[3])
        view = padded.as_strided(
            features + windows,
            (row, column, channel, row, column, unit),
            row_start * row + column_start * column,
        )
        return view.reshape(math.prod(features), math.prod(windows))

    def _places(self, features: slice, windows: slice) -> tuple[tuple[int, int], int]:
        """Return the zeros around the kernel along an axis, and where the first feature lies there."""
        lowest = features.start - (windows.stop - 1)
        highest = features.stop - 1 - windows.start
        before = max(0, -lowest)
        return (before, max(0, highest + 1 - self._kernel)), lowest + before


def _stage(convolution: nn.Conv2d, values: Tensor) -> Tensor:
    out = functional.conv2d(values, convolution.weight, convolution.bias)
    return functional.relu_(functional.max_pool2d(out, 2))
