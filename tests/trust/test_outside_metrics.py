import numpy as np
import pytest

from csiq.cohort.manifest import GradedScan, write_manifest
from csiq.cohort.volume_file import write_int16
from csiq.errors import RawDataError, ShapeError
from csiq.io.tables import write_json, write_table
from csiq.simulate.anatomy.patient import Patient
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.truth import heart_truth
from csiq.simulate.motion import MotionState
from csiq.trust.image_quality import coil_shading
from csiq.trust.outside_metrics import METRICS, outside_metrics, ranks_with
from csiq.trust.placed_truth import heart_shift, placed_truth
from csiq.trust.vessel_tracker import TrackedVessels

SEED, N, VOXEL, DEEP = 5, 64, 3.25, 6.0


@pytest.fixture(scope="module")
def moved():
    """Return the truth of a patient who breathes in by 6 mm and whose heart lies elsewhere besides."""
    grid = Grid((N, N, N), (VOXEL,) * 3, (-4.1, 1.3, -2.2))
    patient, shading = Patient.from_seed(SEED), coil_shading(SEED, Grid.cube(N, N * VOXEL))
    return heart_truth(patient, grid, MotionState(DEEP), shading)


def rough(volume: np.ndarray, sd: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.hypot(volume + sd * rng.standard_normal(volume.shape), sd * rng.standard_normal(volume.shape))


@pytest.mark.parametrize("sd", [0.0, 0.3])
def test_the_truth_is_placed_where_the_image_has_the_heart(moved, sd):
    found = placed_truth(rough(moved.volume, sd), (VOXEL,) * 3, SEED, DEEP)
    for name, vessel in moved.vessels.items():
        # a sixth of a voxel
        assert np.abs(found.vessels[name].points - vessel.points).max() < 0.54
    assert np.abs(heart_shift(moved.volume, found)).max() < 0.54
    with pytest.raises(ShapeError):
        placed_truth(moved.volume[0], (VOXEL,) * 3, SEED, DEEP)


def test_a_shift_by_voxels_is_found_exactly(moved):
    shifted = np.roll(moved.volume, (2, -1, 3), axis=(0, 1, 2))
    np.testing.assert_allclose(heart_shift(shifted, moved) / VOXEL, [2, -1, 3], atol=0.1)


def test_rows_of_a_cohort(moved, tmp_path, monkeypatch):
    # the tracker has tests of its own, and makes 208^3 voxels of these
    tracked = TrackedVessels((np.array([[0.0, 0, 0], [30, 0, 0]]),))
    monkeypatch.setattr("csiq.trust.outside_metrics.track_vessels", lambda *_: tracked)
    affine = np.diag([VOXEL, VOXEL, VOXEL, 1])
    affine[:3, 3] = -VOXEL * (N // 2)
    scans = []
    for name, sd in (("p001", 0.05), ("p002", 0.25)):
        path = tmp_path / f"{name}.nii"
        write_int16(path, rough(moved.volume, sd), affine)
        write_json(path.with_suffix(".json"), {"details": {"displacement_mm": DEEP}})
        scans.append(GradedScan(path, name, "test", {"reader1a": 2.0}, 2.0))
    write_manifest(tmp_path / "graded.tsv", scans)
    write_table(tmp_path / "patients.tsv", [{"patient": scan.patient, "seed": SEED} for scan in scans])
    rows = list(outside_metrics(tmp_path))
    assert [row["patient"] for row in rows] == ["p001", "p002"]
    assert 1 > rows[0]["haarpsi"] > rows[1]["haarpsi"] > 0
    assert 1 > rows[0]["ssim"] > rows[1]["ssim"] > 0
    assert rows[0]["tracked_length"] == pytest.approx(30)
    write_json(tmp_path / "p002.json", {})
    with pytest.raises(RawDataError, match="displacement"):
        list(outside_metrics(tmp_path))


def test_ranks_by_hand():
    rows = [
        {"patient": str(i), "grade": i**2, "haarpsi": i, "ssim": -i, "tracked_length": [3, 1, 2, 4, 5][i]}
        for i in range(5)
    ]
    found = {row["metric"]: row for row in ranks_with(rows)}
    assert found["haarpsi"]["spearman"] == pytest.approx(1)
    assert found["ssim"]["spearman"] == pytest.approx(-1)
    assert found["tracked_length"]["spearman"] == pytest.approx(1 - 6 * 6 / (5 * 24))
    assert found["tracked_length"]["low"] <= found["tracked_length"]["spearman"]


def test_the_interval_is_over_patients():
    """Every image twice is no more evidence."""
    rng = np.random.default_rng(0)
    rows = [
        {"patient": i, "grade": float(i), "reference": -float(i)}
        | {metric: i + 8 * rng.standard_normal() for metric in METRICS}
        for i in range(20)
    ]
    for column in ("grade", "reference"):
        once, twice = ranks_with(rows, column), ranks_with([*rows, *rows], column)
        assert [row["n"] for row in twice] == [40] * 3
        for one, two in zip(once, twice, strict=True):
            assert (two["low"], two["high"]) == pytest.approx((one["low"], one["high"]), abs=1e-9)
            assert (one["spearman"] > 0) == (column == "grade")
