"""``csiq agree`` as somebody types it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from csiq.cli import main
from csiq.io.tables import read_json, read_table, write_table
from csiq.reading.collected import PAIRS
from csiq.reading.results import PAIR_RESULT, RESULT
from csiq.reading.session import GRADE_KEY, PAIR_KEY

A = [0, 0.5, 1, 1, 1.5, 2, 2, 3, 3.5, 4]
B = [0, 1, 1, 0.5, 2, 2, 1.5, 3.5, 3, 4]
KEYS = ["a", "b", "n", "kappa", "alpha", "alpha_level", "spearman", "bias", "sd", "mae", "rmse"]

#: Peak flow (l/min) of 17 subjects, first measurements by two meters: Bland and Altman 1986.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
#: Anscombe, American Statistician 1973;27:17-21: the three sets with the same x.
ANSCOMBE_X = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
ANSCOMBE_Y = (
    [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68],
    [9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74],
    [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73],
)


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
    names = {"agreement.json", "pairs.tsv", "references.tsv", "per-grade.tsv"} | {
        f"{name}.{kind}" for name in ("bland-altman", "counts") for kind in ("png", "svg")
    }
    assert {p.name for p in folder.iterdir()} - {".csiq.lock"} == names
    rows = read_table(folder / "pairs.tsv")
    assert list(rows[0]) == [*KEYS, "lower", "upper", "r2"]
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


def _written(path, folder, columns):
    """Compare columns of numbers by hand, and return every table that was written, by name."""
    cases = zip(*columns.values(), strict=True)
    rows = ["\t".join([f"s{i}", *("" if x is None else str(x) for x in row)]) for i, row in enumerate(cases)]
    path.write_text("\n".join(["\t".join(["id", *columns]), *rows]) + "\n")
    assert main(["agree", str(path), "-q", "-o", str(folder)]) == 0
    return {file.name: read_table(file) for file in folder.glob("*.tsv")}


def _row(rows, **key):
    (found,) = [row for row in rows if all(row[name] == value for name, value in key.items())]
    return found


def test_published_limits_of_agreement(tmp_path):
    """Bland and Altman 1986, peak flow by two meters: mean -2.1 l/min, SD 38.8, limits by 1.96 SD."""
    found = _written(tmp_path / "flow.tsv", tmp_path / "out", {"wright": WRIGHT, "mini": MINI})
    (row,) = found["pairs.tsv"]
    assert (row["bias"], row["sd"]) == (pytest.approx(-2.1176, abs=5e-5), pytest.approx(38.7651, abs=5e-5))
    assert (round(row["lower"], 2), round(row["upper"], 2)) == (-78.10, 73.86)


@pytest.mark.parametrize("y", ANSCOMBE_Y, ids=("I", "II", "III"))
def test_published_regression(tmp_path, y):
    """Anscombe 1973: all of his sets have y = 3.00 + 0.500 x and R2 = 0.67."""
    found = _written(tmp_path / "quartet.tsv", tmp_path / "out", {"x": ANSCOMBE_X, "y": y})
    row = _row(found["references.tsv"], reader="y", reference="x")
    assert (row["slope"], row["intercept"]) == (pytest.approx(0.5, abs=5e-4), pytest.approx(3, abs=5e-3))
    assert round(found["pairs.tsv"][0]["r2"], 2) == 0.67
    # of x on y it is another line, and the product of both slopes is R2
    other = _row(found["references.tsv"], reader="x", reference="y")
    assert row["slope"] * other["slope"] == pytest.approx(found["pairs.tsv"][0]["r2"])


def test_errors_of_one_reader_against_another(tmp_path):
    """Worked out by hand: three scans of grade 1, one of 3.5, one of 4, one that the network has not."""
    readers = {"reader1a": [1, 1, 1, 3.5, 4, 2], "network": [1, 2, 1.5, 4, 3, None]}
    found = _written(tmp_path / "readers.tsv", tmp_path / "out", readers)
    assert "consensus.tsv" not in found, "there are no two other observers"
    row = _row(found["references.tsv"], reader="network", reference="reader1a")
    assert (row["n"], row["n_low"], row["n_high"]) == (5, 0, 2)
    # grade 1: 0, 1 and 0.5 off; grade 3.5: 0.5; grade 4: 1
    assert row["anti_bias_l1"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert row["high"] == pytest.approx((0.5 - 1) / 2)
    assert row["low"] != row["low"]
    back = _row(found["references.tsv"], reader="reader1a", reference="network")
    # the network's 1, 1.5, 2, 3 and 4: 0, 0.5, 1, 1 and 0.5 off
    assert back["anti_bias_l1"] == pytest.approx((0 + 0.5 + 1 + 1 + 0.5) / 5)
    grades = [row for row in found["per-grade.tsv"] if row["reader"] == "network"]
    assert [(row["grade"], row["n"]) for row in grades] == [(1, 3), (3.5, 1), (4, 1)]
    assert (grades[0]["mean"], grades[0]["sd"], grades[0]["bias"]) == (0.5, 0.5, 0.5)
    assert (grades[2]["mean"], grades[2]["bias"]) == (1, -1)
    assert grades[2]["sd"] != grades[2]["sd"]


def test_error_against_a_consensus_of_others(tmp_path):
    """By hand: errors 0, 0.5, -1 where the observers are 0, 0.5 and 1 apart."""
    readers = {
        "reader1a": [1, 2, 3],
        "reader1b": [1, 2, 2.5],
        "reader2": [1, 2.5, 4],
        "network": [1, 2.75, 2.5],
    }
    found = _written(tmp_path / "readers.tsv", tmp_path / "out", readers)
    who = [(row["reader"], row["a"], row["b"]) for row in found["consensus.tsv"]]
    assert who == [
        ("reader1a", "reader2", "network"),
        ("reader1b", "reader2", "network"),
        ("reader2", "reader1a", "network"),
        ("reader2", "reader1b", "network"),
        ("network", "reader1a", "reader2"),
        ("network", "reader1b", "reader2"),
    ]
    row = _row(found["consensus.tsv"], reader="network", a="reader1a")
    assert (row["n"], row["bias"], row["mae"]) == (3, pytest.approx(-0.5 / 3), pytest.approx(0.5))
    assert (row["spearman"], row["pearson"]) == (pytest.approx(1), pytest.approx(1))
    assert row["rmse"] == pytest.approx((1.25 / 3) ** 0.5)
    record = read_json(tmp_path / "out" / "agreement.json")
    assert record["consensus"][4] == pytest.approx(row)
    assert [len(record[key]) for key in ("pairs", "references")] == [6, 12]
    (tmp_path / "readers.tsv").write_text("id\ta\tb\ns0\t1\t2\ns1\t2\t2\n")
    command = ["agree", str(tmp_path / "readers.tsv"), "-q", "-o", str(tmp_path / "out"), "--overwrite"]
    assert main(command) == 0
    assert not (tmp_path / "out" / "consensus.tsv").exists(), "of the comparison before"


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


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (
            RESULT,
            "is what one reader sent back; csiq read --collect sent.tsv --key key.tsv -o readers.tsv makes a",
        ),
        (PAIR_RESULT, "holds verdicts on pairs, not grades; csiq agree compares grades"),
        (PAIRS, "holds verdicts on pairs, not grades; csiq agree compares grades"),
        (
            GRADE_KEY,
            "is the key of a reading; csiq read --collect RESULT.tsv --key key.tsv -o readers.tsv",
        ),
        (
            PAIR_KEY,
            "is the key of a reading; csiq read --collect RESULT.tsv --key key.tsv -o readers.tsv",
        ),
    ],
    ids=["result", "result-of-pairs", "collected-pairs", "key", "key-of-pairs"],
)
def test_a_table_of_csiq_read_that_is_none_of_readers_says_what_makes_one(tmp_path, capsys, columns, what):
    write_table(tmp_path / "sent.tsv", [dict.fromkeys(columns, "1"), dict.fromkeys(columns, "2")])
    assert main(["agree", str(tmp_path / "sent.tsv")]) == 3
    shown = capsys.readouterr().err
    assert shown.startswith(f"csiq: error: sent.tsv: {what}")
    assert shown.count("\n") == 1


def test_it_needs_neither_torch_nor_scipy(table):
    code = (
        "import sys; from csiq.cli import main\n"
        f"assert main(['agree', {str(table)!r}, '--json']) == 0\n"
        "print(sorted({'torch', 'scipy', 'sigpy', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
