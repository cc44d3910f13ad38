"""Tables of readers: what is read, and every fault said at once."""

from __future__ import annotations

import math

import pytest

from csiq.agreement.table import read_readers
from csiq.cohort.manifest import GradedScan, ManifestError, write_manifest
from csiq.errors import ConfigError, RawDataError


def typed(folder, *lines):
    path = folder / "readers.tsv"
    path.write_text("\n".join(line.replace(" ", "\t") for line in lines) + "\n", encoding="utf-8")
    return path


def test_a_table_of_readers(tmp_path):
    path = typed(tmp_path, "id a note b", "7 .5 good 1", "", "8  well ", "9 nan  4.2", "10 NA 2_ 1e-1")
    found = read_readers(path)
    assert found.ids == ("7", "8", "9", "10")
    assert list(found.readers) == ["a", "b"]
    assert found.left_out == ("note",)
    assert found.readers["a"][0] == 0.5
    assert all(math.isnan(value) for value in found.readers["a"][1:])
    assert found.readers["b"].tolist()[2:] == [4.2, 0.1]
    assert found.off_scale == 1
    # a column that was asked for is not left out in silence
    with pytest.raises(ManifestError, match="line 2: note 'good' is no number, line 4: note 'well'"):
        read_readers(path, ["a", "note"])


def test_a_graded_manifest_written_by_csiq(tmp_path):
    scans = [
        GradedScan(
            tmp_path / f"{n}.nii", str(n), "test", {"reader1a": n / 2, "reader2": math.nan}, 0.1 + n / 2
        )
        for n in range(3)
    ]
    write_manifest(tmp_path / "graded.tsv", scans)
    found = read_readers(tmp_path / "graded.tsv")
    assert found.ids == ("0.nii", "1.nii", "2.nii")
    assert list(found.readers) == ["reader1a", "reader2", "reference"]
    assert found.readers["reference"].tolist() == [0.1, 0.6, 1.1]
    assert found.left_out == ()
    some = read_readers(tmp_path / "graded.tsv", ["reference", "reader1a"])
    assert list(some.readers) == ["reader1a", "reference"]


def test_a_reader_who_read_nothing_yet_is_a_reader(tmp_path):
    found = read_readers(typed(tmp_path, "id a b", "1 2 ", "2 3 "))
    assert list(found.readers) == ["a", "b"]
    assert all(math.isnan(value) for value in found.readers["b"])


def test_every_fault_is_said_at_once_with_its_line(tmp_path):
    path = typed(tmp_path, "name a b", "1 2 x", "2 1,5 3", "1 2", " 2 3", "2 inf 1e999", "5 1_0 1")
    with pytest.raises(ManifestError) as caught:
        read_readers(path)
    assert caught.value.problems == (
        "line 1: the first column is 'name', expected 'id'",
        "line 2: b 'x' is no number",
        "line 3: a '1,5' is no number, write a decimal point",
        "line 4: 2 cells, the header has 3",
        "line 5: no name",
        "line 6: a 'inf' is no number",
        "line 6: b '1e999' is too large",
        "line 6: name '2' is there before, in line 3",
        "line 7: a '1_0' is no number",
    )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["id,a,b", "1,2,3"], "separated by commas, expected tabs"),
        (["id a", "1 2"], r"1 columns of grades \(a\), a comparison needs two"),
        (["id patient split", "1 2 3"], "0 columns of grades"),
        (["id a a", "1 2 3"], "column 'a' is there twice"),
        (["id  b", "1 2 3"], "a column has no name"),
        (["id a b"], "no row that can be read"),
        (["id a b", "./x 1 2", "x 1 2"], "is there before"),
    ],
)
def test_tables_that_cannot_be_compared(tmp_path, lines, says):
    with pytest.raises(ManifestError, match=says):
        read_readers(typed(tmp_path, *lines))


def test_files_and_readers_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_readers(tmp_path / "readers.tsv")
    with pytest.raises(ConfigError, match="is a folder"):
        read_readers(tmp_path)
    with pytest.raises(ConfigError, match="no column 'reader1'; did you mean 'reader1a'"):
        read_readers(typed(tmp_path, "id reader1a reader2", "1 2 3"), ["reader1"])
    (tmp_path / "readers.tsv").write_text("")
    with pytest.raises(RawDataError, match="is empty"):
        read_readers(tmp_path / "readers.tsv")
    (tmp_path / "readers.tsv").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(RawDataError, match="not UTF-8"):
        read_readers(tmp_path / "readers.tsv")
