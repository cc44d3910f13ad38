"""The records that lie in benchmarks/study: whole, of one network, and enough to draw the page from."""

from pathlib import Path

import numpy as np
import pytest

from csiq.io.tables import read_json, read_table
from csiq.quality.model_file import DEFAULT_MODEL, open_model
from csiq.study.material import read_material
from csiq.study.record import is_finished, read_record
from csiq.study.request import StudyRequest
from csiq.study.scans import choose_scans

RECORDS = Path(__file__).parents[2] / "benchmarks" / "study"


@pytest.fixture(scope="module")
def record():
    return read_json(RECORDS / "study.json")


def test_every_record_is_whole_and_of_the_network_that_ships(record):
    places = sorted((RECORDS / "scans").glob("p*-*"))
    assert len(places) == 69 * 3 + 30 * 2  # both solvers, and the self-navigated image of a test scan
    graded_by = record["config"]["model"]
    assert graded_by["name"] == DEFAULT_MODEL
    for place in places:
        assert is_finished(place, graded_by["sha256"]), place.name
        made = read_record(place)
        assert made.facts["scan"] in record["roles"], place.name
        if made.facts["part"] != "selfnav":
            assert len(made.rows) == 4 * (record["config"]["max_iter"] + 1), place.name
            assert np.isfinite([row["reference"] for row in made.rows]).all(), place.name


def test_who_tests_did_not_train(record):
    trained = set(open_model(DEFAULT_MODEL).card["training"]["sets"]["train"]["seeds"])
    request = StudyRequest(RECORDS / "cohort", n_scans=69, n_tuning=30, matrix=128)
    chosen = choose_scans(request)
    for scan in chosen:
        assert (scan.patient.seed in trained) == (scan.role == "tuning"), scan.name
    assert record["roles"] == {scan.name: scan.role for scan in chosen}


def test_they_are_read_as_a_study(record):
    material = read_material(RECORDS, record["config"], record["roles"])
    assert {key: len(curves) for key, curves in material.test.items()} == {"nlcg": 69, "pnlcg": 69}
    assert {key: len(curves) for key, curves in material.tuning.items()} == {"nlcg": 30, "pnlcg": 30}
    splits = {row["split"] for row in read_table(RECORDS / "cohort" / "patients.tsv")}
    assert splits == {"test", "train1"}
