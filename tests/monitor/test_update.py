"""The monitor in a loop of one's own: images of any kind, iterations left out, several phases."""

from __future__ import annotations

import math
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from csiq.errors import ConfigError, ShapeError
from csiq.history import History
from csiq.monitor import QualityMonitor, QualityWarning
from csiq.monitor.images import volumes_of
from csiq.stopping import GradePlateau, MaxIter, Stop, TimeLimit
from tests.fakes import ScriptedGrader

pytestmark = pytest.mark.filterwarnings("ignore:.* has no model card:csiq.monitor.QualityWarning")


def brightness(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> tuple[float, float]:
    """Return the mean of a volume as its grade, and the height of its voxels as the spread."""
    return float(volume.mean()), voxel_size[1]


@pytest.mark.parametrize(
    ("shape", "voxel_size", "expected", "sizes"),
    [
        ((5, 6), (2, 3), (1, 1, 5, 6), (2, 2, 3)),
        ((5, 6), (8, 2, 3), (1, 1, 5, 6), (8, 2, 3)),
        ((4, 5, 6), (2, 3), (4, 1, 5, 6), (2, 2, 3)),
        ((4, 5, 6), (1, 2, 3), (1, 4, 5, 6), (1, 2, 3)),
        ((2, 4, 5, 6), (1, 2, 3), (2, 4, 5, 6), (1, 2, 3)),
        ((3, 2, 4, 5, 6), (1, 2, 3), (6, 4, 5, 6), (1, 2, 3)),
        ((3, 2, 5, 6), (2, 3), (6, 1, 5, 6), (2, 2, 3)),
    ],
)
def test_axes_in_front_of_space_are_phases(shape, voxel_size, expected, sizes):
    image = np.arange(math.prod(shape)).reshape(shape)
    volumes, found = volumes_of(image, voxel_size)
    assert volumes.shape == expected
    assert found == sizes
    assert np.shares_memory(volumes, image)
    np.testing.assert_array_equal(volumes.ravel(), image.ravel())


@pytest.mark.parametrize("shape", [(5,), (0, 4), ()])
def test_what_is_no_image(shape):
    with pytest.raises(ShapeError, match="expected an image"):
        volumes_of(np.ones(shape), (1, 1, 1))


def test_each_phase_has_its_grade_and_the_rule_its_scope():
    monitor = QualityMonitor(brightness, GradePlateau(scope="all"), voxel_size=(1, 1, 1))
    stops = []
    for k in range(8):
        # phase 1 stands from iteration 2 on, phase 2 from 4 on
        image = np.stack([np.full((2, 3, 4), 1 + min(k, 2)), np.full((2, 3, 4), 1 + min(k, 4))])
        stops.append(monitor.update(image, cost=10.0 - k))
    assert monitor.history.steps[3].grades == (3.0, 4.0)
    assert stops.index(True) == 6
    assert monitor.stop == Stop(6, "plateau", "grade_plateau_all")
    assert monitor.best.iteration == 7
    assert monitor.best.image.shape == (2, 2, 3, 4)


def test_the_kept_image_is_a_copy():
    monitor = QualityMonitor(brightness, voxel_size=(1, 1))
    image = np.full((4, 4), 2.0)
    monitor.update(image)
    monitor.update(image + 1)
    image[:] = 0
    assert monitor.best.iteration == 1
    assert monitor.best.image.mean() == 3.0


def test_tensors_and_complex_images():
    monitor = QualityMonitor(brightness, voxel_size=(1, 1, 1))
    assert not monitor.update(torch.full((2, 3, 4), 3.0, requires_grad=True))
    assert not monitor.update(1j * torch.full((2, 3, 4), 4.0))
    assert monitor.history.steps[1].grades == (4.0,)
    assert monitor.best.image.dtype == np.complex64
    np.testing.assert_array_equal(monitor.best.image, np.full((2, 3, 4), 4j))


def test_iterations_that_nobody_looked_at_are_gaps():
    """Iterates 2, 4, 6, 8: the rule counts iterations, not looks."""
    monitor = QualityMonitor(brightness, [GradePlateau(patience=4, min_iter=1)], voxel_size=(1, 1))
    values = {2: 1.0, 4: 2.0, 6: 2.02, 8: 2.04}
    stops = {k: monitor.update(np.full((4, 4), v), iteration=k) for k, v in values.items()}
    assert stops == {2: False, 4: False, 6: False, 8: True}
    assert monitor.stop.iteration == 8
    assert [k for k, s in enumerate(monitor.history.steps) if math.isfinite(s.grades[0])] == [2, 4, 6, 8]
    assert isinstance(History.from_rows(monitor.history.rows()), History)
    with pytest.raises(ConfigError, match="iteration 8 comes after 8"):
        monitor.update(np.ones((4, 4)), iteration=8)


def test_a_rule_on_scatter_refuses_gaps():
    monitor = QualityMonitor(brightness, "resolved", voxel_size=(1, 1))
    monitor.update(np.ones((4, 4)), iteration=3)
    with pytest.raises(ConfigError, match="grade every iteration"):
        monitor.update(np.ones((4, 4)), iteration=5)


def test_an_empty_image_at_the_start_is_no_grade_and_later_a_bad_one():
    monitor = QualityMonitor(brightness, GradePlateau(), voxel_size=(1, 1))
    monitor.update(np.zeros((4, 4)))
    assert math.isnan(monitor.history.last.grades[0])
    monitor.update(np.ones((4, 4)))
    monitor.update(np.zeros((4, 4)))
    assert monitor.history.last.grades == (0.0,)


def test_cost_alone():
    monitor = QualityMonitor(rule=MaxIter(2))
    assert [monitor.update(None, cost) for cost in (3.0, 2.0, 1.5)] == [False, False, True]
    assert [step.cost for step in monitor.history.steps] == [3.0, 2.0, 1.5]
    assert monitor.best is None


def test_a_cost_above_the_first_is_never_the_best():
    script = ScriptedGrader([[1.0], [2.0], [3.0]])
    monitor = QualityMonitor(script, voxel_size=(1, 1))
    for cost in (5.0, 4.0, 6.0):
        monitor.update(np.full((4, 4), cost), cost)
    assert monitor.best.iteration == 1


def test_seconds_are_those_between_updates_and_grading_is_apart(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def pass_time(seconds):
        clock[0] += seconds

    def slow(volume, voxel_size):
        pass_time(50.0)
        return 1.0

    monitor = QualityMonitor(slow, TimeLimit(110.0), voxel_size=(1, 1))
    stops = []
    for _ in range(3):
        stops.append(monitor.update(np.ones((4, 4))))
        pass_time(7.0)
    assert [(s.recon_s, s.grading_s) for s in monitor.history.steps] == [(0, 50), (7, 100), (14, 150)]
    assert stops == [False, False, True]
    assert monitor.stop == Stop(2, "time_limit", "time_limit")


def test_the_shipped_network_grades_what_is_monitored():
    """A volume that is too small for the network: it says so, once, and the curve is still written."""
    from csiq.quality.grade import Grader

    rng = np.random.default_rng(3)
    volume = rng.random((40, 40, 40)).astype(np.float32)
    grader = Grader.load()
    monitor = QualityMonitor(grader, voxel_size=(2.0, 2.0, 2.0))
    with pytest.warns(QualityWarning):
        stopped = [monitor.update(volume) for _ in range(2)]
    assert stopped == [False, False]
    expected = grader.grade(volume, (2.0, 2.0, 2.0))
    assert monitor.history.last.grades[0] == pytest.approx(expected.grade, abs=1e-6)
    assert monitor.history.last.grade_sds[0] == pytest.approx(expected.grade_sd, abs=1e-6)
    assert len(monitor.warnings) == len(set(monitor.warnings))


def test_the_network_refuses_a_slice():
    monitor = QualityMonitor("default", voxel_size=(1.0, 1.0))
    with pytest.raises(ConfigError, match="grades volumes, got a slice"):
        monitor.update(np.ones((208, 208)))


@pytest.mark.gpu
def test_arrays_on_a_gpu_stay_there_but_for_the_grader():
    import cupy

    seen = []

    def grade(volume, voxel_size):
        seen.append(type(volume))
        return float(volume.mean())

    monitor = QualityMonitor(grade, voxel_size=(1, 1, 1))
    monitor.update(cupy.full((2, 4, 4, 4), 2.0, dtype=cupy.complex64))
    assert seen == [np.ndarray, np.ndarray]
    assert monitor.history.last.grades == (2.0, 2.0)
    assert isinstance(monitor.best.image, cupy.ndarray)


class OnDevice(np.ndarray):
    """Stands for a CuPy array: counts what is fetched to the host."""

    fetched = 0

    def get(self):
        OnDevice.fetched += self.size
        return np.array(self)


OnDevice.__module__ = "cupy"


def test_an_image_comes_from_the_device_once_a_grading(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(any=np.any))
    monkeypatch.setattr(OnDevice, "fetched", 0)
    monitor = QualityMonitor(brightness, voxel_size=(1, 1, 1), every=2)
    fetched = []
    for k in range(5):
        monitor.update(np.full((2, 3, 4, 5), 1.0 + k).view(OnDevice))
        fetched.append(OnDevice.fetched)
    assert fetched == [120, 120, 240, 240, 360]
    assert isinstance(monitor.best.image, OnDevice)
