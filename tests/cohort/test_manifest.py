"""Manifests: written and read again, and every fault of one said at once."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from csiq.cohort.manifest import (
    CohortScan,
    GradedScan,
    ManifestError,
    read_cohort,
    read_manifest,
    write_cohort,
    write_manifest,
)
from csiq.errors import ConfigError, RawDataError

HEADER = "volume\tpatient\tsplit\treader1a\treader1b\treader2\treference"


def typed(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "graded.tsv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path):
    (tmp_path / "volumes").mkdir()
    for name in ("007", "008"):
        (tmp_path / "volumes" / f"{name}.nii").touch()
    first = GradedScan(
        tmp_path / "volumes" / "007.nii",
        "007",
        "train1",
        {"reader1a": 1.5, "reader1b": 2.0, "reader2": math.nan},
        1.6251,
    )
    second = GradedScan(tmp_path / "volumes" / "008.nii", "008", "test", dict.fromkeys(first.grades, 4.0))
    write_manifest(tmp_path / "graded.tsv", [first, second])
    text = (tmp_path / "graded.tsv").read_text()
    assert text.splitlines()[:2] == [HEADER, "volumes/007.nii\t007\ttrain1\t1.5\t2.0\tnan\t1.6251"]
    found = read_manifest(tmp_path / "graded.tsv")
    assert (found[0].volume, found[0].patient, found[0].split) == (first.volume, "007", "train1")
    assert math.isnan(found[0].grades["reader2"])
    assert found[0].reference == 1.6251
    assert found[1].grades == second.grades
    assert math.isnan(found[1].reference)


def test_every_fault_is_said_at_once_with_its_line(tmp_path):
    (tmp_path / "a.nii").touch()
    path = typed(
        tmp_path,
        "a.nii\tp1\ttrain1\t1.5\t2\tnan\t1.31",
        "./a.nii\tp2\ttrian\t1.5\t4.5\t2\t1.31",
        "b.nii\tp1\ttest\t1.3\t2\tgood\t-1",
        "a.nii\tp3",
        "\t\ttest\t1\t1\t1\t1",
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    problems = caught.value.problems
    expected = [
        ("line 3", "split 'trian' is not known (did you mean 'train'?)"),
        ("line 3", "reader1b 4.5 is off the scale 0 to 4"),
        ("line 3", "volume './a.nii' is listed before, in line 2"),
        ("line 4", "volume 'b.nii' is not there"),
        ("line 4", "reader1a 1.3 is no half grade"),
        ("line 4", "reader2 'good' is no number"),
        ("line 4", "reference -1 is off the scale 0 to 4"),
        ("line 4", "patient p1 is in 'test', in line 2 in 'train1'"),
        ("line 5", "2 cells, the header has 7"),
        ("line 6", "no volume"),
        ("line 6", "no patient"),
    ]
    assert problems == tuple(f"{line}: {what}" for line, what in expected)
    assert str(caught.value).startswith("graded.tsv: 11 problems: line 3: split 'trian'")
    assert caught.value.exit_code == 3
    with pytest.raises(ManifestError, match="10 problems"):
        read_manifest(path, check_files=False)


def test_a_missing_grade_may_be_left_empty(tmp_path):
    rows = ("a.nii\tp1\ttest\t1.5\t\tNA\t", "b.nii\tp2\ttest\t\t1\tnan\t2.25")
    first, second = read_manifest(typed(tmp_path, *rows), check_files=False)
    assert first.grades["reader1a"] == 1.5
    assert all(math.isnan(first.grades[name]) for name in ("reader1b", "reader2"))
    assert math.isnan(first.reference)
    assert math.isnan(second.grades["reader1a"])
    assert (second.grades["reader1b"], second.reference) == (1.0, 2.25)


def test_a_decimal_comma_is_explained(tmp_path):
    path = typed(tmp_path, "a.nii\tp1\ttest\t1,5\t2\t2\tnan")
    with pytest.raises(ManifestError, match="line 2: reader1a '1,5' is no number, write a decimal point"):
        read_manifest(path, check_files=False)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("volume\tpatient\treader1a", "column 'split' is missing"),
        (HEADER + "\trefrence", r"column 'refrence' is not known \(did you mean 'reference'"),
        (HEADER + "\treader2", "column 'reader2' is there twice"),
        ("volume\tpatient\tsplit", "no column of grades"),
    ],
)
def test_columns_are_checked(tmp_path, header, says):
    row = "\t".join(["a.nii", "p1", "test", *["1"] * 9][: header.count("\t") + 1])
    with pytest.raises(ManifestError, match=f"line 1: {says}"):
        read_manifest(typed(tmp_path, row, header=header), check_files=False)


def test_any_number_of_readers(tmp_path):
    path = typed(
        tmp_path,
        "a.nii\tp1\ttest\t1.5\t2\t3\t0",
        header="volume\tpatient\tsplit\treader1\treader2\treaderX\treader_4",
    )
    assert list(read_manifest(path, check_files=False)[0].grades) == [
        "reader1",
        "reader2",
        "readerX",
        "reader_4",
    ]


def test_a_long_list_of_faults_is_cut_in_the_line_not_in_the_error(tmp_path):
    path = typed(tmp_path, *[f"{i}.nii\tp{i}\ttest\t1\t1\t1\t1" for i in range(40)])
    with pytest.raises(ManifestError, match=r"and 10 more$") as caught:
        read_manifest(path)
    assert len(caught.value.problems) == 40


def test_files_that_are_no_manifest(tmp_path):
    with pytest.raises(ConfigError, match=r"^none.tsv: no such file; check the path$"):
        read_manifest(tmp_path / "none.tsv")
    with pytest.raises(ConfigError, match="is a folder, expected a table"):
        read_manifest(tmp_path)
    with pytest.raises(ManifestError, match="no row"):
        read_manifest(typed(tmp_path))
    (tmp_path / "empty.tsv").touch()
    with pytest.raises(RawDataError, match="is empty"):
        read_manifest(tmp_path / "empty.tsv")
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RawDataError, match="UTF-8"):
        read_manifest(tmp_path / "bytes.tsv")


def test_a_cohort_of_raw_scans(tmp_path):
    for name in ("a.h5", "b.h5", "own.toml"):
        (tmp_path / name).touch()
    scans = [
        CohortScan("a", tmp_path / "a.h5", "whole-heart"),
        CohortScan("b", tmp_path / "b.h5", "own.toml"),
        CohortScan("c", tmp_path / "a.h5"),
    ]
    write_cohort(tmp_path / "scans.tsv", scans)
    assert read_cohort(tmp_path / "scans.tsv") == scans
    text = "scan\traw\tconfig\na\ta.h5\twhole-hart\na\tc.h5\tnan\n"
    (tmp_path / "scans.tsv").write_text(text)
    with pytest.raises(ManifestError) as caught:
        read_cohort(tmp_path / "scans.tsv")
    assert caught.value.problems == (
        "line 2: config 'whole-hart' is neither a preset nor a TOML file (did you mean 'whole-heart'?)",
        "line 3: raw 'c.h5' is not there",
        "line 3: scan 'a' is named before, in line 2",
    )


def cohort_of(folder: Path, text: str) -> Path:
    (folder / "a.h5").touch()
    (folder / "own.toml").write_text("[solver]\nmax_iter = 5\n")
    path = folder / "scans.tsv"
    path.write_bytes(text.encode("utf-8"))
    return path


def test_a_mark_of_byte_order_and_lines_of_another_system_do_no_harm(tmp_path):
    text = "\ufeffscan\traw\tconfig\r\none\ta.h5\town.toml\r\ntwo\ta.h5\twhole-heart\r\nthree\ta.h5\tnan\r\n"
    found = read_cohort(cohort_of(tmp_path, text))
    assert found == [
        CohortScan("one", tmp_path / "a.h5", "own.toml"),
        CohortScan("two", tmp_path / "a.h5", "whole-heart"),
        CohortScan("three", tmp_path / "a.h5", None),
    ]


@pytest.mark.parametrize(
    ("mark", "words"), [(",", "commas"), (";", "semicolons"), ("|", "bars"), (" ", "spaces")]
)
def test_another_delimiter_is_named_and_the_rest_is_checked_all_the_same(tmp_path, mark, words):
    lines = ["scan\traw\tconfig", "one\tb.h5\tnan", "one\ta.h5\twhole-hart"]
    with pytest.raises(ManifestError) as caught:
        read_cohort(cohort_of(tmp_path, "\n".join(lines).replace("\t", mark)))
    assert caught.value.problems == (
        f"line 1: cells are separated by {words}, expected tabs",
        "line 2: raw 'b.h5' is not there",
        "line 3: config 'whole-hart' is neither a preset nor a TOML file (did you mean 'whole-heart'?)",
        "line 3: scan 'one' is named before, in line 2",
    )


def test_faults_of_a_cohort_are_said_at_once(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "wrong.toml").write_text("[solver]\nmax_itr = 5\n")
    lines = ["scan\tconfig\tnote", "one\twrong.toml\tx", "../one\tno.toml\tx", "one\tnan\tx", "\tnan\tx", "x"]
    with pytest.raises(ManifestError) as caught:
        read_cohort(cohort_of(tmp_path, "\n".join(lines)))
    assert caught.value.problems == (
        "line 1: column 'raw' is missing",
        "line 1: column 'note' is not known (known: config, raw, scan)",
        "line 2: wrong.toml: solver.max_itr: unknown key; did you mean 'max_iter'?",
        "line 3: config 'no.toml' is not there",
        "line 3: scan '../one' cannot name a folder: letters, digits, '.', '_' and '-' can",
        "line 4: scan 'one' is named before, in line 2",
        "line 5: no scan",
        "line 6: 1 cells, the header has 3",
    )
    path = cohort_of(tmp_path, "scan\traw\none\tfolder\n")
    with pytest.raises(ManifestError, match="line 2: raw 'folder' is a folder"):
        read_cohort(path)
