"""The grader: what it says of sound, odd and damaged volumes and models."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from csiq.arrays import Device
from csiq.errors import ModelError, ShapeError
from csiq.quality.build import ensemble_tensors
from csiq.quality.confidence import Confidence
from csiq.quality.descriptors import describe_slices
from csiq.quality.domain import Domain
from csiq.quality.grade import Grade, Grader
from csiq.quality.model_file import DEFAULT_MODEL, encode_tensors, save_model
from csiq.quality.network import IQDCNN, NetworkConfig
from csiq.quality.patches import N_PATCHES, volume_slices
from csiq.quality.site_calibration import SiteCalibration

SMALL = NetworkConfig(widths=(4, 4, 8, 8), hidden=(16, 8))
VOXEL = (3.25, 3.25, 3.25)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    rng = np.random.default_rng(8)
    z, y, x = np.mgrid[:64, :64, :64] - 32
    return (np.exp(-(z**2 + y**2 + x**2) / 200) + 0.1 * rng.random((64, 64, 64))).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path, volume: np.ndarray) -> Path:
    """An untrained network with a card: enough to test everything but the grades' meaning."""
    torch.manual_seed(5)
    network = IQDCNN(SMALL)
    sample = describe_slices(volume_slices(volume, VOXEL).values)
    domain = Domain(sample, 0.01 * np.eye(len(sample)), 3.0, (1.0, 3.25))
    card = {"domain": domain.as_dict(), "voxel_size_mm": {"min": 1.0, "max": 3.25}}
    path = tmp_path / "tiny.safetensors"
    save_model(path, encode_tensors(network.state_dict(), SMALL.as_dict()), card)
    return path


def test_grade_is_the_mean_over_all_patches(model: Path, volume: np.ndarray) -> None:
    grader = Grader.load(model)
    found = grader.grade(volume, VOXEL)
    patches = grader.patch_grades(volume, VOXEL)
    assert patches.shape == (3, 6, 6, 6)
    assert found.grade == pytest.approx(patches.mean(), rel=1e-6)
    assert found.grade_sd == pytest.approx(patches.std(), rel=1e-5)
    assert (found.n_patches, found.n_failed, found.in_domain) == (N_PATCHES, 0, True)
    both = grader.grade_with_patches(volume, VOXEL)
    assert both[0] == found
    np.testing.assert_array_equal(both[1], patches)
    assert found.warnings == ()
    assert grader.name == "tiny"


def test_grade_is_repeatable_and_knows_no_scale_or_phase(model: Path, volume: np.ndarray) -> None:
    grader = Grader.load(model)
    first = grader.grade(volume, VOXEL)
    assert grader.grade(volume, VOXEL) == first
    turned = volume.astype(np.complex64) * np.complex64(4e-7j)
    assert grader.grade(turned, VOXEL).grade == pytest.approx(first.grade, abs=1e-5)


def test_input_is_left_as_it_was(model: Path, volume: np.ndarray) -> None:
    before = volume.copy()
    Grader.load(model).grade(volume, VOXEL)
    np.testing.assert_array_equal(volume, before)


def test_many_failed_patches_leave_no_grade(model: Path, volume: np.ndarray) -> None:
    middle = volume.copy()
    middle[28:36, 28:36, 28:36] = np.nan
    none = Grader.load(model).grade(middle, VOXEL)
    assert none.n_failed > 0.05 * N_PATCHES
    assert math.isnan(none.grade)
    assert math.isnan(none.grade_sd)
    assert not none.in_domain
    assert f"no number for {none.n_failed} of 648 patches: no grade" in none.warnings[-1]


def test_few_failed_patches_are_named(model: Path, volume: np.ndarray) -> None:
    grader = Grader.load(model)
    edge = volume.copy()
    # 40 mm above the centre and at the corner of that slice: one axial patch and its neighbours
    edge[44, 1, 1] = np.nan
    found = grader.grade(edge, VOXEL)
    assert 0 < found.n_failed <= 0.05 * N_PATCHES
    assert math.isfinite(found.grade)
    assert any("left out of the mean" in w for w in found.warnings)


def test_dark_volume_has_no_grade(model: Path) -> None:
    found = Grader.load(model).grade(np.zeros((64, 64, 64), np.float32), VOXEL)
    assert math.isnan(found.grade)
    assert found.n_failed == N_PATCHES
    assert not found.in_domain


def test_small_volume_is_padded_and_said(model: Path, volume: np.ndarray) -> None:
    found = Grader.load(model).grade(volume[16:48, 16:48, 16:48], VOXEL)
    assert math.isfinite(found.grade)
    assert any("padded" in w for w in found.warnings)


def test_outside_the_domain_is_said(model: Path, volume: np.ndarray, rng: np.random.Generator) -> None:
    grader = Grader.load(model)
    other = rng.standard_normal(volume.shape)
    found = grader.grade(other, VOXEL)
    assert not found.in_domain
    assert any("far from the training set" in w for w in found.warnings)
    coarse = grader.grade(volume, (3.25, 3.25, 4.0))
    assert not coarse.in_domain
    assert any("the model knows" in w for w in coarse.warnings)


def test_impossible_volumes(model: Path) -> None:
    with pytest.raises(ShapeError):
        Grader.load(model).grade(np.ones((4, 4)), VOXEL)


def test_standard_error_counts_the_patches_that_graded() -> None:
    grade = Grade(2.0, 0.5, True, n_patches=110, n_failed=10)
    assert grade.standard_error == pytest.approx(0.05)


def test_a_gpu_without_torch_cuda_grades_on_the_cpu(
    model: Path, volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert math.isfinite(Grader.load(model, Device(0)).grade(volume, VOXEL).grade)


# --- damaged models -------------------------------------------------------------------------------------


def test_truncated_weights(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"tiny.safetensors: truncated"):
        Grader.load(model)


def test_flipped_bit(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[-5] ^= 1
    model.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="SHA-256 differs"):
        Grader.load(model)


def test_weights_that_are_not_finite(model: Path) -> None:
    network = IQDCNN(SMALL)
    state = network.state_dict()
    state["features.3.bias"][1] = float("nan")
    card = json.loads(model.with_suffix(".json").read_text())
    save_model(
        model, encode_tensors(state, SMALL.as_dict()), {k: v for k, v in card.items() if k != "sha256"}
    )
    with pytest.raises(ModelError, match=r"features.3.bias: weights are not finite"):
        Grader.load(model)


def test_weights_of_another_network_name_the_first_difference(model: Path) -> None:
    wider = IQDCNN(NetworkConfig(widths=(4, 6, 8, 8), hidden=(16, 8)))
    card = json.loads(model.with_suffix(".json").read_text())
    del card["sha256"]
    save_model(model, encode_tensors(wider.state_dict(), SMALL.as_dict()), card)
    with pytest.raises(ModelError, match=r"features.3.weight: .*\(4, 4, 3, 3\).*|.*\(6, 4, 3, 3\)"):
        Grader.load(model)


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="could run code"):
        Grader.load(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"not a model at all, but text"])
def test_files_that_are_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"odd.safetensors"):
        Grader.load(path)


def test_missing_card_grades_uncertified(model: Path, volume: np.ndarray) -> None:
    model.with_suffix(".json").unlink()
    found = Grader.load(model).grade(volume, VOXEL)
    assert math.isfinite(found.grade)
    assert not found.in_domain
    assert "uncertified" in found.warnings[0]


def test_card_of_another_schema_grades_uncertified(model: Path, volume: np.ndarray) -> None:
    card = model.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), "schema_version": 0}))
    grader = Grader.load(model)
    assert grader.card == {}
    assert "schema 0" in grader.grade(volume, VOXEL).warnings[0]


def test_card_that_is_no_json(model: Path) -> None:
    model.with_suffix(".json").write_text("{")
    with pytest.raises(ModelError, match=r"tiny.json"):
        Grader.load(model)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ModelError, match=DEFAULT_MODEL) as caught:
        Grader.load(DEFAULT_MODEL.replace("dcnn", "dcn"))
    assert caught.value.exit_code == 4


@pytest.mark.gpu
def test_grade_on_a_gpu_equals_that_on_the_cpu(model: Path, volume: np.ndarray) -> None:
    import cupy

    here = Grader.load(model).grade(volume, VOXEL)
    there = Grader.load(model, "cuda:0").grade(cupy.asarray(volume), VOXEL)
    # TF32 convolutions keep three digits
    assert there.grade == pytest.approx(here.grade, abs=5e-3)


# --- what a card adds: an interval, an ensemble, another cube, a site's scale --------------------------


def _with(model: Path, name: str, weights: bytes | None = None, **entries: object) -> Path:
    """Return a copy of a model whose card says more."""
    card = json.loads(model.with_suffix(".json").read_text())
    plain = {k: v for k, v in card.items() if k not in ("sha256", "name", "schema_version")}
    path = model.with_name(f"{name}.safetensors")
    save_model(path, weights or model.read_bytes(), {**plain, **entries})
    return path


CONFIDENCE = Confidence(0.9, (0.1, 0.0), ("log patch_sd", "distance"), (0.5, 1.0, 0.2), (-1.2, 1.4))


def test_interval_is_that_of_the_card(model: Path, volume: np.ndarray) -> None:
    grader = Grader.load(_with(model, "sure", confidence=CONFIDENCE.as_dict()))
    found, evidence = grader.grade(volume, VOXEL), grader.evidence(volume, VOXEL)
    assert evidence.grade == found.grade
    assert evidence.patch_sd == found.grade_sd
    assert 0 <= evidence.distance < 1
    assert found.interval == CONFIDENCE.interval(evidence)
    assert found.uncertainty == pytest.approx(CONFIDENCE.uncertainty(evidence))
    assert not found.calibrated


def test_no_interval_outside_the_domain_or_without_calibration(
    model: Path, volume: np.ndarray, rng: np.random.Generator
) -> None:
    assert Grader.load(model).grade(volume, VOXEL).interval is None
    grader = Grader.load(_with(model, "sure", confidence=CONFIDENCE.as_dict()))
    other = grader.grade(rng.standard_normal(volume.shape), VOXEL)
    assert not other.in_domain
    assert (other.interval, other.uncertainty) == (None, None)


def test_an_ensemble_grades_the_mean_of_its_members(model: Path, volume: np.ndarray) -> None:
    torch.manual_seed(6)
    members = [IQDCNN(SMALL).state_dict() for _ in range(3)]
    one_by_one = []
    for number, member in enumerate(members):
        alone = _with(model, f"alone-{number}", encode_tensors(member, SMALL.as_dict()))
        one_by_one.append(Grader.load(alone).patch_grades(volume, VOXEL))
    together = encode_tensors(ensemble_tensors(members), SMALL.as_dict())
    grader = Grader.load(_with(model, "together", together))
    assert len(grader.networks) == 3
    np.testing.assert_allclose(grader.patch_grades(volume, VOXEL), np.mean(one_by_one, axis=0), atol=1e-6)
    spread = np.std([patches.mean() for patches in one_by_one], ddof=1)
    assert grader.evidence(volume, VOXEL).ensemble_sd == pytest.approx(spread, rel=1e-4)
    assert grader.grade(volume, VOXEL).grade == pytest.approx(np.mean(one_by_one), rel=1e-5)


def test_a_member_of_another_network_is_refused(model: Path) -> None:
    wider = IQDCNN(NetworkConfig(widths=(4, 6, 8, 8), hidden=(16, 8))).state_dict()
    mixed = encode_tensors(ensemble_tensors([IQDCNN(SMALL).state_dict(), wider]), SMALL.as_dict())
    with pytest.raises(ModelError, match="weights of another network"):
        Grader.load(_with(model, "mixed", mixed))


@pytest.mark.parametrize(("half_edge", "n"), [(40, 6), (24, 4), (8, 2)])
def test_the_cube_of_patch_centres_is_that_of_the_card(
    model: Path, volume: np.ndarray, half_edge: int, n: int
) -> None:
    grader = Grader.load(_with(model, "smaller", input={"half_edge": half_edge}))
    assert grader.patch_grades(volume, VOXEL).shape == (3, n, n, n)
    assert grader.grade(volume, VOXEL).n_patches == 3 * n**3
    if half_edge == 24:
        # the inner patches are those of the larger cube, but for the intensity scale
        larger = Grader.load(model).patch_grades(volume, VOXEL)[:, 1:5, 1:5, 1:5]
        np.testing.assert_allclose(grader.patch_grades(volume, VOXEL), larger, atol=0.05)


@pytest.mark.parametrize("half_edge", [56, "40", 12.5, None])
def test_a_cube_that_does_not_fit_is_refused(model: Path, half_edge: object) -> None:
    with pytest.raises(ModelError, match="half edge"):
        Grader.load(_with(model, "larger", input={"half_edge": half_edge}))


def test_a_site_s_scale_is_applied(model: Path, volume: np.ndarray) -> None:
    site = SiteCalibration("line", (0.0, 4.0), (0.5, 2.5))
    sure = {"confidence": CONFIDENCE.as_dict()}
    plain = Grader.load(_with(model, "plain", **sure)).grade(volume, VOXEL)
    here = Grader.load(_with(model, "here", **sure, site_calibration=site.as_dict()))
    found = here.grade(volume, VOXEL)
    assert found.calibrated
    assert found.grade == pytest.approx(0.5 + 0.5 * plain.grade)
    assert found.grade_sd == pytest.approx(0.5 * plain.grade_sd)
    assert plain.interval is not None
    assert found.interval == pytest.approx(tuple(0.5 + 0.5 * end for end in plain.interval))
    # what is calibrated again, and what heat maps and figures see, is the network's own
    assert here.evidence(volume, VOXEL).grade == pytest.approx(plain.grade)
    assert here.patch_grades(volume, VOXEL).mean() == pytest.approx(plain.grade, rel=1e-5)


@pytest.mark.parametrize(("cohort", "calibrated"), [(None, True), ({"seed": 0}, False)])
def test_a_network_that_learned_from_a_site_s_readers_needs_no_calibration(
    model: Path, volume: np.ndarray, cohort: dict[str, int] | None, calibrated: bool
) -> None:
    taught = _with(model, "taught", training={"reader": "consensus", "cohort": cohort})
    assert Grader.load(taught).grade(volume, VOXEL).calibrated is calibrated


def test_a_model_of_unknown_origin_is_uncertified(model: Path, volume: np.ndarray) -> None:
    found = Grader.load(_with(model, "found", domain=None, voxel_size_mm=None)).grade(volume, VOXEL)
    assert math.isfinite(found.grade)
    assert not found.in_domain
    assert "uncertified" in found.warnings[0]
