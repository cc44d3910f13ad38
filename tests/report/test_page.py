"""The page of a run: self-contained, escaped, small, honest, and readable in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from csiq.errors import ConfigError, RawDataError
from csiq.history import COLUMNS
from csiq.report import write_curves, write_report
from csiq.report.page import MAX_BYTES, render
from csiq.report.record import read_record
from tests.report.fake_run import history, run_json, write_run_folder, write_tsv


class Reader(HTMLParser):
    """Collects what a test wants to know of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.styles: list[str] = []
        self.style, self.script, self.data, self.policy, self.text = "", "", "", "", ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag if tag in ("style", "script") else ""
        if tag == "script" and dict(attrs).get("type") == "application/json":
            self._inside = "data"
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data"):
                self.links.append(value)
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "style":
                self.styles.append(value)
            if (name, value) == ("http-equiv", "Content-Security-Policy"):
                self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        if self._inside:
            setattr(self, self._inside, getattr(self, self._inside) + data)
        else:
            self.text += f" {data}"

    def handle_endtag(self, tag):
        if tag in ("style", "script"):
            self._inside = ""

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("report") / "scan.csiq", n=32)


@pytest.fixture(scope="module")
def page(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def page_of(tmp_path: Path, n_phases: int = 4, **more) -> Reader:
    """The page of a run whose ``run.json`` differs by some keys."""
    made = more.pop("made", None)
    return Reader(
        render(read_record(write_run_folder(tmp_path / "run", n=8, n_phases=n_phases, made=made, **more)))
    )


# ---------------------------------------------------------------- self-contained and safe


def test_the_page_is_small_and_needs_nothing_else(page):
    read = Reader(page)
    assert len(page.encode()) < MAX_BYTES
    assert read.links
    assert all(link.startswith("data:image/webp;base64,") or link == "data:," for link in read.links)
    assert "://" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not {"iframe", "object", "embed", "form", "base"} & set(read.tags)
    assert read.tags.count("script") == 2  # what it is told, and its own
    assert not read.handlers
    assert not read.styles  # the policy would block them


def test_the_policy_allows_its_own_style_and_script_and_nothing_else(page):
    read = Reader(page)
    rules = dict(rule.strip().split(" ", 1) for rule in read.policy.split(";"))
    style, script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (read.style, read.script)
    )
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{style}'",
        "script-src": f"'sha256-{script}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert page.index("Content-Security-Policy") < page.index("<script")


EVIL = '"></script></style><script>alert(1)</script><img src=x onerror=alert(2)>'


def test_names_cannot_smuggle_in_code(tmp_path):
    read = page_of(
        tmp_path,
        input={"name": f"{EVIL}.h5", "sha256": EVIL},
        model={"name": EVIL, "sha256": EVIL},
        device=EVIL,
        csiq=EVIL,
        warnings=[EVIL],
        stop={"iteration": 8, "reason": EVIL, "rule": EVIL},
        counterfactual={EVIL: 3},
        gating={"source": EVIL, "orientation": EVIL, "confidence": 1.0, "snr": 3.0},
        scan={"system": {EVIL: EVIL}, "n_spokes": EVIL},
    )
    assert read.tags.count("script") == 2
    assert "alert" not in read.script + read.data
    assert not read.handlers
    assert all(link.startswith("data:") for link in read.links)
    assert EVIL in read.text


def test_nothing_of_a_path_but_its_base_name_is_shown(tmp_path):
    made = history(4)
    config = run_json(made)["config"]
    config["data"]["trajectory"] = "/home/someone/secret/traj.h5:/coord"
    config["quality"]["model"] = "/home/someone/secret/mine.safetensors"
    read = page_of(tmp_path, config=config)
    assert "someone" not in read.text
    assert "--trajectory traj.h5:/coord" in read.text
    assert "--model mine.safetensors" in read.text


def test_equal_folders_give_equal_pages(folder, page):
    assert render(read_record(folder)) == page


# ---------------------------------------------------------------- what it says


def test_verdict_stop_and_ranking_are_in_words(page):
    words = Reader(page).words
    assert "Phase 2 looks best: grade 2.29 of 4." in words
    assert (
        "between 'moderate blurring, but diagnostic value' and 'mild blurring, good diagnostic value'"
        in words
    )
    assert "Phases 1, 3 and 4 look worse (−0.26, −0.44 and −0.88)." in words
    assert "It stopped at iteration 8: the mean grade changed by less than 0.02 x max(grade, 1)" in words
    assert "12 of at most 20 iterations were left out: about 68 s saved." in words
    assert (
        "come from ours, which does not ship with this csiq; by its card: after one site's readers." in words
    )
    assert "+0.19 equal" in words
    assert "csiq recon thorax-17.h5 --coils 6 --stop-on-plateau" in words
    assert "63 s to read, reconstruct and grade, on cpu" in words
    assert "iterations 37 s" in words
    assert "writing the files 1.8 s" in words
    assert "1298, 1276, 1298, 1276" in words
    assert "direction up is end-expiration" in words
    assert "confidence of the direction 94 %" in words
    assert re.search(r"bin edges −0\.\d\d, −0\.\d\d, −\d\.\d\d SD", words)


def test_every_phase_has_three_slices_with_letters(page):
    slices = re.findall(r'<div class="frame">.*?</div>', page, re.DOTALL)
    assert len(slices) == 12
    letters = [re.findall(r'letter (\w+)">(\w)<', s) for s in slices[:3]]
    assert dict(letters[0]) == {"top": "A", "bottom": "P", "left": "R", "right": "L"}
    assert dict(letters[1]) == {"top": "H", "bottom": "F", "left": "R", "right": "L"}
    assert dict(letters[2]) == {"top": "H", "bottom": "F", "left": "A", "right": "P"}


def test_every_slice_has_a_scale_bar_of_its_length(page):
    for frame in re.findall(r'<div class="frame">.*?</div>', page, re.DOTALL):
        box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', frame)
        bar = re.search(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', frame)
        assert box.groups() == ("208.0", "208.0")  # mm
        assert bar.group(3) == "50"
        assert float(bar.group(1)) + 50 < 208
        assert ">50 mm<" in frame


def test_indistinguishable_phases_are_said_to_be_so(tmp_path):
    read = page_of(tmp_path, made=history(4, final=(2.2, 2.31, 2.15, 1.4)))
    assert "Phases 1, 2 and 3 look best: at most grade 2.29 of 4 (phase 2)." in read.words
    assert "Phases 1 and 3 cannot be told apart from phase 2" in read.words
    assert "highest grade" in read.words
    assert "grade of the best phase, 0 to 4; 90 % interval 2.25 to 3.50" in read.words
    assert "Phase 4 looks worse" in read.words
    assert read.words.count("indistinguishable from the best") == 2


def test_outside_the_training_domain_is_said_loudly(tmp_path):
    read = page_of(tmp_path, grading={"in_domain": [False] * 4})
    assert "Outside the training domain (every phase)" in read.words
    assert read.words.index("Outside the training domain") < read.words.index("Research use")
    some = page_of(tmp_path / "some", grading={"in_domain": [True, False, True, False]})
    assert "Outside the training domain (phase 2 and 4)" in some.words
    assert "Outside the training domain" not in page_of(tmp_path / "in").words
    assert (
        "Outside the training domain" not in page_of(tmp_path / "x", grading={"in_domain": [None] * 4}).words
    )


def test_a_rescan_is_advised_below_the_grade_asked_for(tmp_path):
    config = run_json(history(4))["config"]
    config["stop"]["min_grade"] = 3.0
    assert (
        "Rescan advised: the best grade, 2.29, is below the 3 asked for."
        in page_of(tmp_path, config=config).words
    )


def test_a_worse_last_iterate_is_admitted(tmp_path):
    # FAULTS D15: the best iteration is kept beside the last, and the page says so
    read = page_of(tmp_path, returned_iteration=5)
    assert "Iteration 5 was returned: its mean grade is 1.81, that of the last iteration 1.89." in read.words


def test_shadow_mode_says_what_stopping_would_have_saved(tmp_path):
    made = history(4, n_iterations=20)
    content = run_json(made)
    config = content["config"]
    config["stop"]["shadow"] = True
    stop = {"iteration": 20, "reason": "max_iter", "rule": "max_iter"}
    read = page_of(tmp_path, made=made, config=config, stop=stop)
    assert "All 20 iterations were done." in read.words
    assert (
        "would have stopped at iteration 8, 68 s earlier, with an image of a mean grade 0.02 lower"
        in read.words
    )


def test_warnings_of_the_data_are_listed(tmp_path):
    assert "Nothing odd was found" in page_of(tmp_path).words
    assert "coil 3 carries no signal" in page_of(tmp_path / "w", warnings=["coil 3 carries no signal"]).words


# ---------------------------------------------------------------- folders that are not complete


def test_a_run_without_a_model_has_a_page(tmp_path):
    made = history(4, final=(math.nan,))
    made.steps = [type(s)(**{**vars(s), "grades": (math.nan,) * 4}) for s in made.steps]
    read = page_of(tmp_path, made=made, model=None, grading={"in_domain": [None] * 4})
    assert "The images were not graded." in read.words
    assert "only the cost is known" in read.words
    assert "Ranking" not in read.words
    assert "network trained" not in read.words


def test_a_phase_without_a_grade_leaves_the_rest(tmp_path):
    made = history(4)
    made.steps = [type(s)(**{**vars(s), "grades": (math.nan, *s.grades[1:])}) for s in made.steps]
    read = page_of(tmp_path, made=made)
    assert "Phase 2 looks best" in read.words
    assert "not graded" in read.words


def test_phases_from_different_iterations_are_not_ranked(tmp_path):
    read = page_of(tmp_path, returned_iteration=[8, 7, 8, 6])
    assert "Each phase is from its own best iteration (8, 7, 8 and 6); they are not ranked." in read.words
    assert "Pairs" not in read.words


def test_a_single_phase_has_no_pairs_and_no_breathing(tmp_path):
    folder = write_run_folder(tmp_path / "one", n=8, n_phases=1)
    rows = [{"spoke": i, "time_s": 0.1 * i, "signal": math.nan, "phase": 1} for i in range(20)]
    write_tsv(folder / "respiration.tsv", ("spoke", "time_s", "signal", "phase"), rows)
    words = Reader(render(read_record(folder))).words
    assert "The image has grade 2.03 of 4." in words
    assert "Pairs" not in words
    assert "Breathing" not in words


def test_a_signal_that_is_no_breathing_is_not_called_so(tmp_path):
    read = page_of(tmp_path, gating={"source": "k0", "orientation": "not applicable", "snr": 5.0})
    assert "end-expiration" not in read.words
    assert "Gating" in read.words
    assert "centre of k-space" in read.words


def test_a_run_that_is_going_on_refreshes_itself(tmp_path):
    folder = tmp_path / "running"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"status": "running", "csiq": "0.1.0", "warnings": []}))
    page = render(read_record(folder))
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page
    assert "This run is still going." in Reader(page).words
    assert json.loads(Reader(page).data)["reload"] == 10
    done = render(read_record(write_run_folder(tmp_path / "done", n=8)))
    assert 'http-equiv="refresh"' not in done
    assert json.loads(Reader(done).data)["reload"] == 0


def test_an_interrupted_run_shows_what_it_has(tmp_path):
    folder = write_run_folder(tmp_path / "run", n=8, status="interrupted", returned_iteration=None,
                              stop={"iteration": 4, "reason": "interrupted", "rule": None})  # fmt: skip
    for path in [*folder.glob("phase-*"), folder / "respiration.tsv"]:
        path.unlink()
    words = Reader(render(read_record(folder))).words
    assert "The run was interrupted after iteration 4." in words
    assert "Images" not in words
    assert "Quality and cost against iteration" in words


@pytest.mark.slow
def test_sixty_four_phases_stay_below_the_limit(tmp_path):
    made = history(64)
    folder = write_run_folder(tmp_path / "many", n=40, n_phases=1)
    for phase in range(2, 65):
        shutil.copy(folder / "phase-1.nii.gz", folder / f"phase-{phase}.nii.gz")
    (folder / "run.json").write_text(json.dumps(run_json(made)))
    write_tsv(folder / "curves.tsv", COLUMNS, made.rows())
    assert write_report(folder).stat().st_size < MAX_BYTES


def test_no_run_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        write_report(tmp_path / "nothing")
    with pytest.raises(RawDataError, match=r"no run\.json"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(RawDataError, match="JSON object"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RawDataError, match="no curves"):
        write_curves(tmp_path)


def test_a_damaged_image_is_named_and_the_old_page_kept(tmp_path):
    folder = write_run_folder(tmp_path / "run", n=8)
    before = write_report(folder).read_bytes()
    image = folder / "phase-2.nii.gz"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(RawDataError, match=r"phase-2\.nii\.gz"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before
