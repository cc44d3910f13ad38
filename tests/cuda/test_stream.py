"""The side line and the uploads one phase ahead, on a CPU."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from csiq.arrays import Device
from csiq.cuda.stream import PhaseUploads, SideLine


def test_tasks_run_in_turn_in_one_thread_beside():
    line, gate, seen = SideLine(Device()), threading.Event(), []

    def task(number):
        gate.wait(5)
        seen.append((number, threading.current_thread().name))
        return number

    pending = [line.submit(lambda n=n: task(n)) for n in range(3)]
    assert not any(p.done() for p in pending)
    gate.set()
    assert [p.result(5) for p in pending] == [0, 1, 2]
    line.close()
    assert [number for number, _ in seen] == [0, 1, 2]
    assert len({name for _, name in seen}) == 1
    assert threading.current_thread().name not in {name for _, name in seen}


def test_uploads_hand_out_every_phase(rng):
    kernels = rng.standard_normal((5, 3, 4), np.float32)
    uploads = PhaseUploads(kernels)
    assert len(uploads) == 5
    assert uploads.shape == (5, 3, 4)
    for _ in range(2):
        for phase in range(5):
            assert np.array_equal(uploads[phase], kernels[phase])
    for phase in (3, 1, 1, 4, 0):
        assert np.array_equal(uploads[phase], kernels[phase])
    assert [float(k.max()) for k in uploads] == [float(k.max()) for k in kernels]
    with pytest.raises(IndexError):
        uploads[5]


@pytest.mark.parametrize("n_phases", [1, 2, 4])
def test_the_next_phase_is_there_before_it_is_asked_for(rng, monkeypatch, n_phases):
    uploads = PhaseUploads(rng.standard_normal((n_phases, 3), np.float32))
    uploaded, upload = [], uploads._upload
    monkeypatch.setattr(uploads, "_upload", lambda p, slot: (uploaded.append(p), upload(p, slot)))
    uploads[0]
    assert uploaded == list(range(min(n_phases, 2)))
    for phase in range(1, n_phases):
        before = list(uploaded)
        assert phase in before
        uploads[phase]
    # two slots hold two phases for good; more travel once a round
    assert len(uploaded) == {1: 1, 2: 2, 4: 5}[n_phases]
