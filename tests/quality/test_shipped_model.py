"""The network that ships: whole, honest about its origin, and right about a patient it never saw."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from csiq.cli.model import model
from csiq.quality import model_file
from csiq.quality.domain import DESCRIPTOR_SET
from csiq.quality.grade import Grade, Grader
from csiq.quality.reference import formula_sha256, grade, measure
from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.truth import heart_truth
from csiq.simulate.motion import MotionState
from csiq.trust.image_quality import ImageQuality, coil_shading

#: A patient the training set does not have.
STRANGER = 7
FOV = 208.0
STATE = MotionState(3.0)


@cache
def _grader() -> Grader:
    return Grader.load()


@cache
def _heart(matrix: int) -> np.ndarray:
    """What a perfect image would show, coils' shading included; read only."""
    grid = Grid.cube(matrix, FOV)
    image = rasterise(Patient.from_seed(STRANGER), grid, STATE, threads=1) * coil_shading(STRANGER, grid)
    image.setflags(write=False)
    return image


def _grade(image: np.ndarray) -> Grade:
    return _grader().grade(image, (FOV / image.shape[0],) * 3)


@cache
def _grade_of(**fault: float) -> float:
    image = ImageQuality("made", **fault).image(_heart(128), FOV / 128, seed=0)
    return _grade(image).grade


# --- what its card says -----------------------------------------------------------------------------


def test_card_says_what_it_is() -> None:
    card = _grader().card
    assert "Research use only" in card["use"]
    assert "simulated readers" in card["use"]
    assert (card["grades"]["min"], card["grades"]["max"]) == (0, 4)
    assert card["voxel_size_mm"]["min"] <= 1.0 <= card["voxel_size_mm"]["max"]
    assert card["domain"]["statistics"] == DESCRIPTOR_SET
    assert card["training"]["cohort"]["study"] == "paper"
    assert len(card["training"]["manifest"]["sha256"]) == 64
    assert isinstance(card["training"]["seed"], int)


def test_reference_grades_follow_the_formula_of_this_version() -> None:
    assert _grader().card["formula"]["sha256"] == formula_sha256()


def test_who_it_was_trained_on_is_said_and_nobody_else() -> None:
    training = _grader().card["training"]
    trained = training["sets"]["train"]
    assert len(set(trained["seeds"])) == trained["patients"]
    assert STRANGER not in trained["seeds"]
    assert all(part.startswith("train") for part in trained["splits"])
    assert sum(trained["images"].values()) == sum(trained["images_per_half_grade"])


def test_scores_on_patients_never_trained_on() -> None:
    found = _grader().card["evaluation"]
    assert found["patients"] >= 100
    assert found["all"]["against"] == "reference"
    assert found["all"]["split"] == "test"
    assert found["all"]["r2"] > 0.85
    assert found["all"]["spearman"] > 0.9


def test_intervals_hold_what_they_say() -> None:
    confidence = _grader().card["confidence"]
    assert confidence["level"] == 0.9
    assert 0.85 <= confidence["coverage"] <= 0.95


def test_weights_are_those_of_the_card_and_small() -> None:
    shipped = model_file.open_model("default")
    assert shipped.name == model_file.DEFAULT_MODEL
    assert shipped.warnings == ()
    assert shipped.card is not None
    assert shipped.card["sha256"] == shipped.sha256
    assert len(shipped.weights) < 5_000_000


def test_commands_verify_list_and_show_it() -> None:
    def said(*arguments: str) -> Any:
        return CliRunner().invoke(model, arguments, catch_exceptions=False).output

    assert "as its card says" in said("verify")
    listed = json.loads(said("list", "--json"))
    assert [entry["name"] for entry in listed if entry["default"]] == [model_file.DEFAULT_MODEL]
    shown = said("show")
    for words in ("Research use only", "simulated readers", "never trained on", "against the noise-free"):
        assert words in shown


# --- what it says of a patient ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "levels"),
    [("blur", (1.5, 3.0)), ("motion", (1.5, 3.0)), ("noise", (0.1, 0.15)), ("streaks", (0.05, 0.1))],
)
def test_each_fault_alone_lowers_the_grade(fault: str, levels: tuple[float, float]) -> None:
    grades = [_grade_of(), *(_grade_of(**{fault: level}) for level in levels)]
    assert np.all(np.diff(grades) < -0.15), grades
    assert grades[0] - grades[-1] > 1.0, grades


def test_scale_and_mirrors_do_not_matter() -> None:
    image = ImageQuality("made", noise=0.07).image(_heart(128), FOV / 128, seed=1)
    here = _grade(image).grade
    assert _grade(image * 1e-6).grade == pytest.approx(here, abs=1e-3)
    for axis in range(3):
        # voxel n // 2 stays where it is
        assert _grade(np.roll(np.flip(image, axis), 1, axis)).grade == pytest.approx(here, abs=0.1)


def test_what_is_no_heart_is_outside_the_domain(rng: np.random.Generator) -> None:
    noise = np.abs(rng.standard_normal((104, 104, 104), dtype=np.float32))
    half = gaussian_filter((np.mgrid[:104, :104, :104][0] > 52).astype(np.float32), 3)
    for image in (noise, half):
        found = _grade(image)
        assert not found.in_domain
        assert found.interval is None


@pytest.mark.slow
def test_fewer_spokes_grade_lower() -> None:
    from csiq.density import density_compensation
    from csiq.nufft import Nufft
    from csiq.trajectory import named_trajectory

    grades = []
    for share in (0.3, 0.1, 0.03):
        coord = named_trajectory("phyllotaxis", round(share * np.pi / 2 * 128**2), 256, (128,) * 3)
        nufft = Nufft(coord, (128,) * 3, eps=1e-3)
        kspace = nufft.forward(_heart(128).astype(np.complex64))
        grades.append(_grade(nufft.adjoint(kspace * density_compensation(coord))).grade)
    assert np.all(np.diff(grades) < -0.3), grades


@pytest.mark.slow
def test_at_1_mm_the_grade_is_near_the_reference() -> None:
    grid = Grid.cube(208, FOV)
    truth = heart_truth(Patient.from_seed(STRANGER), grid, STATE, coil_shading(STRANGER, grid), threads=1)
    for quality in (ImageQuality("good", noise=0.04), ImageQuality("soft", blur=2.5)):
        image = quality.image(truth.volume, 1.0, seed=0)
        found, reference = _grade(image), grade(measure(image, truth))
        assert found.in_domain
        assert found.grade == pytest.approx(reference, abs=0.75), quality.name
