"""The residual network: one pass equals patch after patch, and it goes wherever an IQ-DCNN goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from csiq.errors import ModelError
from csiq.heatmap.masked_grades import WholeSlices, masked_grades
from csiq.quality.build import build_networks, ensemble_tensors
from csiq.quality.grade import Grader
from csiq.quality.kinds import KINDS, config_of
from csiq.quality.model_file import encode_tensors, open_model, save_model
from csiq.quality.network import IQDCNN, PATCH, STRIDE, NetworkConfig
from csiq.quality.residual_network import IQResNet, Residual, ResidualConfig

SMALL = ResidualConfig(widths=(4, 4, 8, 8), hidden=8)


def drawn(config: ResidualConfig, seed: int = 3) -> IQResNet:
    """Return a network whose grades depend on its input: freshly drawn weights let little through."""
    torch.manual_seed(seed)
    network = IQResNet(config).eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight *= 2
    return network


@pytest.mark.parametrize(
    "config", [ResidualConfig(), SMALL, replace(SMALL, first_kernel=8), replace(SMALL, kernel=2)]
)
def test_one_pass_equals_patch_by_patch(rng: np.random.Generator, config: ResidualConfig) -> None:
    network = drawn(config)
    slices = torch.from_numpy(rng.random((1, 208, 208), dtype=np.float32))
    steps = range(0, 208 - PATCH + 1, STRIDE)
    with torch.inference_mode():
        shared = network(slices)
        for row, top in enumerate(steps):
            for column, left in enumerate(steps):
                alone = network(slices[:, top : top + PATCH, left : left + PATCH])
                assert alone.shape == (1, 1, 1)
                # float32 sums in another order
                torch.testing.assert_close(shared[:, row, column], alone[:, 0, 0], atol=1e-5, rtol=0)
    assert shared.shape == (1, 6, 6)
    assert shared.std() > 1e-3  # grades differ by far more than the tolerance


def test_a_grade_sees_its_patch_and_nothing_else(rng: np.random.Generator) -> None:
    network = drawn(SMALL)
    slices = torch.from_numpy(rng.random((1, 144, 144), dtype=np.float32)).requires_grad_()
    network(slices)[0, 1, 0].backward()  # the patch of rows 16 to 143, columns 0 to 127
    assert slices.grad is not None
    seen = slices.grad[0].abs() > 0
    assert not seen[:16].any()
    assert not seen[:, 128:].any()
    assert seen[16:, :128].float().mean() > 0.5


def test_the_identity_is_cropped_to_where_the_branch_is_valid() -> None:
    block = Residual(1, 3)
    with torch.no_grad():
        for layer in (block.branch[0], block.branch[2]):
            layer.weight.zero_()
            layer.weight[0, 0, 1, 1] = 1.0
            layer.bias.zero_()
    image = torch.rand(1, 1, 9, 11)
    # both branches hand on the middle: twice the image without two voxels at each border
    torch.testing.assert_close(block(image), 2 * image[..., 2:-2, 2:-2])


def test_it_is_smaller_than_the_papers() -> None:
    ours, papers = (sum(p.numel() for p in one.parameters()) for one in (IQResNet(), IQDCNN()))
    assert 4 * ours < 3e6 / 2
    assert ours < papers / 2


def test_cards_name_the_kind() -> None:
    assert list(KINDS) == ["iq-dcnn", "iq-resnet"]
    for config in (SMALL, NetworkConfig(widths=(4, 8, 8, 8))):
        assert config_of(config.as_dict()) == config
    with pytest.raises(ModelError, match=r"expected kind iq-dcnn or iq-resnet.*did you mean 'iq-resnet'"):
        config_of({"kind": "iq-resnets"})
    with pytest.raises(ModelError, match=r"not an IQ-ResNet.*depth"):
        config_of({"kind": "iq-resnet", "depth": 3})
    with pytest.raises(ModelError, match="iq-dcnn"):
        NetworkConfig.from_dict(SMALL.as_dict())
    with pytest.raises(ModelError, match="leave nothing"):
        ResidualConfig(kernel=5)
    with pytest.raises(ModelError, match="keep"):
        ResidualConfig(keep=0.0)


def test_a_file_of_it_is_graded_alone_and_as_an_ensemble(tmp_path: Path, rng: np.random.Generator) -> None:
    members = [drawn(SMALL, seed).state_dict() for seed in (1, 2)]
    card = {"network": SMALL.as_dict(), "domain": None}
    volume = rng.random((52, 52, 52), dtype=np.float32)
    patches = []
    for name, tensors in {"a": members[0], "b": members[1], "both": ensemble_tensors(members)}.items():
        save_model(tmp_path / f"{name}.safetensors", encode_tensors(tensors, SMALL.as_dict()), card)
        grader = Grader.load(tmp_path / f"{name}.safetensors")
        assert all(isinstance(network, IQResNet) for network in grader.networks)
        patches.append(grader.patch_grades(volume, (4.0, 4.0, 4.0)))
    assert patches[0].shape == (3, 6, 6, 6)
    assert np.abs(patches[0] - patches[1]).max() > 1e-3
    np.testing.assert_allclose(patches[2], (patches[0] + patches[1]) / 2, atol=1e-5)


def test_weights_of_one_kind_are_refused_as_the_other(tmp_path: Path) -> None:
    file = tmp_path / "odd.safetensors"
    save_model(file, encode_tensors(drawn(SMALL).state_dict(), NetworkConfig().as_dict()), {})
    with pytest.raises(ModelError, match="weights of another network"):
        build_networks(open_model(file))


def test_heat_maps_take_whole_slices() -> None:
    with torch.inference_mode():
        assert isinstance(masked_grades(drawn(SMALL), torch.rand(1, 144, 144)), WholeSlices)
