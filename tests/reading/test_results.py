"""What readers send back becomes the table that ``csiq agree`` reads, or is refused line by line."""

from __future__ import annotations

import json
import math

import pytest

from csiq.cli.entry import main
from csiq.cohort.checked_table import ManifestError
from csiq.errors import ConfigError
from csiq.io.tables import read_table, write_table
from csiq.reading import collect
from csiq.reading.results import PAIR_RESULT, RESULT

GRADES = {"p1.nii": 1.0, "p2.nii": 2.5, "p3.nii": 4.0}


def write_key(path, session="s1", order=("p3.nii", "p1.nii", "p2.nii", "p3.nii")):
    seen: set[str] = set()
    rows = []
    for position, volume in enumerate(order, start=1):
        row = {"session": session, "item": f"{session}-{position}", "position": position}
        rows.append({**row, "reading": 2 if volume in seen else 1, "volume": volume})
        seen.add(volume)
    write_table(path, rows)
    return path


def write_result(path, key, reader="reader1", answer=lambda row: GRADES[row["volume"]]):
    rows = [
        {
            **{name: row[name] for name in ("session", "item", "position")},
            "reader": reader,
            "grade": answer(row),
            "seconds": 10.0 * row["position"],
            "visits": 1,
            "changes": 0,
        }
        for row in read_table(key)
    ]
    write_table(path, rows, RESULT)
    return path


def test_grades_become_one_column_a_reading(tmp_path):
    key = write_key(tmp_path / "key.tsv")
    one = write_result(
        tmp_path / "one.tsv", key, answer=lambda r: GRADES[r["volume"]] - (0.5 if r["reading"] == 2 else 0)
    )
    two = write_result(tmp_path / "two.tsv", key, "reader2")
    summary = collect([one, two], [key], tmp_path / "readers.tsv")
    assert summary["columns"] == ["id", "reader1a", "reader1b", "reader2a", "reader2b"]
    rows = read_table(tmp_path / "readers.tsv")
    assert [row["id"] for row in rows] == ["p1.nii", "p2.nii", "p3.nii"]
    assert [row["reader1a"] for row in rows] == [1.0, 2.5, 4.0]
    assert [row["reader1b"] for row in rows][2] == 3.5
    assert all(math.isnan(row["reader1b"]) for row in rows[:2])
    first = {"reader": "reader1", "session": "s1", "cases": 4, "answered": 4, "repeats": 1, "median_s": 25.0}
    assert summary["readings"][0] == first


def test_without_repeats_a_reader_is_one_column_and_later_sessions_follow(tmp_path):
    early = write_key(tmp_path / "k1.tsv", "s1", ("p1.nii", "p2.nii"))
    late = write_key(tmp_path / "k2.tsv", "s2", ("p2.nii", "p3.nii", "p2.nii"))
    files = [
        write_result(tmp_path / "r2.tsv", early, "reader2"),
        write_result(tmp_path / "r1-early.tsv", early),
        write_result(tmp_path / "r1-late.tsv", late, answer=lambda r: 0.5 * r["reading"]),
    ]
    summary = collect(files, [early, late], tmp_path / "readers.tsv")
    assert summary["columns"] == ["id", "reader2", "reader1a", "reader1b", "reader1c"]
    rows = {row["id"]: row for row in read_table(tmp_path / "readers.tsv")}
    assert [rows["p2.nii"][name] for name in summary["columns"][1:]] == [2.5, 2.5, 0.5, 1.0]
    assert rows["p3.nii"]["reader1b"] == 0.5


def test_parts_of_one_round_share_columns(tmp_path):
    parts = [
        write_key(tmp_path / "k1.tsv", "s1", ("p1.nii", "p2.nii", "p1.nii")),
        write_key(tmp_path / "k2.tsv", "s2", ("p3.nii",)),
        write_key(tmp_path / "k3.tsv", "s3", ("p3.nii", "p1.nii")),
    ]
    files = [write_result(tmp_path / f"r{i}.tsv", key) for i, key in enumerate(parts)]
    summary = collect(files, parts, tmp_path / "readers.tsv")
    assert summary["columns"] == ["id", "reader1a", "reader1b", "reader1c"]
    rows = read_table(tmp_path / "readers.tsv")
    assert [row["reader1a"] for row in rows] == [1.0, 2.5, 4.0]
    assert [row["reader1c"] == GRADES[row["id"]] for row in rows] == [True, False, True]


def test_readers_whose_columns_would_meet_are_refused(tmp_path):
    key = write_key(tmp_path / "key.tsv")
    once = write_key(tmp_path / "once.tsv", "s2", ("p1.nii",))
    files = [write_result(tmp_path / "a.tsv", key), write_result(tmp_path / "b.tsv", once, "reader1a")]
    with pytest.raises(ConfigError, match="both need a column 'reader1a'"):
        collect(files, [key, once], tmp_path / "readers.tsv")


def test_agree_reads_what_was_collected(tmp_path, capsys):
    order = tuple(f"p{i}.nii" for i in range(8)) * 2
    key = write_key(tmp_path / "key.tsv", order=order)
    result = write_result(
        tmp_path / "r.tsv", key, answer=lambda r: int(r["volume"][1]) / 2 - 0.5 * (r["reading"] == 2) + 0.5
    )
    arguments = [str(result), "--key", str(key), "-o", str(tmp_path / "readers.tsv")]
    assert main(["read", "--collect", *arguments]) == 0
    said = capsys.readouterr().out
    assert "reader1" in said
    assert "csiq agree" in said
    assert main(["agree", str(tmp_path / "readers.tsv"), "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (pair["a"], pair["b"], pair["n"]) == ("reader1a", "reader1b", 8)
    assert pair["bias"] == pytest.approx(0.5)
    assert pair["mae"] == pytest.approx(0.5)
    assert pair["spearman"] == pytest.approx(1.0)
    assert main(["read", "--collect", *arguments]) == 7


def test_a_session_cut_short_leaves_gaps(tmp_path):
    key = write_key(tmp_path / "key.tsv")
    half = write_result(
        tmp_path / "r.tsv", key, answer=lambda r: GRADES[r["volume"]] if r["position"] < 3 else None
    )
    summary = collect([half], [key], tmp_path / "readers.tsv")
    assert summary["readings"][0]["answered"] == 2
    assert math.isnan(read_table(tmp_path / "readers.tsv")[1]["reader1a"])


def test_all_that_is_wrong_is_said_at_once_with_its_line(tmp_path):
    key = write_key(tmp_path / "key.tsv")
    lines = [
        "\t".join(RESULT),
        "s1\treader1\ts1-1\t1\t3.25\t1.0\t1\t0",
        "s1\treader1\ts1-2\t2\t5\tlong\t1\t0",
        "s1\treader2\ts1-2\tsecond\t3\t-1\t1\t0",
        "s9\treader1\ts1-3\t3\t3\t1.0\t1\t0",
        "s1\treader1\ts1-4\t4\tgood\t1.0\t1",
    ]
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text("\n".join(lines) + "\n")
    with pytest.raises(ManifestError) as error:
        collect([wrong], [key], tmp_path / "readers.tsv")
    assert error.value.problems == (
        "line 1: 2 items of the key are not there (s1-3, s1-4)",
        "line 2: grade 3.25 is no half grade",
        "line 3: grade 5 is off the scale 0 to 4",
        "line 3: seconds 'long' is no time",
        "line 4: reader 'reader2', in the first line 'reader1'",
        "line 4: position 'second' is no count",
        "line 4: seconds '-1' is no time",
        "line 4: item 's1-2' is there before, in line 3",
        "line 5: session 's9', in the first line 's1'",
        "line 5: item 's1-3' of session 's9' is not in the key",
        "line 6: 7 cells, the header has 8",
    )
    assert not (tmp_path / "readers.tsv").exists()


def test_faults_of_several_files_come_together(tmp_path):
    key = write_key(tmp_path / "key.tsv")
    right = write_result(tmp_path / "a.tsv", key)
    again = write_result(tmp_path / "b.tsv", key)
    (tmp_path / "c.tsv").write_text("id\tgrade\nx\t1\n")
    with pytest.raises(ManifestError) as error:
        collect([right, again, tmp_path / "c.tsv"], [key], tmp_path / "readers.tsv")
    first, *others = error.value.problems
    assert first.startswith("b.tsv: line 1: reader 'reader1' has read this session in a.tsv already")
    assert others[0].startswith("c.tsv: line 1: column 'session' is missing")


def test_a_key_that_is_wrong_is_said_first(tmp_path):
    (tmp_path / "key.tsv").write_text(
        "session\titem\tposition\treading\tvolume\ns\tx\t1\t3\tp1.nii\ns\tx\t2\t1\t\n"
    )
    with pytest.raises(ManifestError) as error:
        collect([tmp_path / "gone.tsv"], [tmp_path / "key.tsv"], tmp_path / "readers.tsv")
    assert error.value.problems == (
        "line 2: reading '3' is neither 1 nor 2",
        "line 3: no volume",
        "line 3: item 'x' is there before",
    )


# ---------------------------------------------------------------- pairs


def write_pair_key(path):
    rows = [("i1", 1, "a"), ("i2", 1, "b"), ("i3", 2, "b")]
    volumes = {"i1": ("x1", "x2"), "i2": ("x1", "x10"), "i3": ("x1", "x2")}
    write_table(
        path,
        [
            {"session": "s", "item": item, "position": n, "reading": reading}
            | {"a": volumes[item][0], "b": volumes[item][1], "left": left}
            for n, (item, reading, left) in enumerate(rows, start=1)
        ],
    )
    return path


def test_verdicts_on_pairs_are_worded_as_in_a_ranking(tmp_path):
    key = write_pair_key(tmp_path / "key.tsv")
    said = {"i1": "A", "i2": "A", "i3": "equal"}
    rows = [
        dict(zip(PAIR_RESULT, ("s", "reader1", item, n, choice, 2.5, 1, 0), strict=True))
        for n, (item, choice) in enumerate(said.items(), start=1)
    ]
    write_table(tmp_path / "r.tsv", rows)
    collect([tmp_path / "r.tsv"], [key], tmp_path / "pairs.tsv")
    got = [
        (r["a"], r["b"], r["reading"], r["verdict"], r["left"]) for r in read_table(tmp_path / "pairs.tsv")
    ]
    assert got == [
        ("x1", "x2", 1, "a", "a"),  # A was a
        ("x1", "x2", 2, "equal", "b"),
        ("x1", "x10", 1, "b", "b"),  # A was b
    ]


def test_pairs_and_grades_do_not_mix_and_a_choice_is_checked(tmp_path):
    pairs, grades = write_pair_key(tmp_path / "p.tsv"), write_key(tmp_path / "g.tsv")
    with pytest.raises(ConfigError, match="do not go into one table"):
        collect([tmp_path / "r.tsv"], [pairs, grades], tmp_path / "out.tsv")
    lines = ["\t".join(PAIR_RESULT)]
    lines += [
        f"s\treader1\ti{n}\t{n}\t{choice}\t1\t1\t0" for n, choice in ((1, "left"), (2, "B"), (3, "nan"))
    ]
    (tmp_path / "r.tsv").write_text("\n".join(lines))
    with pytest.raises(ManifestError) as error:
        collect([tmp_path / "r.tsv"], [pairs], tmp_path / "out.tsv")
    assert error.value.problems == ("line 2: choice 'left' is none of A, B, equal",)
