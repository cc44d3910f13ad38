"""Damaged files of every kind: one line and exit 2, 3, 4 or 7, or a right result; no crash, no hang.

``CSIQ_FUZZ_CASES`` says how many cases in all: 2 000 unless told, 20 000 in ``make soak``. They begin with
number ``CSIQ_FUZZ_FROM`` of each kind, 0 unless told, so that a long soak can be done in parts.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from csiq.errors import RawDataError
from csiq.history import COLUMNS, History
from csiq.io.heap import check_heaps
from csiq.io.sniff import check_readable
from tests.faults.forked import try_cases
from tests.faults.kinds import KINDS

CASES, FIRST = (
    int(os.environ.get(f"CSIQ_FUZZ_{word}", usual)) for word, usual in (("CASES", 2000), ("FROM", 0))
)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damage_ends_in_one_line_or_is_harmless(name: str, tmp_path: Path) -> None:
    """A5 A17 A23 A24 A25 D3 D4 E13 G1: whatever happens to the bytes."""
    n_cases = -(-CASES // len(KINDS))
    report = try_cases(name, range(FIRST, FIRST + n_cases), tmp_path)
    codes = ", ".join(f"{n} ended with {code}" for code, n in sorted(report.codes.items()))
    print(f"{name}: {n_cases} cases, {codes}; slowest {report.slowest:.2f} s of {report.seconds:.0f} s")
    assert report.wrong == []
    assert sum(report.codes.values()) == n_cases
    # most damage is seen; a kind whose faults all pass for whole is not read at all
    assert sum(report.codes[code] for code in (2, 3, 4, 7)) > n_cases / 10


# What it found, each by itself


def test_a_heap_overwritten_with_zeros_is_refused(tmp_path: Path) -> None:
    """The HDF5 library would walk it for ever."""
    path = KINDS["ismrmrd"].make(tmp_path)
    check_heaps(path)
    content = bytearray(path.read_bytes())
    at = content.find(b"GCOL")
    content[at + 16 : at + 64] = bytes(48)
    path.write_bytes(content)
    with pytest.raises(RawDataError, match="endless heap"):
        check_heaps(path)
    assert KINDS["ismrmrd"].run(path) == 3


def test_a_flip_in_a_compressed_image_is_seen(tmp_path: Path) -> None:
    """Who reads just the voxels never comes to the checksum behind them."""
    path = KINDS["nifti.gz"].make(tmp_path)
    check_readable(path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # of the checksum: the voxels are sound, and nobody can know
    path.write_bytes(content)
    with pytest.raises(RawDataError, match="damaged gzip file"):
        check_readable(path)


@pytest.mark.parametrize(("name", "value"), [("cost", "1.3?14"), ("iteration", np.nan), ("phase", np.inf)])
def test_a_cell_that_is_no_number_is_named(name: str, value: object) -> None:
    row = dict.fromkeys(COLUMNS, 1.0) | {"iteration": 0, name: value}
    with pytest.raises(RawDataError, match="row 1"):
        History.from_rows([row])
