"""Which images are tested, by whom they were graded, and how often they can be read again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from csiq.errors import ConfigError
from csiq.evaluation import estimating
from csiq.evaluation.cases import Roles, read_cases
from csiq.evaluation.study import Request, evaluate
from csiq.io.tables import read_table, write_table
from tests.evaluation.small_cohort import Brightness, make_cohort


def test_roles_follow_from_names():
    assert Roles.of(["reader1a", "reader1b", "reader2"], "reader1a") == Roles(
        "reader1a", "reader1b", "reader2"
    )
    assert Roles.of(["reader1a", "reader1b", "reader2"], "reader2") == Roles("reader2", None, "reader1a")
    assert Roles.of(["reader_smith"], "reader_smith") == Roles("reader_smith")
    with pytest.raises(ConfigError, match="did you mean 'reader1a'"):
        Roles.of(["reader1a"], "reader1")


def test_a_cohort_is_read_again(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "cohort", 12))
    assert len(cases) == 8
    assert cases.notes == ()
    assert cases.draws is not None
    for reader in cases.readers:
        drawn = cases.draws[reader]
        assert drawn.shape == (200, 8)
        assert set(np.unique(2 * drawn) % 1) == {0.0}
        assert (drawn != cases.grades(reader)).any()
    # the two observers lean to opposite sides, so their mean is the quality but for what the scale's ends cut
    both = (cases.draws["reader1a"] + cases.draws["reader2"]).mean(axis=0) / 2
    assert np.abs(both - cases.reference).max() < 0.15
    assert len(cases.database) == 12


def test_other_peoples_grades_are_not_drawn_again(tmp_path):
    folder = make_cohort(tmp_path / "cohort", 12)
    rows = read_table(folder / "graded.tsv")
    for row in rows:
        row["reader2"] = 4.0 - row["reader2"]
    write_table(folder / "graded.tsv", rows)
    cases = read_cases(folder)
    assert cases.draws is None
    assert "not those of the cohort's readers" in cases.notes[-1]


def test_readings_that_are_missing_are_missing_on_all_days(tmp_path):
    folder = make_cohort(tmp_path / "cohort", 30)
    whole, rows = read_cases(folder), read_table(folder / "graded.tsv")
    for row in rows[::5]:
        row["reader2"] = math.nan
    write_table(folder / "graded.tsv", rows)
    cases = read_cases(folder)
    assert cases.notes == ()
    read = np.isfinite(cases.grades("reader2"))
    assert 0 < read.sum() < len(cases)
    np.testing.assert_array_equal(np.isfinite(cases.draws["reader2"]), np.tile(read, (200, 1)))
    np.testing.assert_array_equal(cases.draws["reader2"][:, read], whole.draws["reader2"][:, read])
    np.testing.assert_array_equal(cases.draws["reader1a"], whole.draws["reader1a"])
    # a reader who is not in the table at all
    write_table(folder / "graded.tsv", [{k: v for k, v in row.items() if k != "reader2"} for row in rows])
    np.testing.assert_array_equal(read_cases(folder).draws["reader1b"], whole.draws["reader1b"])


def _without(folder, table, column):
    rows = read_table(folder / table)
    write_table(folder / table, [{k: v for k, v in row.items() if k != column} for row in rows])


@pytest.mark.parametrize(
    ("table", "column", "why"),
    [
        ("patients.tsv", "sharpness", "does not have number, sharpness or cleanliness"),
        ("patients.tsv", "number", "does not have number, sharpness or cleanliness"),
        ("graded.tsv", "reference", "drawn from the reference, which some volumes have not"),
    ],
)
def test_why_nobody_is_drawn_again(tmp_path, table, column, why):
    folder = make_cohort(tmp_path / "cohort", 6)
    _without(folder, table, column)
    cases = read_cases(folder)
    assert cases.draws is None
    assert why in cases.notes[-1]


def test_a_reader_beside_those_of_the_cohort_is_not_drawn_again(tmp_path):
    folder = make_cohort(tmp_path / "cohort", 6)
    rows = read_table(folder / "graded.tsv")
    write_table(folder / "graded.tsv", [{**row, "reader3": row["reader2"]} for row in rows])
    assert read_cases(folder).draws is not None
    cases = read_cases(folder, reader="reader3")
    assert cases.draws is None
    assert cases.notes == ("reader3 is none of the cohort's simulated readers: nobody is drawn again.",)


def test_a_clinic_has_no_reference_and_no_redraws(tmp_path):
    cases = read_cases(make_cohort(tmp_path / "clinic", 6, known=False) / "graded.tsv")
    assert cases.reference is None
    assert cases.draws is None
    assert cases.facts("p001") is None
    assert "No volume has a noise-free reference" in cases.notes[0]
    assert "cannot be asked again" in cases.notes[1]


def test_several_volumes_of_a_patient_are_said(tmp_path):
    folder = make_cohort(tmp_path / "clinic", 12, known=False)
    rows = read_table(folder / "graded.tsv")
    for number, row in enumerate(rows):
        if row["split"] == "test":
            row["patient"] = f"q{number % 2}"
    write_table(folder / "graded.tsv", rows)
    cases = read_cases(folder / "graded.tsv")
    assert set(cases.patients) == {"q0", "q1"}
    (note,) = (note for note in cases.notes if note.startswith("8 volumes are of 2 patients: "))
    assert note.endswith("Of so few patients they are still too narrow.")


def test_volumes_of_one_patient_have_no_intervals(tmp_path, monkeypatch):
    monkeypatch.setattr(estimating, "N_RESAMPLES", 20)
    folder = make_cohort(tmp_path / "clinic", 12, known=False)
    rows = read_table(folder / "graded.tsv")
    for row in rows:
        row["patient"] = "q" if row["split"] == "test" else row["patient"]
    write_table(folder / "graded.tsv", rows)
    record = evaluate(Request(folder), [Brightness()], tmp_path / "out")
    assert "All volumes are of one patient: there are no intervals over patients." in record["notes"]
    found = record["network_against_reader"]["patients"]["kappa"]
    assert found["single"] > 0.5
    assert (found["low"], found["high"]) == (None, None)
    assert record["differences_from_paper"] == []


def test_a_cohorts_table_of_patients_may_tell_little(tmp_path, monkeypatch):
    monkeypatch.setattr(estimating, "N_RESAMPLES", 20)
    folder = make_cohort(tmp_path / "cohort", 12)
    for column in ("age", "sex", "seed", "sharpness"):
        _without(folder, "patients.tsv", column)
    record = evaluate(Request(folder), [Brightness()], tmp_path / "out")
    assert "age_mean" not in record["database"]
    assert record["redraws"] == 0


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_cases(tmp_path)
    folder = make_cohort(tmp_path / "cohort", 6)
    with pytest.raises(ConfigError, match="no scan is in validation"):
        read_cases(folder, split="validation")
    with pytest.raises(ConfigError, match="reader2"):
        read_cases(folder, reader="reader3")
