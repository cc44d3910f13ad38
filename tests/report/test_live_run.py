"""``--live``: the page of a reconstruction while it goes on, and when it has ended."""

from __future__ import annotations

import importlib
import json
import re

import pytest

from csiq import pipeline
from csiq.config import load_config
from csiq.io.ismrmrd import write_ismrmrd
from csiq.run_scan import run
from tests.fakes import rising
from tests.scans import TINY, scan_and_truth

#: Simulates and reconstructs.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    scan, _ = scan_and_truth(TINY)
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_ismrmrd(path, scan)
    return path


@pytest.mark.parametrize("saved", [False, True])
def test_the_page_follows_a_run(raw, tmp_path, monkeypatch, saved):
    for module in (pipeline, importlib.import_module("csiq.run_scan")):
        monkeypatch.setattr(module, "load_grader", lambda config, device: rising(plateau=3))
    folder, pages = tmp_path / "out", []

    def look(event):
        # told of an iteration before its page is written: what is there is that of the one before
        if event["event"] == "iteration" and event["iteration"] > 0:
            pages.append((folder / "report.html").read_text(encoding="utf-8"))

    config = load_config(
        overrides={
            "coils": 3,
            "device": "cpu",
            "max_iter": 3,
            "threads": 2,
            "live": True,
            "save_iterates": saved,
        }
    )
    run(config, raw, folder, on_event=look)
    assert len(pages) == 3
    for k, page in enumerate(pages):
        told = json.loads(re.search(r'id="told">(.*?)</script>', page, re.DOTALL).group(1))
        assert len(told["rows"]) == k + 1
        assert told["reload"] == 10
        assert told["iterations"] == (list(range(k + 1)) if saved else [])
        assert f"Images of iteration {k}" in page
        assert page.count('<article class="phase"') == 4
    done = (folder / "report.html").read_text(encoding="utf-8")
    assert '<p class="live"' not in done
    assert "Images of iteration" not in done
