"""``csiq rank --across``: phases of runs and volumes of any program, compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.across_images import Asked, How, Image, are_of_one_scan, images_of
from csiq.quality.origin import name_of_model, origin, signature

if TYPE_CHECKING:
    from csiq.ranking import Comparison

#: Columns of the table that is written.
COLUMNS = (
    "label",
    "source",
    "phase",
    "iteration",
    "grade",
    "grade_sd",
    "uncertainty",
    "in_domain",
    "uncalibrated",
    "rank",
    "delta_to_best",
    "indistinguishable_from_best",
)
_SUFFIXES = (".json", ".tsv", ".png", ".svg")


def is_labelled(argument: str) -> bool:
    """Return whether an argument is LABEL=PATH; a path that is there is a path, whatever is in its name."""
    label, equals, path = argument.partition("=")
    return bool(label and equals and path) and not Path(argument).exists()


def asked_of(argument: str) -> Asked:
    """Return what an argument asks for; a path without a label is called by its name."""
    if is_labelled(argument):
        label, _, path = argument.partition("=")
        return Asked(label, Path(path))
    return Asked(Path(argument).name.removesuffix(".csiq"), Path(argument))


def compare_across(context: click.Context, arguments: Sequence[str], *, as_json: bool) -> None:
    """Compare everything that is named, and print and write what came out.

    Raises
    ------
    ConfigError
        If an option does not fit, or grades are of different models.
    OutputError
        If a file is there.
    """
    from csiq.cli.output import json_line
    from csiq.errors import ConfigError

    keys = context.params
    if keys["figure"] or keys["svg"]:
        given = "--figure" if keys["figure"] else "--svg"
        raise ConfigError("belongs to one run", field=given, hint="-o comparison.png draws all pairs")
    targets = _targets(keys["outputs"], overwrite=keys["overwrite"])
    asked = [asked_of(argument) for argument in arguments]
    images = list(images_of(asked, How(*(keys[name] for name in How._fields))))
    comparison = compared(images)
    content = as_content(comparison, images)
    for target in targets:
        _write(target, comparison, content)
    if as_json:
        click.echo(json_line(content))
    else:
        _echo(comparison, images)


def compare_runs(folders: Sequence[str], *, as_json: bool) -> None:
    """Compare runs with each other if all are of one scan, graded by one model, and have names of their own.

    Runs of several scans are not asked which is best: whoever wants to know says ``--across``.

    Parameters
    ----------
    folders : sequence of str
        Runs, ranked each by itself.
    as_json : bool
        Print one more object, ``{"across": ...}``, the content of ``comparison.json``.
    """
    from csiq.cli.output import json_line

    asked = [asked_of(folder) for folder in folders]
    if len(asked) < 2 or len({one.label for one in asked}) < len(asked) or not are_of_one_scan(asked):
        return
    images = list(images_of(asked, How(None, "cpu", "all", None)))
    comparison = compared(images)
    if as_json:
        click.echo(json_line({"across": as_content(comparison, images)}))
        return
    click.echo(f"\nall {len(asked)} runs, one scan")
    _echo(comparison, images)


def _targets(outputs: Sequence[Path], *, overwrite: bool) -> list[Path]:
    """Return the files to write."""
    from csiq.errors import ConfigError, OutputError

    found: list[Path] = []
    for path in outputs:
        if path.suffix and path.suffix not in _SUFFIXES:
            raise ConfigError(f"expected {', '.join(_SUFFIXES)}", file=path, field="-o")
        found += [path] if path.suffix else [path.with_name(path.name + end) for end in _SUFFIXES[:3]]
    for path in found:
        if path.exists() and not overwrite:
            raise OutputError("is there already", file=path, hint="--overwrite replaces it")
        if not path.parent.is_dir():
            raise ConfigError("its folder does not exist", file=path, field="-o", hint="make it first")
    return found


def compared(images: Sequence[Image]) -> Comparison[str]:
    """Return the comparison of images."""
    from csiq.ranking import compare

    return compare(
        [image.label for image in images],
        [image.grade for image in images],
        models=[name_of_model(image.model) for image in images],
        scans=[image.scan for image in images],
    )


def as_content(comparison: Comparison[str], images: Sequence[Image]) -> dict[str, Any]:
    """Return what ``comparison.json`` holds."""
    from dataclasses import asdict

    from csiq.ranking import SCHEMA_VERSION

    errors = comparison.preferences.errors
    rows = [
        {
            "label": image.label,
            "source": image.source,
            "phase": image.phase,
            "iteration": image.iteration,
            "grade": ranked.grade,
            "grade_sd": ranked.grade_sd,
            "uncertainty": error.sd,
            "in_domain": image.grade.in_domain,
            "uncalibrated": not (image.grade.calibrated or image.simulated),
            "rank": ranked.rank,
            "delta_to_best": ranked.delta_to_best,
            "indistinguishable_from_best": ranked.indistinguishable_from_best,
        }
        for image, ranked, error in zip(images, comparison.images, errors, strict=True)
    ]
    model = images[0].model
    return {
        "schema_version": SCHEMA_VERSION,
        "threshold": comparison.threshold,
        "model": {key: str(model.get(key) or "") for key in ("name", "sha256")},
        "best": comparison.best,
        "top_set": list(comparison.top_set),
        "images": rows,
        "pairs": [asdict(pair) for pair in comparison.pairs],
        "preference": comparison.preferences.as_json(),
        "note": f"research use; graded by {origin(model)}",
    }


def _write(target: Path, comparison: Comparison[str], content: dict[str, Any]) -> None:
    from csiq.io.tables import write_json, write_table

    if target.suffix == ".json":
        write_json(target, content)
    elif target.suffix == ".tsv":
        write_table(target, content["images"], COLUMNS)
    else:
        from csiq.ranking.matrix import pair_matrix, save_figure

        save_figure(pair_matrix(comparison), target)


def _echo(comparison: Comparison[str], images: Sequence[Image]) -> None:
    """Print the images in order of their grade."""
    from csiq.cli.rank import echo_ranked

    labelled = [(one.label, one) for one in comparison.by_rank]
    outside = [image.label for image in images if image.grade.in_domain is False]
    echo_ranked("image", labelled, comparison.best, comparison.preferences, outside)
    click.echo(signature(images[0].model))
