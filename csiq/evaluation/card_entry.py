"""How well a network does, in its card, so that who takes the network need not look for its evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csiq.errors import ConfigError, ModelError
from csiq.quality.model_file import extend_card, open_model

#: Kind of the images of the test part as a whole; any other name is a kind beside it.
ALL = "all"
#: Entry of a card.
ENTRY = "evaluation"
_FIGURES = ("r2", "spearman", "slope", "bias", "sd")
_OF_READER = (*_FIGURES, "anti_bias_l1", "kappa", "alpha", "mae")


def check_has_card(model: str | Path) -> Path:
    """Return the file of a model whose card can be written to; nothing is graded in vain.

    Raises
    ------
    ConfigError
        If it is a name, which stands for a file of the package.
    ModelError
        If it cannot be read, or has no card.
    """
    path = Path(model)
    if not path.is_file():
        raise ConfigError(f"'{model}' is no file", field="--into-card", hint="--model FILE.safetensors")
    found = open_model(path)
    if found.card is None:
        raise ModelError("has no model card to write to", file=path, hint="; ".join(found.warnings))
    return path


def into_card(path: Path, record: Mapping[str, Any], kind: str = ALL) -> None:
    """Write the figures of merit of an evaluation into the card of the network that was evaluated.

    Parameters
    ----------
    path : Path
        Of the network.
    record : mapping
        The content of ``evaluation.json``.
    kind : str
        ``all``, or of which kind the images are; the card keeps one entry a kind.

    Raises
    ------
    ModelError
        If the model has no card, or is not the file that was evaluated.
    """
    model, evaluated = open_model(path), record["config"]["models"][0]["sha256"]
    if model.sha256 != evaluated:
        what = (
            f"is not the model that was evaluated: SHA-256 {model.sha256[:12]}, graded with {evaluated[:12]}"
        )
        raise ModelError(what, file=path, field="--into-card", hint="evaluate it anew")
    known = dict((model.card or {}).get(ENTRY) or {})
    found = entry_of(record)
    if kind == ALL:
        known = {
            "patients": record["n_patients"],
            ALL: found,
            **{k: v for k, v in known.items() if k == "by_kind"},
        }
    else:
        known["by_kind"] = {**known.get("by_kind", {}), kind: found}
    extend_card(path, {ENTRY: known})


def entry_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of merit of an evaluation as a card has them.

    Of the noise-free reference where the images have one, else of the reader. Beside it is the agreement
    with the reader, as the mean over redraws where there are any, and its ceiling.
    """
    against = (record.get("reference") or {}).get("against_reference")
    merits = record["network_against_reader"]["patients"]
    which = "mean" if record["redraws"] else "single"
    reader = {key: _plain(merits[key][which]) for key in _OF_READER if key in merits}
    ceiling = {key: _plain(merits[key]["ceiling"]) for key in _OF_READER if key in merits}
    config = record["config"]
    return {
        "n": record["n"],
        "against": "reference" if against else config["reader"],
        **{key: _plain((against or reader)[key]) for key in _FIGURES},
        "manifest": {"name": config["manifest"], "sha256": config["manifest_sha256"]},
        "split": config["split"],
        "reader": {"name": config["reader"], "redraws": record["redraws"], **reader},
        "ceiling": ceiling if record["redraws"] else None,
        "coverage": _plain(((record.get("confidence") or {}).get("coverage") or {}).get("coverage")),
    }


def _plain(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
