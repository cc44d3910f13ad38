"""Anything can grade: functions, objects, torch modules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from csiq.config import load_config
from csiq.errors import ConfigError, ModelError
from csiq.pipeline import reconstruct
from csiq.quality.assessor import Assessor, Grade, as_assessor
from csiq.quality.grade import Grader
from csiq.quality.model_file import DEFAULT_MODEL
from csiq.quality.network import IQDCNN, NetworkConfig

VOXEL = (4.0, 4.0, 4.0)
SMALL = NetworkConfig(widths=(4, 4, 8, 8), hidden=(16, 8))


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return (1 + rng.random((52, 52, 52)) + 1j).astype(np.complex64)


def sharpness(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> float:
    return float(volume.mean()) / voxel_size[0]


def test_a_function_grades_magnitudes(volume: np.ndarray) -> None:
    seen: list[Any] = []

    def look(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> float:
        seen.append((volume.dtype, volume.shape, voxel_size))
        return float(volume.mean())

    found = as_assessor(look).grade(volume, VOXEL)
    assert seen == [(np.float32, (52, 52, 52), VOXEL)]
    assert found.grade == pytest.approx(np.abs(volume).mean(), rel=1e-5)
    assert math.isnan(found.grade_sd)
    assert not found.in_domain
    assert "look has no model card: its grades are uncertified" in found.warnings


def test_an_object_with_a_method_grades(volume: np.ndarray) -> None:
    class Mine:
        def grade(self, volume: np.ndarray, voxel_size: tuple[float, float, float]) -> tuple[float, float]:
            return 2.5, 0.4

    assessor = as_assessor(Mine(), name="mine")
    found = assessor.grade(volume, VOXEL)
    assert (found.grade, found.grade_sd, assessor.name, assessor.side_line()) == (2.5, 0.4, "mine", None)
    assert assessor.card == {}


def test_a_full_grade_is_passed_on_and_marked(volume: np.ndarray) -> None:
    full = Grade(3.0, 0.1, True, interval=(2.5, 3.4), uncertainty=0.3, warnings=("so so",))
    found = as_assessor(lambda volume, voxel_size: full).grade(volume, VOXEL)
    assert (found.grade, found.in_domain, found.interval) == (3.0, True, (2.5, 3.4))
    assert found.warnings[1] == "so so"
    assert "uncertified" in found.warnings[0]


def test_no_grade_is_no_grade(volume: np.ndarray) -> None:
    found = as_assessor(lambda volume, voxel_size: math.nan).grade(volume, VOXEL)
    assert math.isnan(found.grade)
    assert found.n_failed == 1


def test_a_torch_module_grades_the_slices(volume: np.ndarray) -> None:
    torch.manual_seed(3)
    network = IQDCNN(SMALL)
    found = as_assessor(network).grade(volume, VOXEL)
    # the same network as a certified one would be: in evaluation mode, on the same slices
    from csiq.quality.patches import volume_slices

    slices = torch.from_numpy(volume_slices(np.abs(volume), VOXEL).values).reshape(-1, 208, 208)
    with torch.inference_mode():
        expected = network.eval()(slices).double()
    assert found.grade == pytest.approx(float(expected.mean()), abs=1e-6)
    assert found.grade_sd == pytest.approx(float(expected.std(correction=0)), abs=1e-6)
    assert found.n_patches == 648
    assert len(as_assessor(network).sha256) == 64


def test_a_module_may_give_one_number_a_slice(volume: np.ndarray) -> None:
    class Mean(nn.Module):
        def forward(self, slices: torch.Tensor) -> torch.Tensor:
            return slices.mean(dim=(1, 2))

    found = as_assessor(Mean()).grade(volume, VOXEL)
    assert found.n_patches == 18
    assert 0 < found.grade < 2
    dark = as_assessor(Mean()).grade(np.zeros_like(volume), VOXEL)
    assert math.isnan(dark.grade)
    assert any("dark" in warning for warning in dark.warnings)


def test_a_grader_is_left_as_it_is() -> None:
    grader = Grader.load()
    assert isinstance(grader, Assessor)
    assert as_assessor(grader) is grader


@pytest.mark.parametrize("thing", [3, DEFAULT_MODEL, None, object()])
def test_what_cannot_grade(thing: object) -> None:
    with pytest.raises(ConfigError, match="grader"):
        as_assessor(thing)


@pytest.mark.parametrize("answer", ["good", None, (1.0, 2.0, 3.0), [[1.0]]])
def test_answers_that_are_no_grade(answer: object, volume: np.ndarray) -> None:
    with pytest.raises(ModelError, match="expected a grade"):
        as_assessor(lambda volume, voxel_size: answer, name="odd").grade(volume, VOXEL)


def test_a_reconstruction_stops_by_a_function_of_one_s_own(simulated: Any) -> None:
    scan, _ = simulated
    calls: list[float] = []

    def grade(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> tuple[float, float]:
        # rises over two iterations of two phases, then stands still
        calls.append(min(1 + 0.5 * (len(calls) // 2), 2.0))
        return calls[-1], 0.1

    config = load_config(overrides={"phases": 2, "max_iter": 6, "stop_on_plateau": True})
    result = reconstruct(scan, config, grader=grade)
    assert result.stop.reason == "plateau"
    assert result.stop.iteration == 4
    assert result.model == {"name": "grade", "sha256": ""}
    assert any("uncertified" in warning for warning in result.warnings)
