"""``index.html`` of a session: its own style and scripts by hash, and images from files beside it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from csiq.ranking import SCALE
from csiq.reading.images import WHITE_GREY
from csiq.reading.order import ReadingConfig, Session
from csiq.report.template import beside, policy_hash, template

#: In the order in which they need each other.
SCRIPTS = ("volume.js", "viewer.js", "record.js", "page.js")


def render(session: Session, config: ReadingConfig) -> str:
    """Return the page of a session."""
    style = beside("csiq.reading", "read.css")
    script = '"use strict";\n' + "\n".join(beside("csiq.reading", name) for name in SCRIPTS)
    return template("csiq.reading", "read.html").render(
        style=Markup(style),
        style_hash=policy_hash(style),
        script=Markup(script),
        script_hash=policy_hash(script),
        pairs=config.pairs,
        scale=SCALE,
        session=content_of(session, config),
    )


def content_of(session: Session, config: ReadingConfig) -> dict[str, Any]:
    """Return what the page is told of a session; whether a case is a repeat is not part of it."""
    return {
        "session": session.session,
        "mode": "pairs" if config.pairs else "grades",
        "reader": config.reader,
        "white": WHITE_GREY,
        "scale": list(SCALE),
        "cases": [{"item": case.item, "images": list(case.images)} for case in session.cases],
    }
