"""``evaluation.html``: one self-contained page of all parts of a study, each beside the paper's numbers.

It works offline and under a content security policy that allows nothing but its own style (by hash) and
images that lie in the page itself. There is no script in it, unless a table can be sorted: the script that
does it is allowed by hash, too, and without it the table is read as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from csiq.errors import ResourceError
from csiq.evaluation.differences import RULE
from csiq.evaluation.drawing import picture_bytes
from csiq.evaluation.paper import CITATION
from csiq.evaluation.section import Picture, Section, Table
from csiq.report.plots import data_uri
from csiq.report.template import beside, policy_hash, template

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
    style = beside("csiq.report", "report.css") + beside("csiq.evaluation", "evaluation.css")
    script = _script(sections)
    page = template("csiq.evaluation", "evaluation.html").render(
        style=Markup(style),
        style_hash=policy_hash(style),
        script=Markup(script),
        script_hash=policy_hash(script) if script else "",
        sections=[_shown(section, drawn or {}) for section in sections],
        citation=CITATION,
        **{"program": "csiq evaluate", "record": "evaluation.json", "rule": RULE, "foot": "", **about},
    )
    if len(page.encode()) > MAX_BYTES:
        raise ResourceError(f"the page would have {len(page.encode())} bytes, at most {MAX_BYTES} are meant")
    return page


def _script(sections: Sequence[Section]) -> str:
    """Return the script that sorts tables, if there is one to sort."""
    tables = [item for section in sections for item in section.items if isinstance(item, Table)]
    if not any(table.order for table in tables):
        return ""
    return beside("csiq.evaluation", "sort.js")


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
