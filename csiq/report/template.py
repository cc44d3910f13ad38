"""What every page is made from: its template, compiled once, and the files beside it.

Style and script of a page are ours and stand in it as they are; its content security policy permits them by
their hashes and nothing else. All that is filled in is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

import jinja2


@cache
def template(package: str, name: str, *, trim: bool = False) -> jinja2.Template:
    """Return the template ``templates/name`` of a package; a name it uses and is not given is an error.

    Parameters
    ----------
    package, name : str
    trim : bool
        Whether lines of blocks alone leave no blank line behind.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader(package, "templates"),
        trim_blocks=trim,
        lstrip_blocks=trim,
    )
    return environment.get_template(name)


def beside(package: str, name: str) -> str:
    """Return the text of ``templates/name`` of a package."""
    return resources.files(package).joinpath("templates", name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """Return the SHA-256 of a style or script as content security policies have it: in base 64."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
