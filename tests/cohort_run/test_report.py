"""The page of a cohort: what is counted, what is escaped, and how it is sorted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from csiq.cohort_run.folder import RECORD, described, open_folder
from csiq.cohort_run.job import ScanJob, write_outcome
from csiq.cohort_run.report import best_phase_counts, page_of, plateau_counts, write_report
from csiq.cohort_run.table import ScanRow, rows_of
from csiq.config import Config
from csiq.errors import CsiqError, RawDataError
from csiq.io.held_folder import write_record
from csiq.io.run_folder import RunFolder
from csiq.io.tables import read_json
from tests.cohort_run.fake_scans import write_run
from tests.reading.browser import CHROMIUM, Browser

HOSTILE = "<script>document.title='taken'</script>"


def jobs_in(folder: Path, names: list[str]) -> list[ScanJob]:
    (folder / "raw").mkdir()
    for name in names:
        (folder / "raw" / f"{name}.h5").touch()
    return [ScanJob(name, folder / "raw" / f"{name}.h5", Config(), folder / "out") for name in names]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return a cohort: three complete scans that stop at 10, 9 and 4, one failed, one not begun."""
    folder = tmp_path_factory.mktemp("cohort")
    jobs = jobs_in(folder, ["s10", "s9", "bad", "s4", "left"])
    record = described(folder / "scans.tsv", jobs, {"default": None})
    with open_folder(folder / "out", record):
        write_record(folder / "out" / RECORD, record, "interrupted")
        for job, stop, offset in ((jobs[0], 10, 0.0), (jobs[1], 9, 1.0), (jobs[3], 4, -0.5)):
            with RunFolder.open(job.run_folder) as run:
                write_run(job, run, stop, offset)
            write_outcome(job, 1)
        jobs[2].run_folder.mkdir()
        (jobs[2].run_folder / "csiq.log").write_text("failed")
        error = RawDataError(
            f"strange\theader {HOSTILE}", file="bad.h5", field="header", hint="copy it again"
        )
        write_outcome(jobs[2], 1, error)
        write_report(folder / "out")
    return folder / "out"


def test_what_is_counted():
    rows = [
        ScanRow("a", "complete", best_phase=2, top_set=(2, 3), plateau=5, stop_reason="plateau"),
        ScanRow("b", "complete", best_phase=2, top_set=(2,), plateau=7, stop_reason="max_iter"),
        ScanRow("c", "complete", best_phase=3, top_set=(1, 3), plateau=5, stop_reason="max_iter"),
        ScanRow("d", "complete", best_phase=None, plateau=None),
        ScanRow("e", "failed"),
    ]
    assert best_phase_counts(rows) == [
        {"phase": 1, "best": 0, "alone": 0, "in_top_set": 1},
        {"phase": 2, "best": 2, "alone": 1, "in_top_set": 2},
        {"phase": 3, "best": 1, "alone": 0, "in_top_set": 2},
    ]
    assert plateau_counts(rows) == [
        {"iteration": 5, "stopped": 1, "would_have": 1},
        {"iteration": 6, "stopped": 0, "would_have": 0},
        {"iteration": 7, "stopped": 0, "would_have": 1},
    ]
    assert best_phase_counts(rows[3:]) == plateau_counts(rows[3:]) == []


def test_grades_that_mean_little_are_counted_as_such(tmp_path):
    known = [ScanRow("a", "complete", best_phase=2, top_set=(2,), in_domain=True)]
    strange = [ScanRow(name, "complete", best_phase=1, top_set=(1,), in_domain=False) for name in "bc"]
    record = {"config": {"manifest": "scans.tsv", "scans": []}}
    assert ">1 graded scan.<" in page_of(tmp_path, record, known)
    says = "3 graded scans, 2 of them outside the domain: which phase is best means little there."
    assert says in page_of(tmp_path, record, [*known, *strange])


def test_the_page_says_what_the_table_says(made):
    page = (made / "cohort.html").read_text()
    for words in (
        "A cohort of 5 scans",
        "1 of 5 scans failed: see Failures.",
        "1 of 5 scans are not finished: csiq cohort run scans.tsv --resume goes on.",
        '<a href="scans/s10/report.html">s10</a>',
        '<a href="scans/bad/csiq.log">bad</a>',
        "3 of 3 graded scans came to a plateau.",
        "of unknown provenance: nothing says what it learned from",
    ):
        assert words in page
    assert len(page) < 200_000
    lines = (made / "cohort.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["scan", "s10", "s9", "bad", "s4", "left"]
    assert [line.split("\t")[1] for line in lines[1:]] == ["complete"] * 2 + ["failed", "complete", "waiting"]
    assert lines[3].endswith("bad.h5: header: strange header " + HOSTILE + "; copy it again")


def test_nothing_of_a_file_is_taken_for_markup(made):
    page = (made / "cohort.html").read_text()
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "script-src 'sha256-" in policy[1]
    assert "unsafe" not in policy[1]
    assert page.count("<script>") == 1
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_a_page_of_nothing_yet(tmp_path):
    jobs = jobs_in(tmp_path, ["a"])
    record = described(tmp_path / "scans.tsv", jobs, {"default": None})
    with open_folder(tmp_path / "out", record):
        content = write_record(tmp_path / "out" / RECORD, record, "running")
    page = page_of(tmp_path / "out", content, rows_of(tmp_path / "out"))
    assert "A cohort of 1 scan<" in page
    assert "Best phases" not in page
    # a run that is damaged is no reason to have no page
    jobs[0].run_folder.mkdir()
    (jobs[0].run_folder / "run.json").write_text('{"status": "complete"}')
    (jobs[0].run_folder / "curves.tsv").write_text("garbage\n1\t2\n")
    (row,) = rows_of(tmp_path / "out")
    assert row.status == "complete"
    assert "curves.tsv" in str(row.error)


def test_a_record_that_is_damaged_is_refused(tmp_path):
    for content in ("{}", "[]", "no json", json.dumps({"config": {"scans": [{"scan": "../up"}]}})):
        (tmp_path / RECORD).write_text(content)
        with pytest.raises(CsiqError) as caught:
            rows_of(tmp_path)
        assert caught.value.exit_code == 3
    assert read_json(tmp_path / RECORD)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to sort the table")
def test_the_table_is_sorted_by_a_click(made, tmp_path):
    order = "[...document.querySelector('table.sortable').tBodies[0].rows].map((r) => r.cells[0].innerText)"
    with Browser(tmp_path / "profile") as tab:
        tab.call("Page.navigate", url=(made / "cohort.html").as_uri())
        tab.wait("document.querySelectorAll('th button').length > 0")
        assert tab.ask(order) == ["s10", "s9", "bad", "s4", "left"]
        head = "document.querySelectorAll('table.sortable thead th')"
        found = {}
        for column, name in ((4, "stop"), (3, "grade"), (0, "scan")):
            for _ in range(2):
                tab.ask(f"{head}[{column}].querySelector('button').click()")
                found[name, tab.ask(f"{head}[{column}].ariaSort")] = tab.ask(order)
        assert tab.complaints == []
        assert {url.split(":")[0] for url in tab.requests} <= {"file", "data"}
        assert tab.ask("document.title") == "A cohort of 5 scans"
    # numbers as numbers, what is not known last either way
    assert found["stop", "ascending"] == ["s4", "s9", "s10", "bad", "left"]
    assert found["stop", "descending"] == ["s10", "s9", "s4", "bad", "left"]
    assert found["grade", "descending"] == ["s9", "s10", "s4", "bad", "left"]
    assert found["scan", "ascending"] == ["bad", "left", "s4", "s9", "s10"]
