"""``csiq agree`` as somebody types it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from csiq.cli import main
from csiq.io.tables import read_json, read_table

A = [0, 0.5, 1, 1, 1.5, 2, 2, 3, 3.5, 4]
B = [0, 1, 1, 0.5, 2, 2, 1.5, 3.5, 3, 4]
KEYS = ["a", "b", "n", "kappa", "alpha", "alpha_level", "spearman", "bias", "sd", "mae", "rmse"]


@pytest.fixture
def table(tmp_path):
    """Return a table of two readers worked out by hand, and one who read a single case."""
    path = tmp_path / "readers.tsv"
    third = ["2"] + [""] * 9
    rows = [f"s{i}\t{a}\t{b}\t{c}" for i, (a, b, c) in enumerate(zip(A, B, third, strict=True))]
    path.write_text("\n".join(["id\tone\ttwo\tthree", *rows]) + "\n")
    return path


def test_json_is_the_contracts(table, capsys):
    assert main(["agree", str(table), "--json"]) == 0
    shown = capsys.readouterr()
    content = json.loads(shown.out, parse_constant=lambda word: pytest.fail(f"{word} is no strict JSON"))
    assert (list(content), shown.err) == (["pairs"], "")
    pairs = content["pairs"]
    assert [(p["a"], p["b"], p["n"]) for p in pairs] == [
        ("one", "two", 10),
        ("one", "three", 1),
        ("two", "three", 1),
    ]
    first, second, _ = pairs
    assert list(first) == KEYS
    assert first["kappa"] == pytest.approx(37 / 47)
    assert first["alpha"] == pytest.approx(0.954106, abs=5e-7)
    assert first["alpha_level"] == "interval"
    assert first["spearman"] == pytest.approx(0.932515, abs=5e-7)
    assert (first["bias"], first["sd"]) == (0, pytest.approx(0.408248, abs=5e-7))
    assert (first["mae"], first["rmse"]) == (pytest.approx(0.3), pytest.approx(0.387298, abs=5e-7))
    # one case: kappa of 0 against 2 is defined, a spread is not
    assert (second["bias"], second["mae"], second["sd"], second["spearman"]) == (-2, 2, None, None)


def test_text_names_level_words_and_mark(table, capsys):
    assert main(["agree", str(table), "--reader", "two", "--reader", "one"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["a", "b", "n", "kappa", "alpha", "spearman", "bias", "sd", "mae", "rmse"]
    assert " ".join(lines[1].split()) == "one two 10 0.79 substantial 0.95 * 0.93 0.00 0.41 0.30 0.39"
    assert "all nine grades (Eq. 2)" in lines[3]
    assert "interval level; *: 0.8 or more" in lines[4]
    assert not any("simulated" in line for line in lines)


def test_other_kappa_and_level(table, capsys):
    (table.parent / "gap.tsv").write_text("id\ta\tb\n1\t0\t0\n2\t1\t4\n3\t4\t4\n4\t4\t1\n5\t0\t1\n")
    options = ["agree", str(table.parent / "gap.tsv"), "--json"]
    assert main(options) == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["kappa"] == pytest.approx(12 / 47)
    assert main([*options, "--kappa", "irr", "--level", "ordinal"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kappa_labels"] == "used"
    assert found["pairs"][0]["kappa"] == pytest.approx(0.347826, abs=5e-7)
    assert found["pairs"][0]["alpha_level"] == "ordinal"
    assert main([*options[:2], "--level", "ordinal", "--kappa", "irr"]) == 0
    shown = capsys.readouterr().out
    assert "ordinal level" in shown
    assert "grades in use (irr)" in shown


def test_results_are_written_and_replaced_only_when_told(table, capsys, tmp_path):
    folder = tmp_path / "out"
    command = ["agree", str(table), "-q", "--reader", "one", "--reader", "two", "-o", str(folder)]
    assert main(command) == 0
    names = {"agreement.json", "pairs.tsv"} | {
        f"{name}.{kind}" for name in ("bland-altman", "counts") for kind in ("png", "svg")
    }
    assert {p.name for p in folder.iterdir()} - {".csiq.lock"} == names
    rows = read_table(folder / "pairs.tsv")
    assert list(rows[0]) == KEYS
    assert rows[0]["kappa"] == pytest.approx(37 / 47)
    record = read_json(folder / "agreement.json")
    assert (record["input"], record["alpha_level"], len(record["pairs"])) == ("readers.tsv", "interval", 1)
    before = (folder / "counts.svg").read_bytes()
    capsys.readouterr()

    assert main(command) == 7
    assert "is not empty; --overwrite" in capsys.readouterr().err
    (folder / "mine.txt").write_text("kept")
    assert main([*command, "--overwrite"]) == 0
    assert (folder / "mine.txt").read_text() == "kept"
    assert (folder / "counts.svg").read_bytes() == before

    (folder / "agreement.json").unlink()
    assert main([*command, "--overwrite"]) == 7
    assert "csiq did not make it" in capsys.readouterr().err
    assert main(["agree", str(table), "-o", str(table)]) == 7


def test_a_cohorts_readers_are_said_to_be_simulated(table, capsys, tmp_path):
    (tmp_path / "cohort.json").write_text("{}")
    command = ["agree", str(table), "--reader", "one", "--reader", "two", "-o", str(tmp_path / "out")]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "simulated readers, research use only"
    assert read_json(tmp_path / "out" / "agreement.json")["note"] == "simulated readers, research use only"


def test_what_is_undefined_is_null_and_says_why(tmp_path, capsys):
    """Of readers who never change their mind there is no correlation: neither 0 nor 1."""
    path = tmp_path / "readers.tsv"
    path.write_text("id\ta\tb\tc\td\n1\t2\t2\t1\t\n2\t2\t2\t3\t\n3\t2\t2\t4\t1\n")
    assert main(["agree", str(path), "--json"]) == 0
    shown = capsys.readouterr()
    pairs = {(p["a"], p["b"]): p for p in json.loads(shown.out)["pairs"]}
    same = pairs["a", "b"]
    assert (same["n"], same["kappa"], same["alpha"], same["spearman"]) == (3, None, None, None)
    assert (same["bias"], same["mae"]) == (0.0, 0.0)
    assert pairs["a", "c"]["spearman"] is None
    assert "a and b: kappa, alpha, spearman undefined: grades that do not vary\n" in shown.err
    assert "a and c: spearman undefined: grades that do not vary\n" in shown.err
    # a count of 1 says it by itself
    assert "and d:" not in shown.err


def test_warnings_can_be_left_out(tmp_path, capsys):
    path = tmp_path / "readers.tsv"
    path.write_text("id\ta\tb\tnote\n1\t2\t5\twell\n2\t1\t1\t\n")
    assert main(["agree", str(path), "--json"]) == 0
    shown = capsys.readouterr().err
    assert "no numbers in: note; left out" in shown
    assert "off the scale 0 to 4: 1" in shown
    assert main(["agree", str(path), "--json", "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_faults_are_one_line_and_exit_3(tmp_path, capsys):
    path = tmp_path / "readers.tsv"
    path.write_text("id\ta\tb\n1\t2\tx\n1\t2\t3\n")
    assert main(["agree", str(path)]) == 3
    shown = capsys.readouterr().err
    assert shown == (
        "csiq: error: readers.tsv: 2 problems: line 2: b 'x' is no number, "
        "line 3: id '1' is there before, in line 2\n"
    )
    assert main(["agree", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["code"] == 3
    assert main(["agree", str(tmp_path / "none.tsv")]) == 2
    assert main(["agree", str(path), "--level", "metric"]) == 2


def test_it_needs_neither_torch_nor_scipy(table):
    code = (
        "import sys; from csiq.cli import main\n"
        f"assert main(['agree', {str(table)!r}, '--json']) == 0\n"
        "print(sorted({'torch', 'scipy', 'sigpy', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
