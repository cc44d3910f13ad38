"""``evaluation.html``: one self-contained page of all parts of a study, each beside the paper's numbers.

It works offline and under a content security policy that allows nothing but its own style (by hash) and
images that lie in the page itself. There is no script in it, unless a table can be sorted: the script that
does it is allowed by hash, too, and without it the table is read as it stands.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from csiq.errors import ResourceError
from csiq.evaluation.differences import RULE
from csiq.evaluation.drawing import picture_bytes
from csiq.evaluation.paper import CITATION
from csiq.evaluation.section import Picture, Section, Table
from csiq.report.plots import data_uri

#: The page never gets larger than this.
MAX_BYTES = 5_000_000
#: Dots per inch of photographs on the page.
_DPI = 170
#: What stands on top of every page on simulated readers, and of the others.
SIMULATED = "Simulated readers, research use only: no human graded these images."
MEASURED = "Research use only."


def render(
    sections: Sequence[Section], about: Mapping[str, Any], drawn: Mapping[str, bytes] | None = None
) -> str:
    """Return the page.

    Parameters
    ----------
    sections : sequence of Section
        In their order on the page.
    about : mapping
        ``title``, ``subject``, ``use``, ``tiles``, ``notes``, ``command``, ``provenance``, ``hashes``; of
        another study than ``csiq evaluate`` also ``program``, ``record`` (its JSON file) and ``rule`` (what
        counts as a clear difference), or ``foot`` (the last line) where nothing is held against the paper.
    drawn : mapping of str to bytes, optional
        SVG of pictures that have been drawn already, by their names.

    Raises
    ------
    ResourceError
        If it would be larger than 5 MB.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("csiq.evaluation", "templates"),
    )
    style, script = _style(), _script(sections)
    page = environment.get_template("evaluation.html").render(
        # style and script are ours and their hashes stand in the policy; everything else is escaped
        style=Markup(style),
        style_hash=_digest(style),
        script=Markup(script),
        script_hash=_digest(script) if script else "",
        sections=[_shown(section, drawn or {}) for section in sections],
        citation=CITATION,
        **{"program": "csiq evaluate", "record": "evaluation.json", "rule": RULE, "foot": "", **about},
    )
    if len(page.encode()) > MAX_BYTES:
        raise ResourceError(f"the page would have {len(page.encode())} bytes, at most {MAX_BYTES} are meant")
    return page


def _style() -> str:
    places = (("csiq.report", "report.css"), ("csiq.evaluation", "evaluation.css"))
    files = (resources.files(package).joinpath("templates", name) for package, name in places)
    return "".join(file.read_text(encoding="utf-8") for file in files)


def _script(sections: Sequence[Section]) -> str:
    """Return the script that sorts tables, if there is one to sort."""
    tables = [item for section in sections for item in section.items if isinstance(item, Table)]
    if not any(table.order for table in tables):
        return ""
    return resources.files("csiq.evaluation").joinpath("templates", "sort.js").read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(section: Section, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "title": section.title,
        "anchor": "".join(c if c.isalnum() else "-" for c in section.title.lower()),
        "lead": section.lead,
        "tables": [item for item in section.items if isinstance(item, Table)],
        "pictures": [_picture(item, drawn) for item in section.items if isinstance(item, Picture)],
        "differences": section.differences,
    }


def _picture(picture: Picture, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    if picture.is_photograph:
        uri = data_uri(picture_bytes(picture.figure, "jpeg", dpi=_DPI), "image/jpeg")
    else:
        svg = drawn[picture.name] if picture.name in drawn else picture_bytes(picture.figure, "svg")
        uri = data_uri(svg, "image/svg+xml")
    return {"uri": uri, "alt": picture.alt, "caption": picture.caption, "share": picture.share}
