"""The network as it is trained: normalised between its layers, which the finished network no longer needs.

Batch normalisation and a fixed centre and spread of the input make training faster and steadier. In
evaluation both are affine, so they are folded into the convolutions: what is kept is a plain IQ-DCNN of
:mod:`csiq.quality.network`. Normalisation follows the pooling, where there is a quarter of the values; a gain
above zero keeps the largest of four the largest, so that it folds all the same. (A gain below zero would add
nothing: the convolution can change its sign.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from csiq.quality.network import IQDCNN, NetworkConfig

#: About the mean and the SD of normalised slices: blood is 1, air 0.
CENTRE, SPREAD = 0.3, 0.3
_MOMENTUM = 0.05
_LEAST_GAIN = 1e-3


class Trainable(nn.Module):
    """A network with batch normalisation behind each convolution (and its pooling) but the last.

    Parameters
    ----------
    config : NetworkConfig
    batch_norm : bool
        Without it, only the input is centred.
    """

    def __init__(self, config: NetworkConfig, *, batch_norm: bool) -> None:
        super().__init__()
        self.config = config
        plain = IQDCNN(config)
        self.features = _normalised(plain.features, batch_norm)
        self.regression = _normalised(plain.regression, batch_norm)

    def forward(self, windows: Tensor) -> Tensor:
        """Grade every patch of each window, as :meth:`IQDCNN.forward` does."""
        return self.regression(self.features((windows[:, None] - CENTRE) / SPREAD))[:, 0]

    def start(self, mean_grade: float) -> None:
        """Draw weights anew (He); the last bias is the mean grade."""
        # the last weights stay as large as the others': made small, 500 steps got hardly past the mean
        for conv, _ in self._pairs():
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.constant_(conv.bias, mean_grade if conv.out_channels == 1 else 0.0)

    def keep_gains(self) -> None:
        """Keep the gains of the normalisation above zero, after a step of the optimiser."""
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.weight.clamp_(min=_LEAST_GAIN)

    def averaged(self) -> list[Tensor]:
        """Return what a moving average follows: weights, and statistics of the normalisation."""
        running = [buffer for buffer in self.buffers() if buffer.is_floating_point()]
        return [*(parameter.detach() for parameter in self.parameters()), *running]

    def folded(self) -> IQDCNN:
        """Return the network that gives the same grades in evaluation, without normalisation."""
        network = IQDCNN(self.config)
        plain: list[Any] = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        with torch.no_grad():
            for number, (target, (conv, norm)) in enumerate(zip(plain, self._pairs(), strict=True)):
                weight, bias = conv.weight.cpu().double(), conv.bias.cpu().double()
                if number == 0:
                    bias = bias - CENTRE / SPREAD * weight.sum(dim=(1, 2, 3))
                    weight = weight / SPREAD
                if norm is not None:
                    mean, variance, gain, shift = (
                        part.cpu().double()
                        for part in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
                    )
                    gain = gain / torch.sqrt(variance + norm.eps)
                    weight, bias = weight * gain[:, None, None, None], (bias - mean) * gain + shift
                target.weight.copy_(weight)
                target.bias.copy_(bias)
        return network.eval()

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """Yield each convolution with the normalisation behind it, or None, in the plain network's order."""
        convolution = None
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                if convolution is not None:
                    yield convolution, None
                convolution = layer
            elif isinstance(layer, nn.BatchNorm2d):
                yield convolution, layer
                convolution = None
        yield convolution, None


def _normalised(stages: nn.Sequential, batch_norm: bool) -> nn.Sequential:
    """Return stages with normalisation before each ReLU that follows a convolution."""
    if not batch_norm:
        return stages
    layers: list[nn.Module] = []
    convolution: nn.Conv2d | None = None
    for layer in stages:
        if isinstance(layer, nn.ReLU) and convolution is not None:
            layers.append(nn.BatchNorm2d(convolution.out_channels, momentum=_MOMENTUM))
            convolution = None
        convolution = layer if isinstance(layer, nn.Conv2d) else convolution
        layers.append(layer)
    return nn.Sequential(*layers)
