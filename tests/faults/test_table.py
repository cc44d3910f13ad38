"""The table of faults: each names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| ([A-G]\d+(?:, [A-G]\d+)*) \| .+ \| [\d, -]+ \| `(tests/[\w/]+\.py)::(test_\w+)` \|$")
ROWS = [m for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
        if (m := _ROW.match(line))]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row[1].replace(", ", "-") for row in ROWS])
def test_a_fault_has_its_test(row: re.Match[str]) -> None:
    source = (ROOT / row[2]).read_text(encoding="utf-8")
    assert re.search(rf"^def {row[3]}\(", source, re.MULTILINE)


def test_every_row_is_read() -> None:
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert len(ROWS) == len(re.findall(r"^\| [A-G]\d", text, re.MULTILINE))
    ids = [one for row in ROWS for one in row[1].split(", ")]
    assert len(ids) == len(set(ids))
