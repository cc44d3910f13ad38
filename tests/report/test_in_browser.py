"""The report at work in a headless Chromium: real keys and mouse, scripts on and off, phone, paper, dark."""

from __future__ import annotations

import base64
import json
import time

import numpy as np
import pytest

from csiq.io.tables import write_json
from csiq.report import write_report
from tests.reading.browser import CHROMIUM, Browser
from tests.report.fake_run import history, run_json, write_run_folder
from tests.report.test_slices import save_iterate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to render the report"),
]

LAST = 8
#: Text whose contrast with what lies behind it is too low, but for letters on images.
FAINT = """
(() => {
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('script, .frame, dialog, .unseen') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const flag = e.closest('.flag');
    const ground = flag ? rgb(getComputedStyle(flag.querySelector('rect')).fill) : behind(e);
    const colours = [rgb(e instanceof SVGElement ? style.fill : style.color), ground];
    const [a, b] = colours.map(light).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push([e.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return found;
})()
"""
#: Places that take the focus and have no name.
NAMELESS = """
[...document.querySelectorAll('a[href], button, input, summary, [tabindex]')]
  .filter((e) => e.getClientRects().length)
  .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with every iterate saved; brighter from one to the next."""
    folder = write_run_folder(tmp_path_factory.mktemp("report") / "scan.csiq", n=24)
    ramp = np.linspace(0.01, 1, 24, dtype=np.float32)
    for k in range(LAST + 1):
        volumes = np.broadcast_to(ramp, (4, 24, 24, 24)) * (1 + k) / (1 + LAST)
        save_iterate(folder, k, volumes.astype(np.complex64))
    write_json(folder / "phase-1.json", {"scale": 1.0})
    write_report(folder)
    return folder


@pytest.fixture
def tab(browser):
    """The browser, its window of a usual size; it must not have complained or asked a network."""
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    browser.call("Emulation.setEmulatedMedia", media="", features=[])
    browser.size(1100, 900)
    browser.requests.clear()
    browser.complaints.clear()
    yield browser
    assert browser.complaints == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data"}


def show(tab, folder) -> None:
    tab.call("Page.navigate", url="about:blank")
    tab.wait("location.href === 'about:blank'")
    tab.call("Page.navigate", url=(folder / "report.html").as_uri())
    tab.wait("document.readyState === 'complete' && document.getElementById('provenance')")


def value(tab, name) -> str:
    return tab.ask(f"document.querySelector('[data-value=\"{name}\"]').textContent")


def at(tab, k: int, kind: str = "wide") -> tuple[float, float]:
    """Where an iteration lies on the chart, which is brought into the window."""
    tab.ask("document.getElementById('plot').scrollIntoView({ block: 'center' })")
    return tuple(tab.ask(
        f"""(() => {{ const s = document.querySelector('#plot .{kind}'), b = s.getBoundingClientRect();
        const x = Number(s.dataset.left) + {k} * Number(s.dataset.step);
        return [b.x + x * b.width / s.viewBox.baseVal.width, b.y + b.height / 2]; }})()"""
    ))  # fmt: skip


# ---------------------------------------------------------------- curves


def test_pointing_at_the_chart_reads_an_iteration(tab, folder):
    show(tab, folder)
    made = history(4)
    start = value(tab, "iteration")
    tab.mouse("mouseMoved", *at(tab, 3))
    assert value(tab, "iteration") == "3"
    assert [value(tab, p) for p in (1, 2, 3, 4)] == [f"{g:.2f}" for g in made.steps[3].grades]
    assert float(value(tab, "cost")) == pytest.approx(made.steps[3].cost, rel=1e-3)
    assert tab.ask("document.querySelector('#plot .wide .cursor').getAttribute('visibility')") == "visible"
    tab.mouse("mouseMoved", 5, 5)
    assert value(tab, "iteration") == start


def test_keys_read_the_chart_and_move_the_images(tab, folder):
    show(tab, folder)
    tab.ask("document.getElementById('plot').focus()")
    tab.press("Home", "ArrowRight", "ArrowRight")
    assert value(tab, "iteration") == "2"
    words = tab.ask("document.getElementById('plot').getAttribute('aria-valuetext')")
    assert words.startswith(f"iteration 2: phase 1 {history(4).steps[2].grades[0]:.2f}, phase 2")
    assert tab.ask("document.getElementById('iteration').value") == "2"
    assert "at iteration 2" in tab.ask("document.querySelector('[data-grade]').textContent")
    tab.press("End", "ArrowRight")
    assert value(tab, "iteration") == str(LAST)


def test_a_phase_can_be_hidden_and_shown(tab, folder):
    show(tab, folder)
    shown = "getComputedStyle(document.querySelector('#plot .wide .curve[data-phase=\"2\"]')).display"
    assert tab.ask(shown) != "none"
    tab.click("#legend button[data-phase='2']")
    assert tab.ask(shown) == "none"
    pressed = "document.querySelector('#legend button[data-phase=\"2\"]').getAttribute('aria-pressed')"
    assert tab.ask(pressed) == "false"
    tab.press("Enter")  # it has the focus
    assert tab.ask(shown) != "none"


# ---------------------------------------------------------------- images


def first_image(tab) -> str:
    return tab.ask("document.querySelector('article.phase img').src")


def test_the_slider_shows_the_same_iteration_of_all_phases(tab, folder):
    show(tab, folder)
    own = first_image(tab)
    told = json.loads(tab.ask("document.getElementById('told').textContent"))
    tab.ask("document.getElementById('iteration').focus()")
    tab.press("Home")
    for phase in (1, 4):
        sources = tab.ask(
            f"[...document.querySelectorAll('article[data-phase=\"{phase}\"] img')].map((i) => i.src)"
        )
        assert sources == [told["frames"][f"{phase}-{plane}"][0] for plane in range(3)]
    assert tab.ask("document.querySelector('article.phase img').alt").endswith("axial, iteration 0")
    assert tab.ask("document.getElementById('iteration-now').textContent") == "0"
    tab.click("#returned")
    assert first_image(tab) == own
    assert "at iteration" not in tab.ask("document.querySelector('[data-grade]').textContent")


def test_every_frame_is_a_picture(tab, folder):
    show(tab, folder)
    sizes = tab.ask("""(async () => {
      const found = [];
      for (const uri of Object.values(told.frames).flat()) {
        const image = new Image();
        image.src = uri;
        await image.decode();
        found.push(image.naturalWidth);
      }
      return found;
    })()""")
    assert len(sizes) == 12 * (LAST + 1)
    assert min(sizes) > 0


def test_play_runs_to_the_end_and_stops(tab, folder):
    show(tab, folder)
    tab.ask("gallery.show(6)")
    tab.ask("document.getElementById('images').scrollIntoView()")
    tab.click("#play")
    assert tab.ask("document.getElementById('play').textContent") == "Stop"
    tab.wait("document.getElementById('play').textContent === 'Play'", 10)
    assert tab.ask("document.getElementById('iteration').value") == str(LAST)


def test_a_slice_is_seen_large_and_phases_are_stepped_through_at_one_place(tab, folder):
    show(tab, folder)
    tab.ask("document.querySelector('article.phase .frame').focus()")
    tab.press("Enter")
    title = "document.getElementById('large-title').textContent"
    assert tab.ask(title).startswith("Phase 1 (end-expiration) · axial · grade")
    tab.press("ArrowRight")
    assert tab.ask(title).startswith("Phase 2 · axial")
    tab.press("ArrowDown")
    assert tab.ask(title).endswith("at iteration 7") or tab.ask(title).endswith("at iteration 6")
    image = "document.querySelector('#large-frame img').src"
    assert tab.ask(image) == tab.ask("document.querySelector('article[data-phase=\"2\"] img').src")
    tab.click("#large-close")
    assert not tab.ask("document.getElementById('large').open")
    assert tab.ask("document.activeElement === document.querySelector('article.phase .frame')")


# ---------------------------------------------------------------- without scripts, small, on paper, dark


def test_without_scripts_everything_but_the_slider_is_there(tab, folder):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.call("Page.navigate", url="about:blank")
    tab.call("Page.navigate", url=(folder / "report.html").as_uri())
    tab.wait("document.readyState === 'complete' && document.getElementById('provenance')")
    visible = "[...document.querySelectorAll('{}')].filter((e) => e.getClientRects().length).length"
    assert tab.ask(visible.format("article.phase img")) == 12
    assert tab.ask(visible.format(".slider")) == 0
    assert tab.ask(visible.format("#plot svg")) == 1
    assert tab.ask(visible.format("#legend button")) == 0
    assert "With scripts switched on" in tab.ask("document.body.innerText")
    assert tab.ask("document.querySelector('article.phase img').naturalWidth") > 0


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_it_without_scrolling_sideways(tab, folder, width):
    tab.size(width, 800, mobile=True)
    show(tab, folder)
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask("document.querySelector('#plot .narrow').getClientRects().length") == 1
    assert tab.ask("document.querySelector('#plot .wide').getClientRects().length") == 0
    # rules and ranks stand below each other: nothing that matters has to be scrolled to
    boxes = "[...document.querySelectorAll('.cards')].map((t) => t.parentElement)"
    assert tab.ask(f"{boxes}.length") == 2
    assert tab.ask(f"{boxes}.every((box) => box.scrollWidth <= box.clientWidth)")
    scale = tab.ask("document.querySelector('#plot .narrow').getBoundingClientRect().width / 340")
    assert 12 * scale >= 9  # px of the chart's text
    tab.mouse("mouseMoved", *at(tab, 3, "narrow"))
    assert value(tab, "iteration") == "3"


def test_paper_has_no_controls_and_the_table_open(tab, folder):
    show(tab, folder)
    pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert pdf.startswith(b"%PDF")
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.ask("document.querySelector('.slider').getClientRects().length") == 0
    tab.ask("dispatchEvent(new Event('beforeprint'))")
    assert tab.ask("document.getElementById('numbers').open")
    tab.ask("dispatchEvent(new Event('afterprint'))")
    assert not tab.ask("document.getElementById('numbers').open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(tab, folder, scheme):
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    show(tab, folder)
    tab.ask("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    ground = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(245, 247, 249)", "dark": "rgb(18, 20, 23)"}[scheme]
    assert tab.ask(FAINT) == []


def test_whatever_takes_the_focus_has_a_name(tab, folder):
    show(tab, folder)
    assert tab.ask(NAMELESS) == []
    assert tab.ask("[...document.images].every((i) => i.alt)")


def test_nothing_moves_by_itself_where_motion_is_unwanted(tab, tmp_path):
    folder = running(tmp_path / "run", 3)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    show(tab, folder)
    assert tab.ask("getComputedStyle(document.querySelector('.pulse')).animationName") == "none"


# ---------------------------------------------------------------- a run that goes on


def running(folder, last: int):
    """The folder of a run that has come to iteration ``last``, with its page."""
    made = history(4, n_iterations=last)
    content = run_json(made) | {"status": "running", "stop": None, "returned_iteration": None}
    content = {k: v for k, v in content.items() if k not in ("counterfactual", "seconds", "grading")}
    write_run_folder(folder, n=8, made=made, **content, counterfactual={}, seconds={}, grading={})
    for path in folder.glob("phase-*"):
        path.unlink()
    for k in range(last + 1):
        save_iterate(folder, k, np.full((4, 8, 8, 8), 1 + k, np.complex64))
    write_report(folder)
    return folder


def wait_for_reload(tab, seconds: float = 20) -> None:
    """Wait until the page has been loaded another time, and is ready."""
    again = "!window.before && document.readyState === 'complete' && document.getElementById('pause')"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            tab.wait(again, 1)
        except AssertionError:  # asked while one page went and the other came
            continue
        return
    pytest.fail("the page did not load itself again")


def test_the_page_of_a_running_run_comes_back_to_its_reader(tab, tmp_path):
    folder = running(tmp_path / "run", 3)
    show(tab, folder)
    tab.ask("chart.toggle('3', false); document.getElementById('numbers').open = true")
    tab.ask("document.querySelector('article[data-phase=\"3\"]').scrollIntoView(); scrollBy(0, 40)")
    place = tab.ask("document.querySelector('article[data-phase=\"3\"]').getBoundingClientRect().top")
    tab.ask("gallery.show(1)")
    running(folder, 6)
    # the clock of the page is set forward; nobody has touched it
    tab.ask("window.before = true; told.reload = 0.01; place.touched = 0")
    wait_for_reload(tab)
    assert tab.ask("told.rows.length") == 7
    # the table above has three more rows: what was read is where it was
    top = tab.ask("document.querySelector('article[data-phase=\"3\"]').getBoundingClientRect().top")
    assert top == pytest.approx(place, abs=2)
    assert tab.ask("chart.off.has('3')")
    assert tab.ask("document.getElementById('numbers').open")
    assert tab.ask("document.getElementById('iteration').value") == "1"
    assert value(tab, "iteration") == "6"  # the latest was followed


def test_updates_can_be_paused_and_wait_for_a_reader_who_is_busy(tab, tmp_path):
    folder = running(tmp_path / "run", 2)
    show(tab, folder)
    tab.click("#pause")
    assert tab.ask("document.getElementById('pause').textContent") == "Go on updating"
    tab.ask("place.touched = 0")
    assert not tab.ask("place.free()")
    tab.click("#pause")
    assert not tab.ask("place.free()")  # just touched
    tab.ask("place.touched = 0")
    assert tab.ask("place.free()")
    tab.ask("large.open(0, 0)")
    assert not tab.ask("place.free()")


def test_a_finished_run_does_not_load_itself_again(tab, folder):
    show(tab, folder)
    assert tab.ask("told.reload") == 0
    assert not tab.ask("Boolean(document.getElementById('live'))")
