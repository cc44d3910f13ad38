"""Errors: one line, whatever went into them."""

from __future__ import annotations

import pytest

from csiq.errors import CsiqError, one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("bad\n  magic\tnumber"), "bad magic number"),
        (KeyError("Dicom"), "'Dicom'"),
        (EOFError(), "EOFError"),
        (ValueError(" \n "), "ValueError"),
        (ValueError("x" * 20), "x" * 20),
        (ValueError("x" * 21), "x" * 16 + " ..."),
        (ValueError("fifteen letters and more"), "fifteen letters ..."),
    ],
)
def test_an_exception_of_another_library_is_one_line(error, line):
    assert one_line(error, 20) == line


def test_what_is_long_is_cut_at_120_unless_told():
    assert len(one_line(ValueError("x" * 1000))) == 120
    assert len(one_line(ValueError("x" * 1000), 160)) == 160


def test_an_error_of_csiq_is_one_line_of_where_what_and_remedy():
    error = CsiqError("bad\nmagic", file="some/where/scan.h5", field="kspace", hint="copy it again")
    assert str(error) == "scan.h5: kspace: bad magic; copy it again"
