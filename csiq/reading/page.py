"""``index.html`` of a session: its own style and scripts by hash, and images from files beside it."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from csiq.ranking import SCALE
from csiq.reading.images import WHITE_GREY
from csiq.reading.order import ReadingConfig, Session

#: In the order in which they need each other.
SCRIPTS = ("volume.js", "viewer.js", "record.js", "page.js")


def render(session: Session, config: ReadingConfig) -> str:
    """Return the page of a session."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("csiq.reading", "templates"),
    )
    style = _text("read.css")
    script = '"use strict";\n' + "\n".join(_text(name) for name in SCRIPTS)
    # style and script are ours and their hashes stand in the policy; everything else is escaped
    return environment.get_template("read.html").render(
        style=Markup(style),
        style_hash=_digest(style),
        script=Markup(script),
        script_hash=_digest(script),
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


def _text(name: str) -> str:
    return resources.files("csiq.reading").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
