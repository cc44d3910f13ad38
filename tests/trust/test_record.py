"""What is finished is kept, of each grader its own; the page says what was found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from csiq.io.tables import read_json, read_table
from csiq.trust import summary
from csiq.trust.mechanisms import Mechanism
from csiq.trust.ordering import grade_levels
from csiq.trust.radial_scan import RadialScan
from csiq.trust.record import Record, Rows
from csiq.trust.summary import summarised, within
from tests.trust.scanned_tubes import tubes

FEW = Mechanism(
    "noise", "fold", (1, 10, 30), True, image=lambda s, x: s.clean + s.noise_image * np.float32(x / s.snr)
)


def test_rows_of_the_same_grader_are_not_made_again(tmp_path: Path) -> None:
    record, made = Record(tmp_path), []

    def make() -> Rows:
        made.append(1)
        return [{"case": "a", "grade": float(len(made))}]

    assert record.rows("test", "a", "sha-1", make) == record.rows("test", "a", "sha-1", make)
    assert len(made) == 1
    assert record.rows("test", "a", "sha-2", make)[0]["grade"] == 2.0
    assert record.all_rows("test", "sha-1") == []
    assert record.all_rows("test", "sha-2") == [{"case": "a", "grade": 2.0}]


def test_a_case_that_fails_is_not_kept(tmp_path: Path) -> None:
    record = Record(tmp_path)
    with pytest.raises(ZeroDivisionError):
        record.rows("test", "a", "sha", lambda: [{"grade": 1 / 0}])
    assert record.all_rows("test", "sha") == []


def test_kept_images_are_read_and_not_made(tmp_path: Path) -> None:
    record, case = Record(tmp_path, keep_images=True), tubes()
    first = list(record.levels("tubes", lambda: case, FEW))

    def none() -> RadialScan:
        raise AssertionError("made again")

    second = list(record.levels("tubes", none, FEW))  # type: ignore[arg-type]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.volume, other.volume)
        assert (one.row, one.voxel_size) == (other.row, other.voxel_size)
    made = [volume for _, volume, _ in FEW.images(case)]
    for one, volume in zip(first, made, strict=True):
        np.testing.assert_allclose(one.volume, volume, atol=2e-5 * volume.max())

    def brightness(volume: np.ndarray, size: object) -> float:
        return float(volume[:8].mean())

    assert grade_levels(brightness, first) == grade_levels(brightness, second)


def rows_of(slope: float) -> Rows:
    return [
        {
            "case": f"p{case}",
            "mechanism": "blur",
            "level": float(n),
            "grade": 3 - slope * n,
            "reference": 3.2 - 0.35 * n,
            "latent": 0.7 - 0.05 * n,
            "latent_other": 0.1 * n,
            "haarpsi": 0.9 - 0.1 * n,
        }
        for case in range(3)
        for n in range(8)
    ]


def test_summary_says_who_passes(tmp_path: Path) -> None:
    for slope, passed in ((0.3, True), (0.0, False), (-0.3, False)):
        found = summarised({"ordering": rows_of(slope)})["ordering"]["blur"]
        assert found["passed"] is passed
    assert found["formulas"]["reference"]["worst"] == -1.0
    assert found["formulas"]["latent_other"]["median"] == 1.0
    assert found["outside"] == {"haarpsi": -1.0}
    assert within(rows_of(0.3), "haarpsi") == 1.0


def test_page_tables_and_pictures(tmp_path: Path) -> None:
    record = Record(tmp_path)
    observed: Rows = [{"case": "a", "quality": str(n), "auc": n / 9, "grade": n / 3} for n in range(6)]
    change: Rows = [
        {"case": "a", "control": "blur-outside", "before": 2.0, "after": 2.1, "change": 0.1, "passed": 1},
        {"case": "b", "control": "blur-outside", "before": 2.0, "after": 1.5, "change": -0.5, "passed": 0},
    ]
    heat: Rows = [{"case": "a", "fill": "blur", "auc": 0.7, "enriched": 2.0}]
    for name, rows in (
        ("ordering", rows_of(0.3)),
        ("observer", observed),
        ("controls", change),
        ("controls-heat", heat),
        ("test", _test_part()),
        ("outside", _outside_part()),
    ):
        record.rows(name, "all", "sha", lambda rows=rows: rows)
    record.rows("invariance", "all", "another", lambda: [{"change": 1.0}])
    grader = SimpleNamespace(name="toy", sha256="sha")
    found = summary.write(tmp_path, record, grader)
    assert "invariance" not in found
    assert found["observer"] == {"n": 1, "median": 1.0, "worst": 1.0, "passed": True}
    assert found["controls"]["blur-outside"]["n_passed"] == 1
    assert found["controls-heat"]["blur"]["passed"]
    assert found["outside"]["haarpsi"]["spearman"] == pytest.approx(1)
    assert found["outside"]["ssim"]["formula"] == pytest.approx(-1)
    page = (tmp_path / "summary.md").read_text(encoding="utf-8")
    for words in (
        "# Trust: toy",
        "research use only",
        "| blur | -1.000 |",
        "blur-outside",
        "nan",
        "latent_x",
        "alternative formulas: medians",
        "| haarpsi | 30 | 1.000 | 1.000 - 1.000 | 1.000 |",
    ):
        assert (words in page) == (words != "nan")
    assert read_json(tmp_path / "summary.json")["test"]["r2"] == pytest.approx(found["test"]["r2"])
    assert len(read_table(tmp_path / "ordering.tsv")) == 24
    assert (tmp_path / "ordering.png").stat().st_size > 5000


def _outside_part() -> Rows:
    given = [{"patient": f"p{n}", "grade": n / 10 + 0.1, "reference": n / 10} for n in range(30)]
    return [{**row, "haarpsi": n, "ssim": -n, "tracked_length": n % 7} for n, row in enumerate(given)]


def _test_part() -> Rows:
    rng = np.random.default_rng(0)
    quality = rng.uniform(0, 4, 30)
    return [
        {
            "case": f"p{n}",
            "grade": q + 0.1,
            "reference": q,
            "latent": q / 4,
            "latent_x": q / 4 + 0.05 * rng.uniform(),
            "residual_mm": 2 - q / 4,
            "snr": float(rng.uniform(8, 60)),
            "sampling": float(rng.uniform(0.1, 0.3)),
            "imperfections": "arrhythmia" if n % 3 == 0 else "none",
        }
        for n, q in enumerate(quality.tolist())
    ]
