"""The network that ships: whole, honest about its origin, and right about patients it never saw."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from csiq.cli.model import model
from csiq.quality import model_file
from csiq.quality.formula import formula_sha256
from csiq.quality.grade import Grade, Grader
from csiq.simulate.anatomy import Patient
from csiq.simulate.quick_scan import Scene

#: Of no block of seeds the training set draws from.
STRANGERS = (7, 8)
VOXEL = (1.625, 1.625, 1.625)


@cache
def _grader() -> Grader:
    return Grader.load()


@cache
def _scene(seed: int) -> Scene:
    return Scene.make(Patient.from_seed(seed), 128, 3, np.random.default_rng(seed))


@cache
def _heart(seed: int, displacement: float = 0.0) -> np.ndarray:
    return _scene(seed).image(displacement) * _scene(seed).shading


def _noisy(image: np.ndarray, snr: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2, *image.shape), dtype=np.float32) / np.float32(snr * np.sqrt(2))
    return image + noise[0] + 1j * noise[1]


def _grade(image: np.ndarray) -> Grade:
    return _grader().grade(image, VOXEL)


def _moved(seed: int, amount: float) -> np.ndarray:
    states = 5 + amount * np.linspace(-0.5, 0.5, 5)
    return np.mean([_heart(seed, float(s)) for s in states], axis=0)


def test_card_says_what_it_is() -> None:
    card = _grader().card
    assert "Research use only" in card["use"]
    assert "Simulated readers" in card["use"]
    assert card["grades"]["min"] == 0
    assert card["grades"]["max"] == 4
    sizes = card["voxel_size_mm"]
    assert sizes["min"] <= 1.625 <= sizes["max"]
    assert 1.625 in sizes["trained"]


def test_reference_grades_follow_the_formula_of_this_version() -> None:
    assert _grader().card["formula"]["sha256"] == formula_sha256()


def test_patients_of_the_test_were_never_trained_on() -> None:
    sets = _grader().card["training"]["sets"]
    seeds = {split: set(sets[split]["seeds"]) for split in sets}
    assert not seeds["train"] & seeds["test"]
    assert not seeds["validation"] & seeds["test"]
    assert not (seeds["train"] | seeds["validation"]) & set(STRANGERS)


def test_accuracy_in_the_card() -> None:
    found = _grader().card["evaluation"]
    assert found["patients"] >= 5
    assert found["all"]["r2"] > 0.8
    assert found["all"]["spearman"] > 0.85
    assert found["order_of_cs_iterates"]["share"] > 0.8


@pytest.mark.parametrize("seed", STRANGERS)
def test_perfect_images_grade_high_and_bad_ones_low(seed: int) -> None:
    good, bad = _grade(_noisy(_heart(seed), 40)), _grade(_noisy(_heart(seed), 2.0))
    assert good.grade > 3
    assert bad.grade < 1.2
    assert good.in_domain


@pytest.mark.parametrize("seed", STRANGERS)
def test_more_noise_grades_lower(seed: int) -> None:
    grades = [_grade(_noisy(_heart(seed), snr)).grade for snr in (40, 8, 5, 3.5, 2.5)]
    assert np.all(np.diff(grades) < 0), grades


@pytest.mark.parametrize("seed", STRANGERS)
def test_more_motion_grades_lower(seed: int) -> None:
    grades = [_grade(_noisy(_moved(seed, amount), 30)).grade for amount in (0, 8, 16)]
    assert np.all(np.diff(grades) < -0.1), grades


@pytest.mark.slow
@pytest.mark.parametrize("seed", STRANGERS)
def test_fewer_spokes_grade_lower(seed: int) -> None:
    from csiq.density import density_compensation
    from csiq.nufft import Nufft
    from csiq.trajectory import named_trajectory

    grades = []
    for share in (0.4, 0.12, 0.03):
        coord = named_trajectory("phyllotaxis", round(share * np.pi / 2 * 128**2), 256, (128,) * 3)
        nufft = Nufft(coord, (128,) * 3, eps=1e-4)
        kspace = nufft.forward(_heart(seed).astype(np.complex64))
        grades.append(_grade(nufft.adjoint(kspace * density_compensation(coord))).grade)
    assert np.all(np.diff(grades) < -0.1), grades


def test_scale_does_not_matter() -> None:
    image = _noisy(_heart(7), 6)
    assert _grade(image * 1e-6).grade == pytest.approx(_grade(image).grade, abs=1e-3)


def test_what_is_no_heart_is_outside_the_domain(rng: np.random.Generator) -> None:
    noise = rng.standard_normal((128, 128, 128), dtype=np.float32)
    assert not _grade(noise).in_domain
    ball = gaussian_filter((np.mgrid[:128, :128, :128][0] > 64).astype(np.float32), 3)
    assert not _grade(ball).in_domain


def test_command_verifies_it() -> None:
    done = CliRunner().invoke(model, ["verify"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "SHA-256" in done.output
    assert "as its card says" in done.output


def test_command_lists_and_shows_it() -> None:
    listed = json.loads(CliRunner().invoke(model, ["list", "--json"], catch_exceptions=False).output)
    assert [entry["name"] for entry in listed if entry["default"]] == [model_file.DEFAULT_MODEL]
    table = CliRunner().invoke(model, ["list"], catch_exceptions=False).output
    assert f"{model_file.DEFAULT_MODEL} (default)" in table
    shown = CliRunner().invoke(model, ["show"], catch_exceptions=False).output
    assert "Research use only" in shown
    assert "never trained on" in shown


def test_weights_load_from_the_package_and_from_a_file(tmp_path: object) -> None:
    shipped = model_file.open_model("default")
    assert shipped.card is not None
    assert shipped.card["sha256"] == shipped.sha256
    assert len(shipped.weights) < 5_000_000
