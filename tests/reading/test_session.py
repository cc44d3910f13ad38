"""The folder of a session: blinded, offline by policy, repeatable, and never over somebody's files."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from csiq.cli.entry import main
from csiq.errors import OutputError, RawDataError
from csiq.io.tables import read_table
from csiq.reading import ReadingConfig, write_session
from csiq.reading.images import displayed
from csiq.reading.sources import find_sources
from tests.reading.volumes_to_read import IDENTITY, blob, decoded, told, write_scans, write_volume


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("hospital") / f"study_of_{IDENTITY}", count=8)


@pytest.fixture(scope="module", params=[False, True], ids=["grades", "pairs"])
def session(request, scans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("session") / "out"
    write_session(find_sources(scans), folder, ReadingConfig(pairs=request.param, repeats=0.5))
    return folder


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- blinding


def test_nothing_a_reader_gets_tells_whose_image_it_is(session, scans):
    """Neither page nor file names know a name, a path, a patient, or which case is a repeat."""
    key = read_table(session / "key.tsv")
    page = contents(session / "page")
    for name, content in page.items():
        text = (name + content.decode()).lower()
        for word in (
            *IDENTITY.lower().split("_"),
            IDENTITY.lower(),
            "followup",
            ".nii",
            "hospital",
            "study_of",
        ):
            # four digits may stand in base64 by chance
            if not (name.startswith("images/") and len(word) <= 5):
                assert word not in text, (name, word)
        if name.startswith("images/"):
            header, _ = decoded(content.decode())
            assert set(header) == {"id", "shape", "oriented"}
            assert name == f"images/{header['id']}.js"
    about = told(page["index.html"].decode())
    assert set(about) == {"session", "mode", "reader", "white", "scale", "cases"}
    assert all(set(case) == {"item", "images"} for case in about["cases"])
    assert [case["item"] for case in about["cases"]] == [row["item"] for row in key]
    assert any(IDENTITY in str(cell) for row in key for cell in row.values())  # the host does know


def test_the_key_says_which_volume_every_image_is(session, scans):
    by_name = {source.name: source for source in find_sources(scans)}
    page = session / "page"
    about = told((page / "index.html").read_text())
    for row, case in zip(read_table(session / "key.tsv"), about["cases"], strict=True):
        names = [row["volume"]] if "volume" in row else [row["a"], row["b"]]
        names = names[::-1] if row.get("left") == "b" else names
        for name, image in zip(names, case["images"], strict=True):
            _, grey = decoded((page / "images" / f"{image}.js").read_text())
            assert np.array_equal(grey, displayed(by_name[name]).grey)


def test_a_repeat_has_an_image_file_of_its_own(scans, tmp_path):
    written = write_session(find_sources(scans), tmp_path / "s", ReadingConfig(repeats=0.5))
    cases = told((tmp_path / "s" / "page" / "index.html").read_text())["cases"]
    assert len({case["images"][0] for case in cases}) == len(cases) == written.n_images == 8 + 4
    assert len({case["item"] for case in cases}) == 12


# ---------------------------------------------------------------- offline


def test_the_policy_lets_in_the_pages_own_scripts_and_nothing_of_a_network(session):
    page = (session / "page" / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def digest(tag):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "script-src": f"{digest('script')} 'self' file:",
        "style-src": digest("style"),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert "://" not in page
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|eval)\b\s*\(", page)
    assert not re.search(r"<[^>]+\s(on\w+|style)=", page[: page.index('<script type="application/json"')])


def test_a_readers_name_cannot_smuggle_in_code(scans, tmp_path):
    from csiq.errors import ConfigError

    with pytest.raises(ConfigError):
        write_session(find_sources(scans), tmp_path / "s", ReadingConfig(reader='"><script>'))
    assert not (tmp_path / "s").exists()


# ---------------------------------------------------------------- files


def test_equal_seeds_give_equal_bytes(scans, tmp_path):
    sources = find_sources(scans)[:4]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_session(sources, tmp_path / name, ReadingConfig(seed=seed))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not set(contents(tmp_path / "a" / "page")) & set(contents(tmp_path / "c" / "page")) - {
        "index.html"
    }


def test_other_voxels_under_equal_names_are_another_session(tmp_path):
    """Or a browser would go on with the answers of the first one."""
    told_apart = set()
    for level in (1, 2):
        write_volume(tmp_path / "in" / "a.nii", blob(8, level))
        told_apart.add(write_session(find_sources(tmp_path / "in"), tmp_path / "out", overwrite=True).session)
    assert len(told_apart) == 2


def test_only_what_csiq_made_is_overwritten(scans, tmp_path):
    sources, folder = find_sources(scans)[:2], tmp_path / "s"
    write_session(sources, folder)
    mine = folder / "page" / "notes.txt"
    mine.write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        write_session(sources, folder)
    write_session(sources, folder, ReadingConfig(seed=3), overwrite=True)
    assert mine.read_text() == "mine"
    assert len(list((folder / "page" / "images").iterdir())) == 2
    with pytest.raises(OutputError, match="csiq did not make it"):
        write_session(sources, scans, overwrite=True)


def test_a_volume_that_cannot_be_read_leaves_no_page(tmp_path):
    write_volume(tmp_path / "in" / "a.nii", np.ones((4, 4, 4)))
    write_volume(tmp_path / "in" / "b.nii", np.zeros((4, 4, 4)))
    with pytest.raises(RawDataError, match=r"b\.nii: is empty"):
        write_session(find_sources(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out" / "page" / "index.html").exists()


# ---------------------------------------------------------------- command line


def test_the_command_says_what_it_made(scans, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["read", str(scans), "--repeats", "0.5", "--max-cases", "4", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["mode"], said["cases"], said["repeats"], said["images"]) == ("grades", 4, 2, 6)
    assert (tmp_path / f"study_of_{IDENTITY}.reading" / "page" / "index.html").is_file()
    assert main(["read", str(scans)]) == 7
    assert "--overwrite" in capsys.readouterr().err
    assert main(["read", str(scans), "--pairs", "--overwrite", "--seed", "2"]) == 0
    said = capsys.readouterr().out
    assert "4 pairs, 0 come twice" in said
    assert "key.tsv" in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["gone"], 2, "no such folder"),
        ([".", "."], 2, "expected one folder"),
        ([".", "--repeats", "2"], 2, "--repeats"),
        ([".", "--key", "key.tsv"], 2, "only goes with --collect"),
        (["--collect", "a.tsv", "-o", "b.tsv"], 2, "--key"),
        (["--collect", "a.tsv", "--key", "k.tsv"], 2, "-o readers.tsv"),
        (["."], 3, "no volume"),
        ([], 2, "missing argument"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments, code, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["read", *arguments]) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
