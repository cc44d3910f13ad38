"""Images that are compared across runs: phases of runs and volumes of files, each with its grade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from csiq.quality.origin import model_entry, name_of_model

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor, Grade
    from csiq.report.record import Record


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
    """One image that takes part; ``model`` as in ``run.json``."""

    label: str
    source: str
    phase: int | None
    iteration: int | None
    grade: Grade
    model: Mapping[str, Any]
    scan: str | None
    simulated: bool


def images_of(asked: Sequence[Asked], how: How) -> Iterator[Image]:
    """Yield the images of runs and files, each with its grade.

    A run's own grades are taken where they are of the model that is asked for, or no other is; else its
    phases are graded, as any other volume is.

    Raises
    ------
    ConfigError
        If runs were graded by different models and none is asked for, or there is no such phase.
    """
    from csiq.ranking.comparison import check_one_model

    records = {one.path: record for one in asked if (record := _record_of(one.path)) is not None}
    own = [record.section("model") for record in records.values()]
    graders: list[Assessor] = []

    def grader() -> Assessor:
        """Return the model to grade with, loaded when first asked for: the one named, or that of a run."""
        if not graders:
            graders.append(_grader(how, records))
        return graders[0]

    if how.model is None:
        check_one_model([name for one in own if (name := name_of_model(one))])
    wanted = name_of_model(_entry_of(grader())) if how.model is not None else None
    for one in asked:
        record = records.get(one.path)
        if record is None:
            yield from _of_volumes(one, grader(), how)
        elif wanted in (None, name_of_model(record.section("model"))):
            yield from _chosen(_of_run(one, record), how.phase, one)
        else:
            yield from _chosen(_regraded(one, record, grader()), how.phase, one)


def _grader(how: How, records: Mapping[Path, Record]) -> Assessor:
    """Return the network that is asked for, else that of the first graded run, else the default.

    Raises
    ------
    ModelError
        If it cannot be loaded.
    """
    from csiq.errors import ModelError
    from csiq.plugins import load_assessor
    from csiq.report.record import not_loaded

    if how.model is not None:
        return load_assessor(how.model, how.device)
    names = {run: str(record.section("model").get("name") or "") for run, record in records.items()}
    run, name = next(((run, name) for run, name in names.items() if name), (None, ""))
    if run is None:
        return load_assessor("default", how.device)
    try:
        return load_assessor(name, how.device)
    except ModelError as error:
        hint = "--model FILE, where that network lies, or --model default grades everything anew"
        raise not_loaded(run, name, error, hint) from None


def are_of_one_scan(asked: Sequence[Asked]) -> bool:
    """Return whether all are runs of one raw file, graded by one model."""
    records = [_record_of(one.path) for one in asked]
    scans = {record.section("input").get("sha256") if record is not None else None for record in records}
    models = {name_of_model(record.section("model")) for record in records if record is not None}
    return len(scans) == 1 and None not in scans and len(models) == 1


def _record_of(path: Path) -> Record | None:
    from csiq.report.record import read_record

    return read_record(path) if (path / "run.json").is_file() else None


def _entry_of(grader: Assessor) -> dict[str, str]:
    return model_entry(grader.name, grader.sha256, grader.card)


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
        yield _of_phase(one, record, p + 1, grade, record.section("model"))


def _of_phase(one: Asked, record: Record, phase: int, grade: Grade, model: Mapping[str, Any]) -> Image:
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
            yield _of_phase(one, record, number, grade, _entry_of(grader))


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
        phase = None if single else number
        yield Image(label, path.name, phase, None, grade, _entry_of(grader), None, simulated)
