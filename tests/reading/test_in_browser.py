"""The page at work in a headless Chromium: opened from a folder, without network, by real keys and mouse."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from csiq.io.tables import read_table
from csiq.reading import ReadingConfig, collect, write_session
from csiq.reading.sources import find_sources
from tests.reading.browser import CHROMIUM, Browser
from tests.reading.volumes_to_read import told, write_scans, write_volume

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to work the page"),
]

#: All images of a case are on the screen, and the clock runs.
SHOWN = "viewers.every((v) => v.volume) && record.since !== null && !view.pending"
N = 25


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def tab(browser):
    """The browser, its window of a usual size; it must not have complained or asked a network."""
    browser.requests.clear()
    browser.complaints.clear()
    browser.size(1280, 800)
    yield browser
    browser.ask("record = null; localStorage.clear()")  # equal scans are the same session in the next test
    assert browser.complaints == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}


def make(tmp_path, count=4, **config):
    scans = write_scans(tmp_path / "scans", count, n=N)
    write_session(find_sources(scans), tmp_path / "session", ReadingConfig(**config))
    return tmp_path / "session"


def start(tab, session):
    tab.open((session / "page" / "index.html").as_uri())
    tab.press("Enter")  # the button that starts has the focus
    tab.wait(SHOWN)


def heading(tab):
    return tab.ask("document.getElementById('count').textContent")


def message(tab):
    return tab.ask("document.getElementById('message').textContent")


def slices(tab):
    found = "[...document.querySelectorAll('canvas')].map((c) => Number(c.getAttribute('aria-valuenow')))"
    tab.wait("!view.pending")
    return tab.ask(found)


def go(tab, key="Enter"):
    tab.press(key)
    tab.wait(SHOWN)


def exported(tab):
    tab.press("x")
    tab.wait("document.getElementById('finish').open")
    text = tab.ask("document.getElementById('result').value")
    header, *rows = (line.split("\t") for line in text.strip().split("\n"))
    return text, [dict(zip(header, row, strict=True)) for row in rows]


def test_a_session_of_grades_from_start_to_agree(tab, tmp_path):
    session = make(tmp_path, repeats=0.5)
    start(tab, session)
    assert heading(tab) == "Case 1 of 6"
    go(tab)
    assert (heading(tab), message(tab)) == ("Case 1 of 6", "Give a grade first.")
    for keys, next_key in (("25", "Enter"), ("4", "n"), ("3.", "Enter")):
        tab.press(*keys)
        go(tab, next_key)
    assert heading(tab) == "Case 4 of 6"
    tab.click('[data-say="0.5"]')
    time.sleep(0.2)
    for _ in range(3):
        go(tab, "Backspace")
    assert heading(tab) == "Case 1 of 6"
    tab.press("ArrowRight")  # a second thought: 2.5 -> 3
    # closed and opened again, it goes on where it was
    tab.open((session / "page" / "index.html").as_uri())
    assert tab.ask("document.getElementById('begin').textContent") == "Continue (4 of 6 done)"
    tab.press("Enter")
    tab.wait(SHOWN)
    assert heading(tab) == "Case 1 of 6"
    assert tab.ask("document.querySelector('[aria-checked=true]').dataset.say") == "3.0"
    for _ in range(4):
        go(tab)
    tab.press("0")
    go(tab)
    tab.press("1", "Enter")
    tab.wait("document.getElementById('finish').open")
    assert tab.ask("document.getElementById('finish-title').textContent") == "All done, thank you"

    tab.save_to(tmp_path)
    tab.press("Enter")  # Save file
    (name,) = {f"reading-{row['session']}-reader1.tsv" for row in read_table(session / "key.tsv")}
    for _ in range(200):
        if (tmp_path / name).is_file():
            break
        time.sleep(0.05)
    assert (tmp_path / name).read_text() == tab.ask("record.text")
    rows = read_table(tmp_path / name)
    assert [row["grade"] for row in rows] == [3.0, 4.0, 3.5, 0.5, 0.0, 1.0]
    assert [row["visits"] for row in rows] == [3, 3, 3, 2, 1, 1]
    assert [row["changes"] for row in rows] == [1, 0, 0, 0, 0, 0]
    assert 0.2 <= rows[3]["seconds"] < 60

    collect([tmp_path / name], [session / "key.tsv"], tmp_path / "readers.tsv")
    table = {row["id"]: row for row in read_table(tmp_path / "readers.tsv")}
    for row, key in zip(rows, read_table(session / "key.tsv"), strict=True):
        assert table[key["volume"]][f"reader1{'ab'[key['reading'] - 1]}"] == row["grade"]
    assert sum(math.isnan(row["reader1b"]) for row in table.values()) == 2


def test_a_session_of_pairs(tab, tmp_path):
    session = make(tmp_path, count=6, pairs=True, repeats=0.34, reader="reader2")
    start(tab, session)
    assert heading(tab) == "Pair 1 of 4"
    x, y = tab.middle(".viewer:last-of-type .pane.main canvas")
    tab.mouse("mouseWheel", x, y, deltaX=0, deltaY=120)
    tab.mouse("mouseWheel", x, y, deltaX=0, deltaY=120)
    assert slices(tab) == [15, 13, 13] * 2  # scrolled in B, A follows
    tab.press("Enter")
    assert message(tab) == "Choose A, equal or B first."
    for key in "abe":
        tab.press(key)
        go(tab)
    tab.click('[data-say="A"]')
    text, rows = exported(tab)
    assert [row["choice"] for row in rows] == ["A", "B", "equal", "A"]
    tab.click("#copy")
    tab.wait("document.getElementById('saved').textContent")
    # copied, or marked for Ctrl C where the browser gives no clipboard
    assert (
        tab.ask("(t => t.value.slice(t.selectionStart, t.selectionEnd))(document.getElementById('result'))")
        == text
    )
    (tmp_path / "r.tsv").write_text(text)
    collect([tmp_path / "r.tsv"], [session / "key.tsv"], tmp_path / "pairs.tsv")
    verdicts = {(r["a"], r["b"], r["reading"]): r["verdict"] for r in read_table(tmp_path / "pairs.tsv")}
    for row, key in zip(rows, read_table(session / "key.tsv"), strict=True):
        side = {"A": key["left"], "B": "ab"["ba".index(key["left"])], "equal": "equal"}
        assert verdicts[key["a"], key["b"], key["reading"]] == side[row["choice"]]


def test_slices_window_and_crosshair_show_the_volume(tab, tmp_path):
    """A bright mark at the right, front and head of a grey patient is found where a reader looks for it."""
    values = np.full((N, N, N), 50.0)
    values[-5:, -5:, -5:] = 100.0  # RAS: right, front, head
    values[:2, :2, :2] = 1.0
    write_volume(tmp_path / "in" / "a.nii", values)
    write_session(find_sources(tmp_path / "in"), tmp_path / "session")
    start(tab, tmp_path / "session")

    def grey(plane, across, down):
        """Grey of the shown image at a fraction of its width and height."""
        tab.wait("!view.pending")
        return tab.ask(
            f"""(() => {{ const p = viewers[0].panes[{plane}], c = p.canvas;
            const m = viewers[0].mapping(c, PLANES[{plane}]), n = {N} * m.scale;
            const at = [m.left + {across} * n, m.top + {down} * n].map(Math.round);
            const one = new OffscreenCanvas(1, 1).getContext("2d", {{ willReadFrequently: true }});
            one.drawImage(c, -at[0], -at[1]);
            return one.getImageData(0, 0, 1, 1).data[0]; }})()"""
        )

    white = 255
    tab.press("h")  # the lines of the crosshair would be read, too
    assert slices(tab) == [13, 13, 13]
    assert grey(0, 0.1, 0.1) == grey(0, 0.9, 0.9) == pytest.approx(white, abs=1)  # 50 is the inner white
    tab.press("w", "w")  # the wide window: 50 is two thirds
    assert grey(0, 0.1, 0.1) == pytest.approx(170, abs=2)
    tab.press("PageUp")  # towards the head
    assert slices(tab) == [3, 13, 13]
    assert grey(0, 0.1, 0.1) == white  # right and front: left and top of an axial slice
    assert [grey(0, 0.9, 0.1), grey(0, 0.1, 0.9)] == pytest.approx([170, 170], abs=2)
    # a click at the front right takes the other planes there
    box = "(b => [b.x, b.y, b.width, b.height])(viewers[0].panes[0].canvas.getBoundingClientRect())"
    left, top, width, height = tab.ask(box)
    side = min(width, height)
    x, y = left + (width - side) / 2 + 0.1 * side, top + (height - side) / 2 + 0.1 * side
    tab.mouse("mousePressed", x, y, button="left", clickCount=1)
    tab.mouse("mouseReleased", x, y, button="left", clickCount=1)
    assert slices(tab) == [3, 3, 3]
    assert grey(1, 0.05, 0.05) == white  # coronal: right at the left, head at the top
    assert grey(1, 0.9, 0.1) == pytest.approx(170, abs=2)
    assert grey(2, 0.05, 0.05) == white  # sagittal: front at the left
    assert grey(2, 0.1, 0.9) == pytest.approx(170, abs=2)
    # dragging with the right button opens or narrows the window; R brings all back
    tab.mouse("mousePressed", x, y, button="right", buttons=2, clickCount=1)
    tab.mouse("mouseMoved", x + 40, y, button="right", buttons=2)
    tab.mouse("mouseReleased", x + 40, y, button="right", clickCount=1)
    assert tab.ask("view.width") == pytest.approx(170)
    tab.press("+", "+", "h", "v")
    tab.wait("!view.pending")
    assert tab.ask("[view.zoom, view.cross, view.main]") == [1.5625, True, 1]
    tab.press("r")
    assert slices(tab) == [13, 13, 13]
    assert tab.ask("[view.zoom, view.level, view.width]") == [1, 50, 100]


def test_the_clock_stops_when_nobody_looks(tab, tmp_path):
    start(tab, make(tmp_path, count=2))

    def seconds():
        tab.ask("record.tick()")
        return tab.ask("record.current.seconds")

    def runs():
        before = seconds()
        time.sleep(0.15)
        return seconds() - before > 0.1

    hide = """Object.defineProperty(document, "visibilityState", {{ value: "{}", configurable: true }});
        document.dispatchEvent(new Event("visibilitychange"))"""
    assert runs()
    tab.press("p")
    assert tab.ask("getComputedStyle(document.getElementById('images')).visibility") == "hidden"
    assert not runs()
    tab.press("Enter")  # Go on
    assert runs()
    tab.ask(hide.format("hidden"))
    assert not runs()
    tab.ask(hide.format("visible"))
    assert runs()


def test_the_policy_keeps_the_page_from_any_network(browser, tmp_path):
    """What is refused is refused by the policy, not for want of a server."""
    browser.open((make(tmp_path, count=2) / "page" / "index.html").as_uri())
    tries = {
        "connect-src": "fetch('http://127.0.0.1:9/').catch(() => {})",
        "img-src": "new Image().src = 'http://127.0.0.1:9/a.png'",
        "script-src-elem": "document.head.append(Object.assign(document.createElement('script'),"
        " { src: 'http://127.0.0.1:9/a.js' }))",
    }
    for directive, attempt in tries.items():
        refused = browser.ask(
            f"""new Promise((done) => {{ document.addEventListener("securitypolicyviolation",
            (event) => done(event.effectiveDirective), {{ once: true }}); {attempt}; }})"""
        )
        assert refused == directive


def test_two_windows_of_a_session_do_not_overwrite_each_other(tab, tmp_path):
    start(tab, make(tmp_path, count=2))
    tab.press("2")
    kept = tab.ask("localStorage.getItem(record.place)")
    tab.ask('window.dispatchEvent(new StorageEvent("storage", { key: record.place, newValue: "other" }))')
    assert "another window" in tab.ask("document.body.textContent")
    tab.press("3")
    assert kept in tab.ask("Object.values(localStorage)")


def test_a_browser_that_keeps_nothing_says_so(tab, tmp_path):
    start(tab, make(tmp_path, count=2))
    assert tab.ask("document.getElementById('unsaved').hidden")
    tab.ask("Storage.prototype.setItem = () => { throw new Error('full'); }")
    tab.press("2")
    assert not tab.ask("document.getElementById('unsaved').hidden")
    _, rows = exported(tab)
    assert rows[0]["grade"] == "2.0"
    tab.ask("record.kept = true")  # or the browser would ask before it leaves


def test_escape_does_not_lead_past_the_start(tab, tmp_path):
    tab.open((make(tmp_path, count=2) / "page" / "index.html").as_uri())
    tab.press("Escape", "Escape")
    tab.press("3")
    tab.wait("document.getElementById('start').open")
    assert tab.ask("record") is None


def test_images_are_loaded_when_needed(tab, tmp_path):
    session = make(tmp_path, count=5, repeats=0)
    start(tab, session)
    images = [case["images"][0] for case in told((session / "page" / "index.html").read_text())["cases"]]

    def loaded():
        return [url.rsplit("/", 1)[1][:-3] for url in tab.requests if "/images/" in url]

    tab.wait("document.querySelectorAll('head script').length === 0")
    assert loaded() == images[:2]
    tab.press("2")
    go(tab)
    tab.wait("document.querySelectorAll('head script').length === 0")
    assert loaded() == images[:3]


def test_an_image_that_is_missing_or_cut_short_can_be_passed(browser, tmp_path):
    session = make(tmp_path, count=3, repeats=0)
    cases = told((session / "page" / "index.html").read_text())["cases"]
    first, second = (session / "page" / "images" / f"{case['images'][0]}.js" for case in cases[:2])
    first.unlink()
    second.write_text(second.read_text()[:-200])
    browser.open((session / "page" / "index.html").as_uri())
    browser.ask("localStorage.clear()")
    browser.press("Enter")
    browser.wait("document.getElementById('message').textContent.includes('missing')")
    browser.press("3")  # what is not seen is not graded
    browser.press("Enter")
    browser.wait("document.getElementById('message').textContent.includes('damaged')")
    go(browser)
    browser.press("3")
    _, rows = exported(browser)
    assert [row["grade"] for row in rows] == ["nan", "nan", "3.0"]
    assert [row["seconds"] for row in rows[:2]] == ["0.0", "0.0"]
    browser.ask("record = null; localStorage.clear()")


def test_a_session_goes_on_from_a_file_in_another_browser(tab, tmp_path):
    session = make(tmp_path, count=3, repeats=0)
    start(tab, session)
    tab.press("2")
    go(tab)
    text, _ = exported(tab)
    tab.ask("localStorage.clear()")
    tab.open((session / "page" / "index.html").as_uri())
    assert tab.ask("document.getElementById('begin').textContent") == "Start"
    give = """(async (text) => {
        const files = new DataTransfer(); files.items.add(new File([text], "r.tsv"));
        const load = document.getElementById("load"); load.files = files.files;
        load.dispatchEvent(new Event("change")); await new Promise((r) => setTimeout(r, 100));
        return document.getElementById("loaded").textContent; })"""
    assert "no file" in tab.ask(f"{give}('id\\tgrade')")
    other = text.replace(text.split("\n")[1].split("\t")[0], "s00000000000")
    assert "another session" in tab.ask(f"{give}({other!r})")
    assert tab.ask(f"{give}({text!r})") == "Loaded."
    assert tab.ask("document.getElementById('begin').textContent") == "Continue (1 of 3 done)"


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (820, 1180), (1280, 720), (1920, 1080)])
def test_everything_has_its_place_on_any_screen(tab, tmp_path, pairs, width, height):
    session = make(tmp_path, count=2, pairs=pairs)
    tab.size(width, height, mobile=width < 1000)
    start(tab, session)
    inside = """[...document.querySelectorAll('[data-say], nav button, header button, .tools .row button')]
        .map((e) => e.getBoundingClientRect()).every((b) => b.left >= 0 && b.top >= 0 && b.width >= 20
        && b.height >= 20 && b.right <= innerWidth + .5 && b.bottom <= innerHeight + .5)"""
    assert tab.ask(inside)
    assert tab.ask("document.documentElement.scrollWidth <= innerWidth")
    main = "viewers[0].panes[0].canvas.getBoundingClientRect()"
    assert tab.ask(f"Math.min({main}.width, {main}.height)") > (200 if width < 500 else 300)


def test_a_finger_scrolls_and_places(tab, tmp_path):
    session = make(tmp_path, count=2)
    tab.size(390, 844, mobile=True)
    tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        start(tab, session)
        x, y = tab.middle(".pane.main canvas")

        def touch(kind, *points):
            tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": a, "y": b} for a, b in points])

        touch("touchStart", (x, y))
        for step in range(1, 11):
            touch("touchMove", (x, y + 3 * step))
        touch("touchEnd")
        axial, coronal, sagittal = slices(tab)
        assert axial > 13
        assert (coronal, sagittal) == (13, 13)
        touch("touchStart", (x + 60, y))
        touch("touchEnd")
        assert slices(tab)[2] > 13
        touch("touchStart", (x - 20, y), (x + 20, y))
        touch("touchMove", (x - 40, y), (x + 40, y))
        touch("touchEnd")
        assert tab.ask("view.zoom") > 1.5
    finally:
        tab.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_every_control_has_a_name_and_the_keys_reach_them(tab, tmp_path):
    start(tab, make(tmp_path, count=2))
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in ("button", "slider", "radio", "radiogroup", "combobox", "textbox")
    ]
    assert len(controls) > 20
    nameless = [node["role"]["value"] for node in controls if not node.get("name", {}).get("value")]
    assert nameless == []
    names = {node["name"]["value"] for node in controls}
    assert {"Axial slice", "3, mild blurring, good diagnostic value", "Next", "Window preset"} <= names
