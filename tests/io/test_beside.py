"""Writing beside the work: in turn, one at a time, and no error is lost."""

from __future__ import annotations

import threading

import pytest

from csiq.errors import ResourceError
from csiq.io.beside import Beside


def test_a_task_runs_beside_and_the_next_one_waits_for_it():
    order, gate = [], threading.Event()

    def first():
        gate.wait(5)
        order.append("first")

    with Beside() as beside:
        beside.submit(first)
        order.append("caller")
        gate.set()
        beside.submit(lambda: order.append("second"))
        assert order[:2] == ["caller", "first"]
    assert order == ["caller", "first", "second"]


def _end(beside):
    with beside:
        pass


@pytest.mark.parametrize("then", [lambda b: b.submit(lambda: None), lambda b: b.wait(), _end])
def test_an_error_is_raised_once_by_what_comes_next(then):
    def fail():
        raise ResourceError("disk full", file="checkpoint.h5")

    beside = Beside()
    beside.submit(fail)
    with pytest.raises(ResourceError, match="disk full"):
        then(beside)
    beside.wait()


def test_after_an_error_the_task_in_hand_is_finished():
    done, gate = [], threading.Event()

    def slow():
        gate.wait(5)
        done.append(1)

    def interrupted():
        with Beside() as beside:
            beside.submit(slow)
            threading.Timer(0.05, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [1]
