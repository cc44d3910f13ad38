"""Signals that wait for the end of a step."""

from __future__ import annotations

import signal
import threading

import pytest

from csiq.training.undisturbed import signals_wait


class Stopped(Exception):
    """What the handler of a test raises."""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_a_signal_comes_through_when_the_block_has_ended(number: int) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    done = []

    def step() -> None:
        with signals_wait():
            signal.raise_signal(number)
            done.append("all of it")

    before = signal.signal(number, stop)
    try:
        with pytest.raises(Stopped):
            step()
        assert done == ["all of it"]
        with pytest.raises(Stopped):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_without_a_signal_nothing_changes(number: int) -> None:
    before = signal.getsignal(number)
    with signals_wait():
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


def test_other_threads_go_on() -> None:
    done = []

    def work() -> None:
        with signals_wait():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
