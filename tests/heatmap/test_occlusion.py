"""Shared convolutions against whole slices, and maps of volumes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from csiq.errors import ConfigError, ModelError, RawDataError
from csiq.heatmap import Mask, Occlusion, occlusion_map
from csiq.heatmap.masked_grades import SharedConvolutions, WholeSlices, can_share, masked_grades, span_of
from csiq.quality.grade import Grader
from csiq.quality.network import IQDCNN, NetworkConfig

PLACES = [(0, 0), (0, 90), (61, 47), (96, 131), (152, 3), (152, 152)]


def _network(config: NetworkConfig | None = None, seed: int = 5) -> IQDCNN:
    """Return a network whose grades depend on its input: freshly drawn weights let little through."""
    torch.manual_seed(seed)
    network = IQDCNN(config).eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight *= 2
    return network


@pytest.mark.parametrize("config", [None, NetworkConfig(first_kernel=7, kernel=5, widths=(4, 6, 8, 8))])
@pytest.mark.parametrize("side", [5, 8, 24])
def test_shared_convolutions_equal_whole_slices(config, side):
    network = _network(config)
    slices = torch.rand(2, 176, 176, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert isinstance(masked_grades(network, slices), SharedConvolutions)
        fast, slow = SharedConvolutions(network, slices), WholeSlices(network, slices)
        torch.testing.assert_close(fast.baseline, slow.baseline, rtol=0, atol=1e-5)
        changes = []
        for row, column in PLACES:
            where = slice(row, row + side), slice(column, column + side)
            got, expected = fast.masked(*where), slow.masked(*where)
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
            changes.append(float((expected - slow.baseline).abs().max()))
    # the masks did change the grades, by far more than the tolerance
    assert max(changes) > 1e-3


def test_the_shipped_network_is_shared_and_equal():
    (network,) = Grader.load().networks
    assert can_share(network)
    slices = torch.rand(1, 208, 208, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        fast, slow = SharedConvolutions(network, slices), WholeSlices(network, slices)
        for row, column in [(0, 200), (100, 96), (87, 41)]:
            where = slice(row, row + 8), slice(column, column + 8)
            torch.testing.assert_close(fast.masked(*where), slow.masked(*where), rtol=0, atol=1e-5)


def test_what_a_change_touches_by_hand():
    # input 10..13, kernel 5: outputs 6..13 change, pooled 3..6, which read inputs 6..17
    span = span_of(slice(10, 14), 30, 5)
    assert (span.out, span.read, span.paste, span.changed) == (
        slice(3, 7),
        slice(6, 18),
        slice(4, 8),
        slice(0, 4),
    )
    # 9 inputs, kernel 3: 7 outputs, of which pooling drops the last, the only one that sees input 8
    assert span_of(slice(8, 9), 9, 3).out.stop == 0


def test_networks_with_other_layers_are_graded_whole():
    network = _network()
    network.features[0] = nn.Conv2d(1, 16, 5, padding=2)
    assert not can_share(network.eval())
    assert not can_share(_network().train())
    other = _network()
    other.features[1] = nn.AvgPool2d(2)
    assert not can_share(other.eval())
    turned = _network()
    turned.features[1], turned.features[2] = turned.features[2], turned.features[1]
    assert can_share(turned)
    assert not can_share(nn.Flatten())


class BrightSpot(nn.Module):
    """Grades the mean of one square of each slice; nothing else counts."""

    def __init__(self, row: int, column: int, side: int = 12) -> None:
        super().__init__()
        self.rows, self.columns = slice(row, row + side), slice(column, column + side)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        return slices[:, self.rows, self.columns]


def test_the_map_points_where_the_grade_comes_from(rng):
    volume = (1 + rng.random((208, 208, 208))).astype(np.float32)
    occlusion = Occlusion(Mask(8, 4), offsets=(-40.0, 0.0, 8.0))
    found = occlusion_map(BrightSpot(60, 120), volume, (1, 1, 1), occlusion)
    stack = found.stacks[0]
    inside = np.zeros((208, 208), bool)
    inside[60:72, 120:132] = True
    assert stack.heat[:, inside].mean() > 10 * stack.heat[:, ~inside].mean()
    # beyond the mask's reach nothing changes
    far = np.ones((208, 208), bool)
    far[60 - 8 : 72 + 8, 120 - 8 : 132 + 8] = False
    np.testing.assert_allclose(stack.relevance[:, far], 0, atol=1e-6)
    assert (stack.relevance[:, inside] > 0.1).all()
    # in the volume it lies in the same place, interpolated between slices and empty beyond them
    heat = found.heat
    assert np.unravel_index(heat[104].argmax(), (208, 208)) == np.unravel_index(
        stack.heat[1].argmax(), (208, 208)
    )
    np.testing.assert_allclose(heat[108], (stack.heat[1] + stack.heat[2]) / 2, atol=1e-6)
    assert not heat[113:].any()
    assert not heat[:64].any()


def test_a_trained_like_network_against_the_slow_loop(rng):
    network = _network()
    volume = rng.random((40, 40, 40)).astype(np.float32)
    mask = Mask(52, 52)
    found = occlusion_map(network, volume, (5.2, 5.2, 5.2), Occlusion(mask, ("sagittal",), (0.0,)))
    stack = found.stacks[0]
    from csiq.quality.patches import cut_slices, volume_slices

    scale = volume_slices(volume, (5.2, 5.2, 5.2)).scale
    image = cut_slices(volume, (5.2, 5.2, 5.2), (0.0,))[2, 0] / np.float32(scale)
    total, included = np.zeros((208, 208)), np.zeros((208, 208))
    for row in (0, 52, 104, 156):
        for column in (0, 52, 104, 156):
            hidden = image.copy()
            hidden[row : row + 52, column : column + 52] = 0
            with torch.inference_mode():
                grade = float(network(torch.from_numpy(hidden)[None]).mean())
            outside = np.ones((208, 208), bool)
            outside[row : row + 52, column : column + 52] = False
            total[outside] += grade
            included[outside] += 1
    expected = total / included
    np.testing.assert_allclose(stack.average[0], expected, rtol=0, atol=1e-5)
    # normalised: rounding grows with the stretch
    stretched = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(stack.heat[0], stretched, rtol=0, atol=1e-3)


def test_scale_of_the_intensities_and_threads_do_not_matter(rng, monkeypatch):
    from csiq.heatmap import occlusion as module

    volume = rng.random((52, 52, 52)).astype(np.float32)
    occlusion = Occlusion(Mask(52, 52), ("axial",), (0.0,))
    maps = []
    for factor, threads in ((1, 1), (1, 2), (1000, 2)):
        monkeypatch.setattr(module, "default_threads", lambda threads=threads: threads)
        maps.append(occlusion_map(_network(), factor * volume, (4, 4, 4), occlusion).stacks[0].average)
    np.testing.assert_array_equal(maps[0], maps[1])
    # the scale is taken out but for the last bit of float32
    np.testing.assert_allclose(maps[0], maps[2], rtol=0, atol=1e-5)


def test_of_an_ensemble_the_mean(rng):
    class Ensemble:
        networks = (BrightSpot(60, 60), BrightSpot(140, 60))

    volume = rng.random((52, 52, 52)).astype(np.float32)
    occlusion = Occlusion(Mask(26, 26), offsets=(0.0,))
    both = occlusion_map(Ensemble(), volume, (4, 4, 4), occlusion)  # type: ignore[arg-type]
    each = [occlusion_map(network, volume, (4, 4, 4), occlusion) for network in Ensemble.networks]
    mean = np.mean([found.stacks[0].relevance for found in each], axis=0)
    np.testing.assert_allclose(both.stacks[0].relevance, mean, atol=1e-6)


def test_three_orientations_are_averaged_where_they_have_a_map(rng):
    volume = rng.random((52, 52, 52)).astype(np.float32)
    axes = ("axial", "coronal", "sagittal")
    seen = []
    found = occlusion_map(
        BrightSpot(100, 100),
        volume,
        (4, 4, 4),
        Occlusion(Mask(26, 26), axes, (0.0,)),
        lambda done, total: seen.append((done, total)),
    )
    assert [stack.axis for stack in found.stacks] == list(axes)
    axial, coronal, sagittal = (stack.heat[0] for stack in found.stacks)
    heat = found.heat
    np.testing.assert_allclose(
        heat[104, 104, 104], np.mean([m[104, 104] for m in (axial, coronal, sagittal)])
    )
    np.testing.assert_array_equal(heat[104, 20, 30], axial[20, 30])
    np.testing.assert_array_equal(heat[20, 104, 30], coronal[20, 30])
    np.testing.assert_array_equal(heat[20, 30, 104], sagittal[20, 30])
    assert seen[-1] == (64, 64)


def test_a_smaller_cube_of_patch_centres_sees_a_window_only(rng):
    grader = Grader.load()
    grader.card = {**grader.card, "input": {"half_edge": 8}}
    volume = rng.random((52, 52, 52)).astype(np.float32)
    found = occlusion_map(grader, volume, (4, 4, 4), Occlusion(Mask(48, 48), offsets=(0.0,)))
    assert found.stacks[0].heat.shape == (1, 144, 144)
    np.testing.assert_array_equal(found.heat[104, 32:176, 32:176], found.stacks[0].heat[0])
    assert not found.heat[104, :32].any()


def test_what_has_no_heat_map():
    dark = np.zeros((20, 20, 20), np.float32)
    occlusion = Occlusion(Mask(52, 52), offsets=(0.0,))
    with pytest.raises(RawDataError, match="dark"):
        occlusion_map(_network(), dark, (10, 10, 10), occlusion)
    holed = np.ones((20, 20, 20), np.float32)
    holed[10, 10, 10] = np.nan
    with pytest.raises(RawDataError, match="not finite"):
        occlusion_map(_network(), holed, (10, 10, 10), occlusion)
    with pytest.raises(ModelError, match="no network"):
        occlusion_map(len, holed, (10, 10, 10), occlusion)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"axes": ("axail",)}, {"axes": ()}, {"normalise": "all"}, {"offsets": ()}, {"offsets": (4.0, 4.0)}],
)
def test_options_that_make_no_sense(wrong):
    with pytest.raises(ConfigError):
        Occlusion(**wrong)


def test_a_blur_hides_sharpness_and_nothing_else():
    """A network that likes edges: black squares add some, so only blurring points at those of the image."""

    class Edges(nn.Module):
        def forward(self, slices: torch.Tensor) -> torch.Tensor:
            return (slices[:, 1:] - slices[:, :-1]).square()

    volume = np.ones((208, 208, 208), np.float32)
    volume[:, 100:140, 100:140] = 2  # its edges across rows: 100 and 140
    mask = Mask(16, 16)
    black, soft = (
        occlusion_map(Edges(), volume, (1, 1, 1), Occlusion(mask, offsets=(0.0,), fill=fill))
        .stacks[0]
        .relevance[0]
        for fill in ("zero", "blur")
    )
    assert black[60, 60] < -1e-4
    assert abs(soft[60, 60]) < 1e-6
    assert soft[96:112, 112:128].min() > 0
