"""Grading beside the next iterate: the same run as one after the other, an iterate too many dropped."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.arrays import Device
from csiq.config import load_config
from csiq.cuda.stream import SideLine
from csiq.loop import Loop, Resumed, ignore
from csiq.quality.grade import Grade
from csiq.solvers import Cost, Iterate
from csiq.stopping import GradePlateau, MaxIter, NotFinite


@dataclass
class InPlaceSolver:
    """Yields one buffer again and again, as a solver may, and notes how often it was asked."""

    last: int
    computed: list[int] = field(default_factory=list)

    def __iter__(self):
        volumes, momentum = np.zeros((2, 4, 4, 4), np.complex64), np.zeros(3)
        for k in range(self.last + 1):
            volumes[...], momentum[...] = k, 10 * k
            self.computed.append(k)
            state = {"volumes": volumes, "momentum": momentum, "iteration": k}
            yield Iterate(
                k, volumes, Cost(10.0 / (k + 1), 0.0), float(k), k == self.last, lambda s=state: dict(s)
            )
            # whoever still reads the buffer reads rubbish
            volumes[...], momentum[...] = np.nan, np.nan


class SeesItsVolume:
    """Grades a volume by its own values, slowly, at once or beside."""

    name, sha256, warnings = "sees", "0" * 64, ()

    def __init__(self, beside: bool, curve, fails_at: int = -1) -> None:
        self.beside, self.curve, self.fails_at = beside, curve, fails_at
        self.threads: set[str] = set()
        self.lines: list[SideLine] = []

    def side_line(self):
        if not self.beside:
            return None
        self.lines.append(SideLine(Device()))
        return self.lines[-1]

    def grade(self, volume, voxel_size):
        self.threads.add(threading.current_thread().name)
        time.sleep(0.002)
        k = float(volume[0, 0, 0].real)
        if k == self.fails_at:
            raise MemoryError("no room for the grade")
        return Grade(self.curve[int(k)], 0.1, True, warnings=(f"odd volume {k:g}",) if k == 1 else ())


PLATEAU = (0.0, 0.5, 1.0, 1.5, 1.505, 1.506, 1.507, 1.508, 1.509, 1.51)
RISING = tuple(0.3 * k for k in range(10))


def follow(beside, curve, geometry, last=9, on_iterate=None, fails_at=-1):
    events = []
    grader, solver = SeesItsVolume(beside, curve, fails_at), InPlaceSolver(last)
    rules = (NotFinite(), GradePlateau(), MaxIter(last))
    loop = Loop(load_config(), geometry, grader, rules, events.append)
    loop.follow(iter(solver), on_iterate)
    return loop, solver, grader, events


def told(events):
    """Return events without clocks."""
    return [{k: v for k, v in event.items() if k != "seconds"} for event in events]


def without_clocks(history):
    return [(s.iteration, s.cost, s.grades, s.grade_sds, s.recon_s) for s in history.steps]


@pytest.fixture
def geometry():
    return Geometry((4, 4, 4), (8.0, 8.0, 8.0))


@pytest.mark.parametrize("curve", [PLATEAU, RISING])
def test_the_run_is_the_same(geometry, curve):
    (one, _, _, events), (two, _, grader, theirs) = (
        follow(beside, curve, geometry) for beside in (False, True)
    )
    assert without_clocks(one.history) == without_clocks(two.history)
    assert one.stop == two.stop
    assert one.returned == two.returned
    assert one.kept_grades == two.kept_grades
    assert np.array_equal(one.kept, two.kept)
    assert np.isfinite(two.kept).all()
    assert told(events) == told(theirs)
    assert one.warnings == two.warnings == ["odd volume 1"]
    assert all(name.startswith("csiq-side") for name in grader.threads)


def test_a_plateau_drops_the_iterate_too_many(geometry):
    one, alone, _, _ = follow(False, PLATEAU, geometry)
    two, beside, _, _ = follow(True, PLATEAU, geometry)
    assert one.stop is not None
    assert one.stop.reason == "plateau"
    k = one.stop.iteration
    assert alone.computed == list(range(k + 1))
    assert beside.computed == list(range(k + 2))
    assert two.history.last.iteration == k
    assert two.kept.real.max() == one.kept.real.max() <= k


def test_the_last_iterate_is_graded_too(geometry):
    two, beside, _, _ = follow(True, RISING, geometry)
    assert beside.computed == list(range(10))
    assert two.history.last.iteration == 9
    assert two.stop is not None
    assert two.stop.reason == "max_iter"


def test_no_thread_is_left(geometry):
    before = threading.active_count()
    follow(True, PLATEAU, geometry)
    follow(False, PLATEAU, geometry)
    assert threading.active_count() == before


def test_checkpoints_hold_one_moment(geometry):
    """Curves, volumes and solver state that a callback sees are of one and the same iterate."""
    seen = []

    def save(iterate, history, kept):
        state = iterate.state()
        assert history.last.iteration == iterate.iteration == state["iteration"]
        assert np.all(iterate.volumes == iterate.iteration)
        assert np.all(state["volumes"] == iterate.iteration)
        assert np.all(state["momentum"] == 10 * iterate.iteration)
        assert len(history) == iterate.iteration + 1
        seen.append((iterate.iteration, float(kept.real.max())))

    loops = [follow(beside, PLATEAU, geometry, on_iterate=save)[0] for beside in (False, True)]
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert loops[1].stop is not None
    assert seen[-1][0] == loops[1].stop.iteration


def test_an_error_of_the_grader_comes_out_and_ends_the_thread(geometry):
    before = threading.active_count()
    with pytest.raises(MemoryError, match="no room"):
        follow(True, RISING, geometry, fails_at=3)
    assert threading.active_count() == before


def test_grading_keeps_its_own_clock(geometry):
    two = follow(True, RISING, geometry)[0]
    steps = two.history.steps
    assert [s.recon_s for s in steps] == [float(k) for k in range(10)]
    grown = np.diff([0.0, *(s.grading_s for s in steps)])
    assert np.all(grown >= 0.004)  # two phases of 2 ms


def test_a_run_that_had_stopped_is_not_gone_on_with(geometry):
    one = follow(False, PLATEAU, geometry)[0]
    loop = Loop(load_config(), geometry, SeesItsVolume(True, PLATEAU), (GradePlateau(),), ignore)
    loop.take_up(Resumed(one.history, {}, np.ones((2, 4, 4, 4), np.complex64)), Device())
    solver = InPlaceSolver(9)
    loop.follow(iter(solver))
    assert solver.computed == []
    assert loop.stop == one.stop
