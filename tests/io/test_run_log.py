"""The log of a run: plain lines, also of events that hold lists and missing numbers."""

from __future__ import annotations

import logging
import math

import pytest

from csiq.io.run_log import line_of, log_into

_log = logging.getLogger("csiq")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"event": "stage", "stage": "coils", "seconds": 4.070875614}, "stage coils, seconds 4.07088"),
        ({"event": "warning", "message": "coil 3 is loud"}, "coil 3 is loud"),
        (
            {"event": "iteration", "iteration": 2, "cost": 67860648.98, "grades": [0.0582, math.nan, None]},
            "iteration 2, cost 6.78606e+07, grades 0.0582 nan none",
        ),
        (
            {"event": "start", "name": "scan.h5", "shape": [64, 64, 32], "solver": "pnlcg"},
            "start: name scan.h5, shape 64 64 32, solver pnlcg",
        ),
    ],
)
def test_an_event_is_a_plain_line(event, line):
    assert line_of(event) == line


def test_an_error_ends_the_log_with_its_traceback(tmp_path):
    def begin_and_fail():
        with log_into(tmp_path):
            _log.info("begun")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    _log.warning("not here")
    lines = (tmp_path / "csiq.log").read_text().splitlines()
    assert lines[0].endswith(" INFO begun")
    assert lines[1].endswith(" ERROR stopped by an error")
    assert lines[-1].startswith("ZeroDivisionError")
