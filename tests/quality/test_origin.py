"""What is said of the network that graded is true of it."""

from __future__ import annotations

import pytest

from csiq.quality.assessor import as_assessor
from csiq.quality.import_weights import foreign_card
from csiq.quality.model_file import open_model, shipped_models
from csiq.quality.network import NetworkConfig
from csiq.quality.origin import follows_readers, graded_by, is_shipped, model_entry, origin


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_network_learned_from_simulated_readers(name):
    found = open_model(name)
    entry = model_entry(found.name, found.sha256, found.card)
    assert is_shipped(entry)
    assert "trained on simulated scans, not on human readers" in graded_by(entry)
    # by its weights, whatever it is called and whether or not the run kept the card's words
    assert graded_by({"name": "renamed", "sha256": found.sha256}) == graded_by(entry)
    assert origin(entry) == "a network trained on simulated readers"


def test_an_imported_network_is_told_of_by_its_card(tmp_path):
    path = tmp_path / "theirs.pt"
    path.write_bytes(b"weights")
    entry = model_entry("theirs", "be" * 32, foreign_card(path, NetworkConfig()))
    words = graded_by(entry)
    assert words == (
        "The grades come from theirs, which does not ship with this csiq; by its card: Imported weights: "
        "what they were trained on is not known to csiq, their grades are uncertified."
    )
    assert "simulated" not in words
    assert origin(entry).startswith("by its card: Imported weights")


def test_a_grader_without_a_card_is_of_unknown_provenance():
    own = as_assessor(lambda volume, voxel_size: 2.0, "sharpness")
    entry = model_entry(own.name, own.sha256, own.card)
    assert entry == {"name": "sharpness", "sha256": ""}
    assert "come from sharpness, of unknown provenance" in graded_by(entry)
    assert origin(entry) == "unknown provenance"
    assert "simulated" not in graded_by(entry) + graded_by(None) + graded_by({"name": "x", "use": 3})


def test_readers_are_followed_by_who_learned_from_them_or_was_calibrated_to_them():
    assert follows_readers({"site_calibration": {"kind": "line"}})
    assert follows_readers({"training": {"reader": "reader1a", "cohort": None}})
    assert not follows_readers({"training": {"reader": "reader1a", "cohort": {"seed": 0}}})
    assert not follows_readers({"training": {"reader": "reference", "cohort": None}})
    # imported weights, and graders without a card
    assert not follows_readers({"training": {}})
    assert not follows_readers({})
