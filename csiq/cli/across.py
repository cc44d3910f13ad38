"""``csiq rank --across``: phases of runs and volumes of any program, compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor, Grade
    from csiq.ranking import Comparison
    from csiq.report.record import Record

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


class Asked(NamedTuple):
    """A run folder or a file of volumes, and what it is to be called."""

    label: str
    path: Path


class How(NamedTuple):
    """What grades, where, which phases of a run take part, and voxels (mm) of files that do not say them."""

    model: str | None
    device: str
    phase: str
    voxel_size: tuple[float, float, float] | None


class Image(NamedTuple):
    """One image that takes part."""

    label: str
    source: str
    phase: int | None
    iteration: int | None
    grade: Grade
    model: tuple[str, str]
    scan: str | None
    simulated: bool


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
        raise ConfigError("belongs to one run", field="--figure", hint="-o comparison.png draws all pairs")
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
        _echo(comparison)


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
    return found


def images_of(asked: Sequence[Asked], how: How) -> Iterator[Image]:
    """Yield the images of runs and files, each with its grade.

    A run's own grades are taken where they are of the model that is asked for, or no other is; else its
    phases are graded, as any other volume is.

    Raises
    ------
    ConfigError
        If runs were graded by different models and none is asked for, or there is no such phase.
    """
    from csiq.plugins import load_assessor
    from csiq.ranking.comparison import check_one_model

    records = {one.path: record for one in asked if (record := _record_of(one.path)) is not None}
    own = [_model_of(record) for record in records.values()]
    graders: list[Assessor] = []

    def grader() -> Assessor:
        if not graders:
            name = how.model or next((name for name, _ in own if name), "default")
            graders.append(load_assessor(name, how.device))
        return graders[0]

    if how.model is None:
        check_one_model([_named(one) for one in own if any(one)])
    wanted = _named((grader().name, grader().sha256)) if how.model is not None else None
    for one in asked:
        record = records.get(one.path)
        if record is None:
            yield from _of_volumes(one, grader(), how)
        elif wanted in (None, _named(_model_of(record))):
            yield from _chosen(_of_run(one, record), how.phase, one)
        else:
            yield from _chosen(_regraded(one, record, grader()), how.phase, one)


def _record_of(path: Path) -> Record | None:
    from csiq.report.record import read_record

    return read_record(path) if (path / "run.json").is_file() else None


def _model_of(record: Record) -> tuple[str, str]:
    model = record.section("model")
    return str(model.get("name") or ""), str(model.get("sha256") or "")


def _named(model: tuple[str, str]) -> str:
    """Return what tells a model from others: its name, and its weights where there are any."""
    return f"{model[0]} ({model[1][:8]})" if model[1] else model[0]


def _of_run(one: Asked, record: Record) -> Iterator[Image]:
    """Yield the phases of a run with the grades it has."""
    from csiq.errors import RawDataError
    from csiq.quality.assessor import Grade

    if not record.returned or not record.history.is_graded:
        hint = "--model NAME grades its phases"
        raise RawDataError("its returned iteration has no grades", file=one.path, hint=hint)
    known, n = record.section("grading"), record.history.n_phases
    inside, error = (known.get(key) or [None] * n for key in ("in_domain", "uncertainty"))
    for p, iteration in enumerate(record.returned):
        step = record.history.steps[iteration]
        is_inside = inside[p] is not False
        grade = Grade(step.grades[p], step.grade_sds[p], is_inside, uncertainty=error[p])
        yield _of_phase(one, record, p + 1, grade, _model_of(record))


def _of_phase(one: Asked, record: Record, phase: int, grade: Grade, model: tuple[str, str]) -> Image:
    label = one.label if record.history.n_phases == 1 else f"{one.label} phase {phase}"
    iteration = record.returned[phase - 1] if record.returned else None
    simulated = (record.section("scan").get("system") or {}).get("vendor") == "simulated"
    scan = record.section("input").get("sha256")
    return Image(label, one.path.name, phase, iteration, grade, model, scan, simulated)


def _regraded(one: Asked, record: Record, grader: Assessor) -> Iterator[Image]:
    """Yield the phases of a run, graded anew."""
    from csiq.errors import RawDataError
    from csiq.io.images import read_images

    paths = sorted(one.path.glob("phase-*.nii.gz"), key=lambda p: int(p.name[6:-7]))
    if not paths:
        raise RawDataError("has no phases to grade", file=one.path, field="phase-1.nii.gz")
    for number, path in enumerate(paths, start=1):
        for volume in read_images(path):
            grade = grader.grade(volume.values, volume.voxel_size)
            yield _of_phase(one, record, number, grade, (grader.name, grader.sha256))


def _chosen(images: Iterator[Image], phase: str, one: Asked) -> list[Image]:
    """Return the phases of a run that take part."""
    from csiq.errors import ConfigError

    found = list(images)
    if phase == "all":
        return found
    if phase == "best":
        return [max(found, key=lambda image: (image.grade.grade == image.grade.grade, image.grade.grade))]
    chosen = [image for image in found if phase == str(image.phase)]
    if not chosen:
        hint = f"all, best, or 1 to {len(found)}"
        raise ConfigError(f"there is no phase {phase}", file=one.path, field="--phase", hint=hint)
    return chosen


def _of_volumes(one: Asked, grader: Assessor, how: How) -> Iterator[Image]:
    """Yield the volumes of a file, graded."""
    from csiq.io.images import NoVoxelSize, read_images
    from csiq.io.provenance import is_simulated

    path, simulated = one.path, is_simulated(one.path)
    try:
        volumes = list(read_images(path))
    except NoVoxelSize:
        if how.voxel_size is None:
            raise
        volumes = list(read_images(path, how.voxel_size))
    for number, volume in enumerate(volumes, start=1):
        single = len(volumes) == 1
        label = one.label if single else f"{one.label} phase {number}"
        grade = grader.grade(volume.values, volume.voxel_size)
        model = (grader.name, grader.sha256)
        yield Image(label, path.name, None if single else number, None, grade, model, None, simulated)


def compared(images: Sequence[Image]) -> Comparison[str]:
    """Return the comparison of images."""
    from csiq.ranking import compare

    return compare(
        [image.label for image in images],
        [image.grade for image in images],
        models=[_named(image.model) for image in images],
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
    name, sha256 = images[0].model
    return {
        "schema_version": SCHEMA_VERSION,
        "threshold": comparison.threshold,
        "model": {"name": name, "sha256": sha256},
        "best": comparison.best,
        "top_set": list(comparison.top_set),
        "images": rows,
        "pairs": [asdict(pair) for pair in comparison.pairs],
        "preference": comparison.preferences.as_json(),
        "note": "research use; graded by a network trained on simulated scans and simulated readers",
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


def _echo(comparison: Comparison[str]) -> None:
    """Print the images in order of their grade."""
    from csiq.cli.output import echo_table
    from csiq.cli.rank import chance_of_best, echo_how_sure
    from csiq.ranking import words_of

    chance = chance_of_best(comparison.preferences, comparison.best)
    columns = ("rank", "image", "grade", "sd", "to best", "best preferred", "", "in words")
    rows = [
        (
            one.rank,
            one.label,
            one.grade,
            one.grade_sd,
            one.delta_to_best,
            chance.get(one.label, "-"),
            "best" if one.label == comparison.best else "=" if one.indistinguishable_from_best else "",
            words_of(one.grade),
        )
        for one in comparison.by_rank
    ]
    echo_table(columns, rows)
    echo_how_sure(comparison.preferences)
    click.echo(f"graded by {comparison.model}, a network trained on simulated readers; research use only")
