"""F1 F2: who was scanned, when, where and on which machine is in no output; nothing asks a network."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from csiq.cli import main
from tests.faults.identity import IDENTITY, TOKENS, found_in, name_everybody
from tests.faults.kinds import KINDS, small_scan
from tests.faults.offline import HOST, cut_off, run_offline
from tests.reading.browser import CHROMIUM, Browser

pytestmark = pytest.mark.slow

#: Everything a person does with one scan, in one process; what it prints is searched, too.
SESSION = """
from csiq.cli import main

def csiq(line):
    code = main(line.split())
    assert code == 0, (line, code)

recon = "--phases 2 --max-iter 1 --coils 2 --device cpu --threads 1 --json"
csiq("info zyx-ward/scan.h5 --json")
csiq(f"recon zyx-ward/scan.h5 -o out {recon} --save-iterates")
csiq("report out")
csiq("rank out")
csiq("curves out")
csiq("grade out/phase-1.nii.gz --json")
for target in ("again.h5", "again.cfl"):
    csiq(f"convert zyx-ward/scan.h5 {target}")
csiq("convert out/volumes.h5 heart")
csiq("convert out/volumes.h5 heart.nii.gz")
csiq("convert zyx-ward/scan.dat twix.h5 --trajectory golden3d")
csiq("info zyx-ward/dated.h5 --json")
csiq("convert zyx-ward/dated.h5 dated.h5")
code = main("recon zyx-ward/scan.h5 -o out --lamda -1".split())
assert code == 2, code
"""


@dataclass(frozen=True)
class Session:
    """What a session left behind."""

    folder: Path
    said: str
    asked: str

    @property
    def files(self) -> list[Path]:
        """Every file but the raw ones and the test's own."""
        own = ("zyx-ward", "site", "refused")
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return [p for p in files if p.relative_to(self.folder).parts[0] not in own]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Return what came of a scan whose header names everybody, from a folder that does, too."""
    from csiq.io.ismrmrd import write_ismrmrd

    folder = tmp_path_factory.mktemp("session")
    ward = folder / "zyx-ward"
    ward.mkdir()
    for name in ("scan", "dated"):
        write_ismrmrd(ward / f"{name}.h5", small_scan())
    name_everybody(ward / "scan.h5")
    # what a schema complains of is what it quotes
    name_everybody(
        ward / "dated.h5", {**IDENTITY, "patientBirthdate": "19.03.1961", "accessionNumber": "zyx1"}
    )
    (ward / "scan.dat").write_bytes(KINDS["twix"].make(folder).read_bytes())
    (folder / "scan.dat").unlink()
    done, asked = run_offline(SESSION, folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return Session(folder, done.stdout + done.stderr, asked)


def test_a_search_finds_what_is_hidden(tmp_path: Path) -> None:
    """The search itself: text, JSON escapes, HTML, gzip, PNG, HDF5."""
    path = KINDS["ismrmrd"].make(tmp_path)
    name_everybody(path)
    assert found_in(path, TOKENS) >= set(IDENTITY.values())
    (tmp_path / "a.json").write_text(json.dumps({"a": "Zyxwald^Jane"}).replace("Z", "\\u005a"))
    assert "Zyxwald^Jane" in found_in(tmp_path / "a.json", TOKENS)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress("zyxcoil".encode("utf-16-le")))
    assert found_in(tmp_path / "b.nii.gz", TOKENS) == {"zyxcoil"}
    from matplotlib.figure import Figure

    Figure().savefig(tmp_path / "c.png", metadata={"Author": "Zyxwald^Jane ä"})
    assert "Zyxwald^Jane" in found_in(tmp_path / "c.png", TOKENS)


def test_nobody_is_named_anywhere(session: Session) -> None:
    """F1: names, dates, numbers and places of the header, the host, the user, and the folders."""
    assert {p.suffix for p in session.files} >= {
        ".html", ".json", ".tsv", ".png", ".gz", ".h5", ".log", ".cfl", ".hdr", ".dcm"
    }  # fmt: skip
    assert len(session.files) > 25
    for path in session.files:
        # the log may say where the raw file lies
        places = (*TOKENS, str(session.folder)) if path.name != "csiq.log" else tuple(IDENTITY.values())
        tokens = (*places, "Doe^Jane")
        assert found_in(path, tokens) == set(), path.name
    for word in (*IDENTITY.values(), "Doe^Jane", "19.03.1961", "zyx1", HOST, "zyxuser"):
        assert word not in session.said


def test_nothing_asks_a_network(session: Session) -> None:
    """Each connection would have been refused and written down; where permitted there is no network."""
    assert session.asked == ""


def test_the_hook_sees_a_connection(tmp_path: Path) -> None:
    """The test above can fail."""
    script = (
        "import socket, subprocess, sys\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError: pass\n"
        "subprocess.run([sys.executable, '-c', "
        '\'import socket; socket.socket(2, 2).sendto(b"x", ("192.0.2.1", 9))\'], capture_output=True)\n'
        "print(socket.gethostname())"
    )
    done, asked = run_offline(script, tmp_path)
    assert done.returncode == 0
    assert "socket.connect" in asked or "socket.getaddrinfo" in asked
    assert "socket.sendto" in asked
    if cut_off():
        assert done.stdout.strip() == HOST


SCRIPT = '"><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to render the report")
def test_scripts_in_every_field_do_not_run(tmp_path: Path) -> None:
    """F2: with the identifiers kept, so that they come as far as they ever do."""
    from tests.io.files import edit_xml

    raw = tmp_path / "<img src=x onerror=hacked=1>.h5"
    KINDS["ismrmrd"].make(tmp_path).rename(raw)
    text = [name for name, value in IDENTITY.items() if not value.replace("-", "").replace(":", "").isdigit()]
    name_everybody(raw, IDENTITY | {name: f"{name}{SCRIPT}" for name in text})
    hostile = SCRIPT.replace("<", "&lt;").replace('"', "&quot;")

    def vendor(xml: str) -> str:
        named = f"<systemVendor>vendor{hostile}</systemVendor><systemModel>model{hostile}</systemModel>"
        head, _, rest = xml.partition("<systemVendor>")
        return head + named + rest.partition("</systemVendor>")[2]

    edit_xml(raw, vendor)
    options = ["--phases", "1", "--max-iter", "1", "--device", "cpu", "--keep-identifiers", "-q"]
    assert main(["recon", str(raw), "-o", str(tmp_path / "out"), *options]) == 0
    page = tmp_path / "out" / "report.html"
    assert "window.hacked" in page.read_text()
    assert "<script>window" not in page.read_text()
    assert 'onerror="' not in page.read_text()
    with Browser(tmp_path / "profile") as browser:
        browser.call("Page.navigate", url=page.as_uri())
        browser.wait("document.readyState === 'complete' && document.getElementById('provenance')")
        assert browser.ask("window.hacked") is None
        assert browser.ask("document.querySelectorAll('img[src=x], [onerror]').length") == 0
        shown = browser.ask("document.body.textContent")
        for name in ("patientName", "studyID", "protocolName", "vendor", "model"):
            assert f"{name}{SCRIPT}" in shown
        assert "<img src=x onerror=hacked=1>.h5" in shown
        assert {url.split(":")[0] for url in browser.requests} <= {"file", "data"}
        assert browser.complaints == []
