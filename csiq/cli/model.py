"""``csiq model``: which networks there are, what their cards say, whether they are whole, and new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from csiq.cli.choices import models
from csiq.cli.model_making import calibrate, import_model
from csiq.cli.options import DEBUG, JSON, called, options
from csiq.cli.output import echo_pairs, echo_table, json_line

if TYPE_CHECKING:
    from csiq.quality.model_file import ModelFile


@click.group(
    name="model",
    epilog="""\b
Examples:
  csiq model list
  csiq model show
  csiq model calibrate graded.tsv --reader reader1
""",
)
def model() -> None:
    """List, show, verify, import and calibrate grading models."""


model.add_command(import_model)
model.add_command(calibrate)


@model.command(
    name="list",
    epilog="""\b
Examples:
  csiq model list
  csiq model list --json
""",
)
@options(JSON, DEBUG)
def list_models(as_json: bool) -> None:
    """List the models that ship with csiq, and the graders of other packages."""
    from csiq.plugins import plugins_of
    from csiq.quality.model_file import DEFAULT_MODEL, open_model, shipped_models

    rows: list[dict[str, Any]] = []
    for name in shipped_models():
        card = open_model(name).card or {}
        rows.append(
            {
                "name": name,
                "default": name == DEFAULT_MODEL,
                "title": card.get("title"),
                "voxels": _voxels(card),
            }
        )
    for plugin in plugins_of("grader"):
        title = f"grader of {plugin.distribution}"
        rows.append({"name": plugin.name, "default": False, "title": title, "voxels": None})
    if as_json:
        click.echo(json_line(rows))
        return
    shown = [(r["name"] + (" (default)" if r["default"] else ""), r["voxels"], r["title"]) for r in rows]
    echo_table(("model", "voxels", "what it is"), shown)


@model.command(
    name="show",
    epilog="""\b
Examples:
  csiq model show                             the default
  csiq model show mine.safetensors --json     its whole card
""",
)
@click.argument("name", default="default", metavar="[NAME|FILE]", shell_complete=models)
@options(JSON, DEBUG)
def show(name: str, as_json: bool) -> None:
    """Show the card of a model: training data, range, voxel sizes, accuracy."""
    from csiq.quality.model_file import open_model, read_tensors

    with called("NAME", "--model"):
        found = open_model(name)
    if found.card is None:
        read_tensors(found)  # nothing but its weights says that it is a model
    if as_json:
        click.echo(json_line(found.card))
        return
    for warning in found.warnings:
        click.echo(f"csiq: warning: {warning}", err=True)
    from csiq.errors import ModelError

    try:
        described = _described(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"model card cannot be shown ({error!r})", file=f"{found.name}.json") from None
    echo_pairs(described)


def _described(found: ModelFile) -> dict[str, Any]:
    """Return what a card says, as it is shown."""
    card = found.card or {}
    evaluation = card.get("evaluation") or {}
    return {
        "name": found.name,
        "title": card.get("title"),
        "use": card.get("use"),
        "grades": _range(card.get("grades"), ""),
        "voxels": _voxels(card),
        "trained on": _sets(card),
        "learned": _learned(card),
        "tested on": _accuracy(evaluation.get("all"), evaluation.get("patients")),
        "  agreement": _agreement(evaluation.get("all")),
        **{f"  {kind}": _accuracy(entry) for kind, entry in evaluation.get("by_kind", {}).items()},
        "interval": _interval(card.get("confidence"), evaluation.get("all")),
        "calibrated to": _site(card.get("site_calibration")),
        "not known": "; ".join(card.get("unknown", [])) or None,
        "note": card.get("note"),
        "formula": (card.get("formula") or {}).get("sha256"),
        "sha256": found.sha256,
    }


@model.command(
    name="verify",
    epilog="""\b
Examples:
  csiq model verify
  csiq model verify mine.safetensors
""",
)
@click.argument("name", default="default", metavar="[NAME|FILE]", shell_complete=models)
@options(JSON, DEBUG)
def verify(name: str, as_json: bool) -> None:
    """Check a model: whole, equal to its card's SHA-256, finite, and an IQ-DCNN."""
    from csiq.quality.grade import Grader
    from csiq.quality.model_file import open_model

    with called("NAME", "--model"):
        found = open_model(name)
    networks = Grader.of(found).networks
    n_weights = sum(p.numel() for network in networks for p in network.parameters())
    if as_json:
        ok = {"name": found.name, "sha256": found.sha256, "weights": n_weights, "certified": bool(found.card)}
        click.echo(json_line({**ok, "warnings": found.warnings}))
        return
    for warning in found.warnings:
        click.echo(f"csiq: warning: {warning}", err=True)
    verdict = "as its card says" if found.card else "no card to hold it against"
    click.echo(f"{found.name}: {n_weights} weights, finite; SHA-256 {found.sha256[:16]}... {verdict}")


def _range(entry: dict[str, Any] | None, unit: str) -> str | None:
    return f"{entry['min']:g} to {entry['max']:g}{unit}" if entry else None


def _voxels(card: dict[str, Any]) -> str | None:
    return _range(card.get("voxel_size_mm"), " mm")


def _sets(card: dict[str, Any]) -> str | None:
    training = card.get("training") or {}
    train = (training.get("sets") or {}).get("train")
    if not train:
        return None
    who = "simulated patients" if training.get("cohort") else "patients"
    return f"{train['patients']} {who}; images: {_counted(train['images'])}; voxels: {_voxel_counts(train)}"


def _voxel_counts(train: dict[str, Any]) -> str:
    return _counted({f"of {size} mm": count for size, count in (train.get("voxels_mm") or {}).items()})


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _learned(card: dict[str, Any]) -> str | None:
    """Return whose grades were learned, of which data, and by which seed."""
    training = card.get("training") or {}
    if not training.get("reader"):
        return None
    cohort, line = training.get("cohort"), card.get("recalibration")
    parts = [f"grades of {training['reader']}"]
    if cohort:
        parts.append(f"cohort '{cohort['study']}' of {cohort['n_patients']} patients, seed {cohort['seed']}")
    parts.append(f"{training['iterations']} steps, seed {training['seed']}")
    if line:
        parts.append(f"then {line['slope']:.2f} g {line['offset']:+.2f} by {line['n']} images left out")
    return "; ".join(parts)


def _agreement(entry: dict[str, Any] | None) -> str | None:
    """Return how far the network agrees with a reader, and how far anything could."""
    reader = (entry or {}).get("reader")
    if not reader or reader.get("kappa") is None:
        return None
    ceiling = ((entry or {}).get("ceiling") or {}).get("kappa")
    most = f" (at most {ceiling:.2f}: the reader's own noise)" if ceiling is not None else ""
    return f"with {reader['name']}: weighted kappa {reader['kappa']:.2f}{most}"


def _interval(entry: dict[str, Any] | None, tested: dict[str, Any] | None = None) -> str | None:
    if not entry or entry.get("coverage") is None:
        return None
    there = (tested or {}).get("coverage")
    of_test = f", {there:.1%} of the {(tested or {})['n']} tested on" if there is not None else ""
    return (
        f"{entry['level']:.0%}, mean width {entry['mean_width']:.2f}; held {entry['coverage']:.1%} of "
        f"{entry['n']} images it was not fitted to{of_test}"
    )


def _site(entry: dict[str, Any] | None) -> str | None:
    if not entry:
        return None
    before, after = entry["before"]["mae"], entry["after"]["mae"]
    return (
        f"{entry['reader']}, {entry['n']} scans of {entry['patients']} patients: mean absolute error "
        f"{before:.2f} before, {after:.2f} after (cross-validated)"
    )


def _accuracy(entry: dict[str, Any] | None, patients: int | None = None) -> str | None:
    if not entry or entry.get("r2") is None:
        return None
    who = f"{patients} patients never trained on: " if patients else ""
    whom = " against the noise-free reference" if entry.get("against") == "reference" else ""
    return (
        f"{who}n {entry['n']}{whom}, R2 {entry['r2']:.2f}, Spearman {entry['spearman']:.2f}, "
        f"slope {entry['slope']:.2f}, error {entry['bias']:+.2f} +- {entry['sd']:.2f}"
    )
