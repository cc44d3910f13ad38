"""What grades an image as a whole is evaluated like a network, but for its patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csiq.errors import ConfigError
from csiq.evaluation import estimating
from csiq.evaluation.study import Request, evaluate, parts_with
from csiq.evaluation.whole_images import WholeImages, with_patches
from csiq.io.tables import read_table
from csiq.quality.assessor import Grade
from tests.evaluation.small_cohort import Brightness, make_cohort


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(estimating, "N_RESAMPLES", 40)
    monkeypatch.setattr(estimating, "N_RESAMPLES_REDRAWS", 20)


class Middle:
    """Reads the grade off the voxel in the middle; counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def grade(self, volume, voxel_size):
        assert volume.dtype == np.float32
        assert voxel_size == pytest.approx((13.0, 13.0, 13.0))
        self.calls += 1
        middle = float(volume[8, 8, 8]) - 1
        return middle + 0.1 * np.sin(40 * middle), 0.25


def test_an_object_that_grades_is_evaluated(tmp_path):
    folder, out, grader = make_cohort(tmp_path / "cohort", 15), tmp_path / "out", Middle()

    def again(volume, voxel_size):
        return float(volume[8, 8, 8]) - 0.9

    record = evaluate(Request(folder), [grader, again], out, parts=parts_with(peers=False))
    assert grader.calls == record["n"] == 10
    assert [one["name"] for one in record["config"]["models"]] == ["Middle", "again"]
    found = record["network_against_reader"]
    assert found["patches"] == found["gain"] == found["gain_estimates"] == {}
    assert found["retrained"]["patches"] == {}
    assert found["retrained"]["patients"]["mae"]["n"] == 1
    assert found["patients"]["kappa"]["ceiling"] > 0.5
    assert record["redraws"] == 200
    assert record["reference"]["against_reference"]["r2"] > 0.98
    assert record["patch_histograms"] == {"cases": []}
    assert any(note.startswith("Middle grades images as a whole") for note in record["notes"])
    rows = read_table(out / "predictions.tsv")
    assert {row["grade_sd"] for row in rows} == {0.25}
    tested = [row for row in rows if np.isfinite(row["reference"])]
    off = [row["grade"] - row["reference"] - 0.1 * np.sin(40 * row["reference"]) for row in tested]
    assert np.abs(off).max() < 0.02  # of the volume's 16 bits
    assert not (out / "tables" / "merits-patches.tsv").exists()
    assert not (out / "figures" / "figure-3a.tsv").exists()
    assert not (out / "figures" / "figure-E2.tsv").exists()
    assert (out / "figures" / "figure-3b.tsv").is_file()
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert "Middle against Observer 1a" in page
    assert "grades alone, no interval and no domain" in page
    # without weights nobody knows whether it is the same: it is asked again
    evaluate(Request(folder, resume=True), [grader, again], out, parts=())
    assert grader.calls == 20


def test_a_retraining_that_grades_images_as_a_whole_takes_no_patches_from_the_network(tmp_path):
    def whole(volume, voxel_size):
        return float(volume[8, 8, 8]) - 0.9

    folder, out = make_cohort(tmp_path / "cohort", 9), tmp_path / "out"
    record = evaluate(Request(folder, reader="reader2"), [Brightness(), whole], out)
    found = record["network_against_reader"]
    assert found["patches"]["mae"]["single"] > 0
    assert found["retrained"]["patches"] == {}
    assert found["retrained"]["patients"]["mae"]["n"] == 1
    assert record["notes"] == []
    assert "--reader reader2" in (out / "evaluation.html").read_text(encoding="utf-8")


def test_an_image_without_a_grade_is_said_to_have_none(tmp_path):
    def sometimes(volume, voxel_size):
        grade = float(volume[8, 8, 8]) - 1
        return grade if grade < 3 else float("nan")

    folder, out = make_cohort(tmp_path / "cohort", 9), tmp_path / "out"
    record = evaluate(Request(folder), [sometimes], out, parts=())
    assert record["notes"][0] == "1 images got no grade: left out."
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    line = 'evaluate(Request(Path("graded.tsv"), "test", "reader1a"), [sometimes], "DIR")'
    assert line.replace('"', "&#34;") in page


def test_a_torch_module_is_known_by_its_weights(tmp_path):
    class Means(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(3.0))

        def forward(self, slices):
            return self.gain * slices.mean(dim=(1, 2))

    folder, out = make_cohort(tmp_path / "cohort", 6), tmp_path / "out"
    (grader,) = with_patches([Means()])
    assert isinstance(grader, WholeImages)
    assert len(grader.sha256) == 64
    record = evaluate(Request(folder), [Means()], out, parts=())
    assert record["config"]["models"] == [{"name": "Means", "sha256": grader.sha256}]


def test_intervals_of_a_function_are_held_against_the_reference(tmp_path):
    def sure(volume, voxel_size):
        grade = float(volume[8, 8, 8]) - 1
        return Grade(grade, 0.1, True, interval=(grade - 0.5, grade + 0.5), uncertainty=0.3)

    folder = make_cohort(tmp_path / "cohort", 9)
    record = evaluate(Request(folder), [sure], tmp_path / "out")
    assert record["confidence"]["coverage"]["coverage"] == 1
    assert record["confidence"]["outside_domain"] == 0


def test_numbers_of_numpy_are_kept_as_those_of_python(tmp_path):
    calls = []

    class Sure:
        def grade(self, volume, voxel_size):
            calls.append(volume[8, 8, 8] - 1)
            low, high = calls[-1] - np.float32(0.5), calls[-1] + np.float32(0.5)
            return Grade(calls[-1], np.float32(0.1), np.bool_(False), np.int64(7), interval=(low, high))

    class Hashed(WholeImages):
        sha256 = "a" * 64

    folder, out = make_cohort(tmp_path / "cohort", 6), tmp_path / "out"
    (grader,) = with_patches([Sure()])
    assert grader.assessor.grade(np.ones((9, 9, 9)), (1.0, 1.0, 1.0)).in_domain is False
    graders = [Hashed(grader.assessor)]
    first = evaluate(Request(folder), graders, out, parts=parts_with(peers=False))
    n = len(calls)
    again = evaluate(Request(folder, resume=True), graders, out, parts=parts_with(peers=False))
    assert len(calls) == n, "what was kept is read"
    assert again["confidence"] == first["confidence"]
    assert first["confidence"]["outside_domain"] == first["n"]


def test_what_has_patches_stays_and_what_cannot_grade_is_refused():
    network = Brightness()
    assert with_patches([network]) == [network]
    with pytest.raises(ConfigError, match="expected a grader"):
        with_patches([3])
