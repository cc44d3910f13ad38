"""Grades are kept as they are finished, and made again only where something changed."""

from __future__ import annotations

import gc
import gzip
import os

import numpy as np
import pytest

from csiq.errors import ModelError
from csiq.evaluation.cases import read_cases
from csiq.evaluation.predictions import PATCHES, PREDICTIONS, grades_of, predict
from csiq.io.tables import read_table
from tests.evaluation.small_cohort import Brightness, make_cohort


def test_grades_are_kept(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "cohort", 6))
    main, other = Brightness(), Brightness("model-00", 0.2, "1" * 64)
    first = predict(cases, [main], tmp_path)
    assert main.calls == len(cases) == 4
    steps: list[tuple[str, int, int]] = []
    both = predict(cases, [main, other], tmp_path, lambda *step: steps.append(step))
    assert (main.calls, other.calls) == (4, 4)
    assert steps[-1] == (cases.volumes[-1], 4, 4)
    np.testing.assert_array_equal(both.patches[0], first.patches[0])
    np.testing.assert_allclose(both.grades[0], first.patches[0].mean(axis=(1, 2, 3, 4)), rtol=1e-6)

    rows = read_table(tmp_path / PREDICTIONS)
    assert [row["volume"] for row in rows] == list(cases.volumes)
    np.testing.assert_allclose([row["grade"] for row in rows], both.grades[0])
    np.testing.assert_allclose([row["grade_model-00"] for row in rows], both.grades[1])


def test_what_changed_is_graded_again(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "cohort", 6))
    main = Brightness()
    predict(cases, [main], tmp_path)
    os.utime(cases.images[1].path, ns=(1, 1))
    predict(cases, [main], tmp_path)
    assert main.calls == 5
    retrained = Brightness(sha256="2" * 64)
    predict(cases, [retrained], tmp_path)
    assert retrained.calls == 4
    (tmp_path / PATCHES).write_bytes(b"cut short")
    predict(cases, [retrained], tmp_path)
    assert retrained.calls == 8


def test_an_interrupted_run_goes_on(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "cohort", 6))

    class Tired(Brightness):
        def patch_grades(self, volume, voxel_size):
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().patch_grades(volume, voxel_size)

    with pytest.raises(KeyboardInterrupt):
        predict(cases, [Tired()], tmp_path)
    rows = read_table(tmp_path / PREDICTIONS)
    assert [np.isfinite(row["grade"]) for row in rows] == [True, True, False, False]
    rested = Brightness()
    predict(cases, [rested], tmp_path)
    assert rested.calls == 2


def test_failed_patches():
    patches = np.ones((3, 3, 6, 6, 6), dtype=np.float32)
    patches[1, 0, 0, 0, :3] = np.nan  # 3 of 648
    patches[2, 0] = np.nan  # a third
    assert grades_of(patches)[:2].tolist() == [1.0, 1.0]
    assert np.isnan(grades_of(patches)[2])


def test_two_models_of_one_name(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "cohort", 6))
    with pytest.raises(ModelError, match="two models are called 'brightness'"):
        predict(cases, [Brightness(), Brightness(sha256="3" * 64)], tmp_path)


def test_grades_on_a_sites_scale(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "cohort", 6))
    site = {"kind": "line", "knots": [0.0, 4.0], "values": [0.5, 3.5]}
    plain = predict(cases, [Brightness()], tmp_path)
    ours = predict(cases, [Brightness(card={"site_calibration": site})], tmp_path)
    np.testing.assert_allclose(ours.grades, 0.5 + 0.75 * plain.grades)
    np.testing.assert_array_equal(ours.patches[0], plain.patches[0])
    rows = read_table(tmp_path / PREDICTIONS)
    np.testing.assert_allclose([row["grade"] for row in rows], ours.grades[0])


def test_packed_volumes_stay_readable(tmp_path):
    folder = make_cohort(tmp_path / "cohort", 6)
    plain = predict(read_cases(folder), [Brightness()], tmp_path)
    for path in (folder / "volumes").iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    table = folder / "graded.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace(".nii", ".nii.gz"), encoding="utf-8")
    cases = read_cases(folder)
    gc.collect()
    np.testing.assert_allclose(predict(cases, [Brightness()], tmp_path).grades, plain.grades, atol=1e-3)
