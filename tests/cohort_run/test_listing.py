"""``csiq cohort init`` of raw files: which files, what scans are called, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from csiq.cli import main
from csiq.cohort.manifest import read_cohort
from csiq.io.sniff import HDF5_SIGNATURE


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(HDF5_SIGNATURE)


def listed(manifest: str = "scans.tsv") -> dict[str, str]:
    lines = Path(manifest).read_text().splitlines()
    assert lines[0] == "scan\traw\tconfig"
    return {cells[0]: cells[1] for cells in (line.split("\t") for line in lines[1:])}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_folders_are_searched_and_simulated_truth_is_no_scan(capsys):
    touch(
        "raw/b.h5", "raw/b.truth.h5", "raw/deep/a.dat", "raw/deep/c.cfl", "raw/deep/c.hdr", "raw/.hidden.h5"
    )
    touch("raw/notes.txt", "../other/odd name (2).h5")
    assert main(["cohort", "init", "scans.tsv", "raw", "../other/odd name (2).h5", "raw/b.h5"]) == 0
    assert "4 scans; csiq cohort run scans.tsv" in capsys.readouterr().out
    elsewhere = str(Path("../other/odd name (2).h5").resolve())
    expected = {"b": "raw/b.h5", "a": "raw/deep/a.dat", "c": "raw/deep/c.cfl", "odd-name-2": elsewhere}
    assert listed() == expected
    assert [scan.config for scan in read_cohort("scans.tsv")] == [None] * 4


def test_equal_names_get_their_folders(capsys):
    touch("sub-1/mri/scan.h5", "sub-2/mri/scan.h5", "sub-2/mri/other.h5")
    assert main(["cohort", "init", "lists/scans.tsv", ".", "--config", "whole-heart", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["scans"] == ["sub-1-mri-scan", "sub-2-mri-other", "sub-2-mri-scan"]
    assert {scan.config for scan in read_cohort("lists/scans.tsv")} == {"whole-heart"}
    # stems that only differ in what a name cannot hold
    touch("x/a b.h5", "x/a-b.h5")
    assert main(["cohort", "init", "x.tsv", "x/a b.h5", "x/a-b.h5"]) == 0
    assert len(listed("x.tsv")) == 2


def test_every_raw_file_that_is_read_can_be_named():
    np.save("k.npy", np.ones((2, 3, 4), np.complex64))
    for name in ("b.hdr", "b.cfl"):
        Path(name).write_text("# Dimensions\n1 2 3 4\n")
    assert main(["cohort", "init", "scans.tsv", "k.npy", "b.cfl"]) == 0
    assert listed() == {"k": "k.npy", "b": "b.cfl"}
    assert main(["cohort", "init", "others.tsv", "b.hdr"]) == 0
    assert listed("others.tsv") == {"b": "b.hdr"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["scans.tsv"], 2, "the raw files, or folders, to list"),
        (["scans.tsv", "gone.h5"], 2, "gone.h5: RAW: no such file"),
        (["scans.tsv", "empty"], 2, "no raw files there; raw files end in .h5"),
        (["scans.tsv", "a.h5", "notes.txt"], 2, "notes.txt: RAW: is a text file, expected raw data"),
        (["scans.csv", "a.h5"], 2, "a manifest ends in .tsv, 'scans.csv' does not"),
        (
            ["scans.tsv", "a.h5", "--patients", "3"],
            2,
            "--patients is for a digital cohort, not for raw files",
        ),
        (["scans.tsv", "a.h5", "--config", "whole-hart"], 2, "did you mean 'whole-heart'?"),
        (["digital", "--config", "whole-heart"], 2, "--config is for raw files that are listed"),
        (["there.tsv", "a.h5"], 7, "there.tsv: exists; --overwrite"),
    ],
)
def test_what_is_refused_leaves_nothing(capsys, words, code, says):
    touch("a.h5", "there.tsv")
    Path("empty").mkdir()
    Path("notes.txt").write_text("twelve scans of May")
    before = sorted(Path().rglob("*"))
    assert main(["cohort", "init", *words]) == code
    assert says in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


def test_status_of_a_manifest_that_was_never_run(capsys):
    touch("a.h5")
    assert main(["cohort", "init", "scans.tsv", "a.h5"]) == 0
    for command in ("status", "report"):
        assert main(["cohort", command, "scans.tsv"]) == 2
        assert "scans.csiq: no such folder; csiq cohort run MANIFEST.tsv" in capsys.readouterr().err
