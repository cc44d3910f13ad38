"""Who taught the network that graded: in words that are true of that network.

The networks that ship learned from simulated readers. What another one learned from is known to its card
alone, and a grader without a card is of unknown provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

_SHIPPED = (
    "The grades come from a network trained on simulated scans, not on human readers. It grades good "
    "compressed-sensing images too low: compare grades within a scan."
)
_PREFIX = "research use only"


def graded_by(model: Mapping[str, Any] | None) -> str:
    """Return where grades come from, in one or two sentences.

    Parameters
    ----------
    model : mapping, optional
        ``model`` of ``run.json``: ``name``, ``sha256`` and, from the model's card, ``use``.
    """
    model = model or {}
    if is_shipped(model):
        return _SHIPPED
    name = str(model.get("name") or "a grader without a name")
    said = _said(model.get("use"))
    if said:
        return f"The grades come from {name}, which does not ship with this csiq; by its card: {said}"
    return (
        f"The grades come from {name}, of unknown provenance: nothing says what it learned from, or how "
        "far its grades can be trusted."
    )


def origin(model: Mapping[str, Any] | None) -> str:
    """Return the same in a few words: ``a network trained on simulated readers``."""
    model = model or {}
    if is_shipped(model):
        return "a network trained on simulated readers"
    said = _said(model.get("use"))
    return f"by its card: {said.rstrip('.')}" if said else "unknown provenance"


def signature(model: Mapping[str, Any] | None) -> str:
    """Return the line that closes grades: what graded, who taught it, and what the grades are for."""
    return f"graded by {name_of_model(model or {})}, {origin(model)}; research use only"


def name_of_model(model: Mapping[str, Any]) -> str:
    """Return what tells a model from others: its name, and its weights where there are any."""
    name, sha256 = (str(model.get(key) or "") for key in ("name", "sha256"))
    return f"{name} ({sha256[:8]})" if sha256 else name


def is_shipped(model: Mapping[str, Any]) -> bool:
    """Return whether these are the weights of a network that ships with csiq."""
    return bool(model.get("sha256")) and model.get("sha256") in _shipped_hashes()


def follows_readers(card: Mapping[str, Any]) -> bool:
    """Return whether grades are those of a site's readers, as far as a model's card says.

    They are if the network was calibrated to them (``csiq model calibrate``) or learned from their grades:
    the cards that ``csiq train`` writes name a simulated cohort if it was one. The grades of a formula
    (``--reader reference``) are nobody's.
    """
    if card.get("site_calibration"):
        return True
    training = card.get("training") or {}
    taught = training.get("reader") not in (None, "", "reference")
    return taught and training.get("cohort", "unknown") is None


def model_entry(name: str, sha256: str, card: Mapping[str, Any]) -> dict[str, str]:
    """Return ``model`` of ``run.json``: name, hash, and what the card says of the model's use if it does."""
    use = card.get("use")
    return {"name": name, "sha256": sha256, **({"use": use} if isinstance(use, str) and use else {})}


def _said(use: object) -> str:
    """Return a card's word on its use without its beginning, which every page says by itself."""
    words = use.strip() if isinstance(use, str) else ""
    if words.lower().startswith(_PREFIX):
        words = words[len(_PREFIX) :].lstrip(" .:,;")
    return words


@cache
def _shipped_hashes() -> frozenset[str]:
    from csiq.quality.model_file import shipped_models  # with NumPy, which words alone need not wait for

    folder = resources.files("csiq.quality") / "weights"
    cards = (folder / f"{name}.json" for name in shipped_models())
    return frozenset(str(json.loads(card.read_text(encoding="utf-8"))["sha256"]) for card in cards)
