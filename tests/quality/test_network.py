"""The network: the paper's shape, and one pass over a slice equal to patch after patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csiq.errors import ModelError
from csiq.quality.network import IQDCNN, PATCH, STRIDE, NetworkConfig


def _slices(rng: np.random.Generator, side: int) -> torch.Tensor:
    return torch.from_numpy(rng.random((2, side, side), dtype=np.float32))


def test_shape_is_that_of_the_paper() -> None:
    layers = list(IQDCNN().modules())
    convolutions = [m for m in layers if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 4 + 3
    assert convolutions[0].kernel_size == (5, 5)
    assert sum(isinstance(m, torch.nn.MaxPool2d) for m in layers) == 4
    assert convolutions[-1].out_channels == 1


def test_dropout_keeps_three_tenths() -> None:
    network = IQDCNN().train()
    dropouts = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    assert [m.p for m in dropouts] == [pytest.approx(0.7)] * 2
    torch.manual_seed(0)
    kept = (dropouts[0](torch.ones(100_000)) > 0).float().mean().item()
    assert kept == pytest.approx(0.3, abs=0.01)  # 7 standard errors


@pytest.mark.parametrize("side", [128, 192, 208])
def test_shared_convolutions_equal_patch_by_patch(rng: np.random.Generator, side: int) -> None:
    torch.manual_seed(1)
    network = IQDCNN().eval()
    slices = _slices(rng, side)
    with torch.inference_mode():
        shared = network(slices)
        steps = range(0, side - PATCH + 1, STRIDE)
        for row, top in enumerate(steps):
            for column, left in enumerate(steps):
                alone = network(slices[:, top : top + PATCH, left : left + PATCH])
                assert alone.shape == (2, 1, 1)
                # float32 sums in another order
                torch.testing.assert_close(shared[:, row, column], alone[:, 0, 0], atol=1e-5, rtol=0)
    assert shared.shape == (2, len(steps), len(steps))


def test_evaluation_is_repeatable_to_the_bit(rng: np.random.Generator) -> None:
    network = IQDCNN().eval()
    slices = _slices(rng, 208)
    with torch.inference_mode():
        assert torch.equal(network(slices), network(slices))


def test_config_survives_the_card() -> None:
    config = NetworkConfig(widths=(4, 8, 8, 8), hidden=(16, 8), keep=0.5)
    assert NetworkConfig.from_dict(config.as_dict()) == config


@pytest.mark.parametrize(
    ("entry", "said"),
    [({"kind": "vgg"}, "vgg"), ({"kind": "iq-dcnn", "depth": 3}, "depth"), ({}, "iq-dcnn")],
)
def test_other_networks_are_refused(entry: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        NetworkConfig.from_dict(entry)


def test_kernels_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ModelError, match="leave nothing"):
        NetworkConfig(first_kernel=127)
    with pytest.raises(ModelError, match="keep"):
        NetworkConfig(keep=0.0)
