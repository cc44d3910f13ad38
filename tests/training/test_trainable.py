"""Normalisation while training is gone from the network that is kept, and its grades are the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from csiq.quality.network import NetworkConfig
from csiq.training.trainable import Trainable

SMALL = NetworkConfig(widths=(4, 4, 8, 8), hidden=(8, 4), keep=0.5)


def _trained(batch_norm: bool) -> Trainable:
    """Return a network after some passes, all that normalisation learns away from where it began."""
    torch.manual_seed(0)
    network = Trainable(SMALL, batch_norm=batch_norm)
    network.start(2.0)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.rand(4, 128, 128))
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.3, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_network_that_is_kept_gives_the_same_grades(batch_norm: bool) -> None:
    network = _trained(batch_norm)
    plain, windows = network.folded(), torch.rand(3, 144, 160)
    assert plain.config == SMALL
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules())
    with torch.inference_mode():
        expected = network(windows)
        torch.testing.assert_close(plain(windows), expected, rtol=0, atol=2e-5)
    assert expected.shape == (3, 2, 3)
    assert expected.std() > 1e-3


def test_every_convolution_but_the_last_is_normalised() -> None:
    layers = list(Trainable(SMALL, batch_norm=True).modules())
    n_convolutions, n_norms = (
        sum(isinstance(x, kind) for x in layers) for kind in (nn.Conv2d, nn.BatchNorm2d)
    )
    assert n_norms == n_convolutions - 1
