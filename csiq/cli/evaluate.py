"""``csiq evaluate``: a network on graded test images, with the tables and figures of the paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from csiq.cli.options import DEBUG, JSON, called, options
from csiq.cli.output import echo_pairs, echo_table, json_line

_PATH = click.Path(path_type=Path)
#: Figures of merit that are printed: key and name.
_SHOWN = {
    "anti_bias_l1": "anti-bias L1",
    "r2": "R2",
    "kappa": "weighted kappa",
    "alpha": "alpha (interval)",
    "spearman": "Spearman",
    "mae": "MAE",
    "rmse": "RMSE",
}


@click.command(
    epilog="""\b
Examples:
  csiq evaluate cohort -o evaluation
  csiq evaluate cohort --peers -o evaluation       Tenengrad, gradient entropy, edge sharpness beside it
  csiq evaluate cohort --model mine.safetensors --retrained training -o evaluation
  csiq evaluate graded.tsv --reader reader2 -o clinic --json
  csiq evaluate cohort -o evaluation --resume      go on after an interruption
  csiq evaluate cohort --model mine.safetensors --into-card all -o evaluation
"""
)
@click.argument("where", metavar="GRADED.tsv|COHORT", type=_PATH)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|FILE",
    help="Grading network, or a package's grader; see csiq model list. Repeated: the first is evaluated, "
    "the others are its retrainings [default].",
)
@click.option("--retrained", type=_PATH, metavar="DIR", help="Retrainings, in model-00, model-01 ...")
@click.option("--split", default="test", show_default=True, metavar="NAME", help="Part of the manifest.")
@click.option(
    "--reader", default="reader1a", show_default=True, metavar="NAME", help="Whom it is held against."
)
@click.option(
    "--peers", is_flag=True, help="Simpler measures beside the network; reads the training volumes, too."
)
@click.option("-o", "--output", "folder", required=True, type=_PATH, metavar="DIR", help="Where to write.")
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to grade [cpu].")
@click.option("--resume", is_flag=True, help="Keep the grades that are there, and go on.")
@click.option("--overwrite", is_flag=True, help="Remove what csiq wrote there first.")
@click.option(
    "--into-card",
    "kind",
    metavar="KIND",
    help="Write the figures of merit into the model's card: all, or the kind the images are of.",
)
@click.option("-q", "--quiet", is_flag=True, help="No line an image.")
@options(JSON, DEBUG)
def evaluate(
    where: Path,
    models: tuple[str, ...],
    retrained: Path | None,
    split: str,
    reader: str,
    peers: bool,
    folder: Path,
    device: str,
    resume: bool,
    overwrite: bool,
    kind: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate a network on graded images.

    Grades every image of the manifest's test part, patch by patch, and compares with its readers: figures
    of merit, the paper's tables and figures as TSV, PNG and SVG, and evaluation.html with the paper's numbers
    beside. Simulated readers are drawn again 200 times; the readers of a clinic cannot be. Research use only.
    """
    from csiq.evaluation.card_entry import check_has_card, into_card
    from csiq.evaluation.models import load_graders
    from csiq.evaluation.study import Request, parts_with
    from csiq.evaluation.study import evaluate as run

    card = check_has_card(models[0] if models else "default") if kind else None
    graders = load_graders(models or ("default",), retrained, device)
    request = Request(where, split, reader, overwrite, resume)
    report = _silent if quiet else _line_an_image()
    with called("--split", "--splits"):
        record = run(request, graders, folder, report, parts_with(peers=peers))
    if card and kind:
        into_card(card, record, kind)
    if as_json:
        click.echo(json_line(record))
        return
    _show(record, folder)


def _show(record: dict[str, Any], folder: Path) -> None:
    echo_pairs(
        {
            "images": record["n"],
            "model": record["config"]["models"][0]["name"],
            "retrainings": len(record["config"]["models"]) - 1 or None,
            "reader": record["config"]["reader"],
        }
    )
    found = record["network_against_reader"]["patients"]
    columns = ["", "single draw", *(("mean over redraws", "ceiling") if record["redraws"] else ())]
    keys = ["single", *(("mean", "ceiling") if record["redraws"] else ())]
    click.echo()
    echo_table(columns, [(name, *(found[key][k] for k in keys)) for key, name in _SHOWN.items()])
    click.echo(f"\n{record['use']}")
    for note in record["notes"]:
        click.echo(f"csiq: note: {note}", err=True)
    click.echo(f"{folder / 'evaluation.html'}")


def _silent(name: str, done: int, total: int) -> None:
    """Say nothing of an image."""


def _line_an_image() -> Callable[[str, int, int], None]:
    def show(name: str, done: int, total: int) -> None:
        click.echo(f"graded: {name}, {done} of {total}", err=True)

    return show
