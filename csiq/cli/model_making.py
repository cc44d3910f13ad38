"""``csiq model import`` and ``calibrate``: new models out of foreign weights, and for a site's reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options
from csiq.cli.output import echo_pairs, json_line

if TYPE_CHECKING:
    import numpy as np

    from csiq.quality.grade import Grader
    from csiq.quality.model_file import ModelFile
    from csiq.quality.network import NetworkConfig
    from csiq.training.graded_set import GradedSet

_PATH = click.Path(path_type=Path)
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a model of that name.")


@click.command(
    name="import",
    epilog="""\b
Examples:
  csiq model import theirs.pt -o theirs-iqdcnn.safetensors
  csiq model import theirs.safetensors --kind network.json --voxels 1.0 1.15
""",
)
@click.argument("file", metavar="FILE", type=_PATH)
@click.option(
    "-o", "--output", type=_PATH, metavar="FILE", help="Ends in .safetensors [./<stem>.safetensors]."
)
@click.option("--kind", type=_PATH, metavar="JSON", help="Network it has to be, as in a card [recognised].")
@click.option(
    "--voxels", type=(float, float), metavar="LOW HIGH", help="Voxels it was trained on, mm, if known."
)
@click.option("--title", metavar="TEXT", help="What its card is to call it.")
@_OVERWRITE
@options(JSON, DEBUG)
def import_model(file: Path, output: Path | None, overwrite: bool, as_json: bool, **known: Any) -> None:
    """Take over an IQ-DCNN that somebody else trained.

    FILE holds its weights: safetensors, or what torch.save made of a state_dict. Nothing in it is run. The
    card beside the copy says what is not known of it; its grades are uncertified.
    """
    from csiq.quality.import_weights import as_iqdcnn, foreign_card, read_foreign
    from csiq.quality.model_file import encode_tensors, save_model

    path = _output(output, file.stem, file, overwrite=overwrite)
    config = _kind_of(known["kind"]) if known["kind"] is not None else None
    tensors, config = as_iqdcnn(read_foreign(file), config)
    card = foreign_card(file, config, title=known["title"], voxels=_checked(known["voxels"]))
    save_model(path, encode_tensors(tensors, config.as_dict()), card)
    found = {"model": path.name, "network": config.as_dict(), "unknown": card["unknown"]}
    if as_json:
        click.echo(json_line(found))
        return
    click.echo(f"{path.name}: {sum(t.numel() for t in tensors.values())} weights; its grades are uncertified")
    echo_pairs(
        {"unknown": card["unknown"][0], **{" " * i: what for i, what in enumerate(card["unknown"][1:], 1)}}
    )


def _kind_of(path: Path) -> NetworkConfig:
    from csiq.errors import ModelError, RawDataError
    from csiq.io.sniff import check_is_file
    from csiq.io.tables import read_json
    from csiq.quality.network import NetworkConfig

    check_is_file(path, "a JSON file", field="--kind")
    try:
        found = read_json(path)
    except RawDataError as error:
        raise ModelError(error.what, file=path, field="--kind") from None
    entry = found.get("network", found) if isinstance(found, dict) else None
    if not isinstance(entry, dict):
        raise ModelError("expected a JSON object", file=path, field="--kind")
    return NetworkConfig.from_dict({"kind": "iq-dcnn", **entry})


def _checked(voxels: tuple[float, float] | None) -> tuple[float, float] | None:
    from csiq.errors import ConfigError

    if voxels is not None and not 0 < voxels[0] <= voxels[1]:
        raise ConfigError("expected two rising sizes in mm", field="--voxels")
    return voxels


def _output(given: Path | None, stem: str, source: Path, *, overwrite: bool) -> Path:
    """Return where a model goes; it must not replace what it comes from, nor another one unasked."""
    from csiq.cli.simulate import refuse_existing
    from csiq.errors import ConfigError, OutputError

    path = given or Path(f"{stem}.safetensors")
    if path.suffix != ".safetensors":
        raise ConfigError("expected a name in .safetensors", file=path, field="--output")
    if path.exists() and source.exists() and path.samefile(source):
        raise OutputError("is the file it comes from", file=path, hint="choose another name with -o")
    refuse_existing(path, path.with_suffix(".json"), overwrite=overwrite)
    return path


@click.command(
    name="calibrate",
    epilog="""\b
Examples:
  csiq model calibrate graded.tsv --reader reader1a -o our-site.safetensors
  csiq grade scan.nii.gz --model our-site.safetensors
""",
)
@click.argument("graded", metavar="GRADED.tsv", type=_PATH)
@click.option("--reader", metavar="COLUMN", help="Whose grades they become, or consensus [the only one].")
@click.option("--model", "name", default="default", metavar="NAME|FILE", help="Model to start from.")
@click.option(
    "-o", "--output", type=_PATH, metavar="FILE", help="Ends in .safetensors [./<model>-site.safetensors]."
)
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to grade [cpu].")
@_OVERWRITE
@options(JSON, DEBUG)
def calibrate(
    graded: Path,
    reader: str | None,
    name: str,
    output: Path | None,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Recalibrate a model's grades to a site's reader.

    GRADED.tsv lists 20 to 30 volumes with a reader's grades, as for csiq train; its splits do not matter. A
    rising map from the model's grades to the reader's is fitted and cross-validated, and written into the
    card of a copy of the model. The network stays as it is.
    """
    from csiq.evaluation.cases import manifest_of
    from csiq.quality.grade import Grader
    from csiq.quality.model_file import open_model, save_model
    from csiq.quality.site_calibration import calibrate_to_site
    from csiq.training.graded_set import GradedSet

    graded = manifest_of(graded)
    model = open_model(name)
    path = _output(output, f"{model.name}-site", Path(name), overwrite=overwrite)
    chosen = reader or _only_reader(graded)
    grader, data = Grader.load(name, device), GradedSet.open(graded, chosen)
    grades = _graded(grader, data, quiet=as_json)
    site, summary = calibrate_to_site(grades, _targets(data), [image.patient for image in data.images])
    save_model(path, model.weights, _card(model, {**site.as_dict(), "reader": chosen, **summary}))
    if as_json:
        click.echo(json_line({"model": path.name, "reader": chosen, **site.as_dict(), **summary}))
        return
    _show(path, chosen, site.kind, summary)


def _only_reader(graded: Path) -> str:
    from csiq.cohort.manifest import read_manifest
    from csiq.errors import ConfigError

    scans = read_manifest(graded, check_files=False)
    readers = sorted({name for scan in scans for name in scan.grades})
    if len(readers) != 1:
        raise ConfigError(
            "name whose grades are meant", file=graded, field="--reader", hint=", ".join(readers)
        )
    return readers[0]


def _targets(data: GradedSet) -> np.ndarray:
    import numpy as np

    return np.array([image.grade for image in data.images])


def _graded(grader: Grader, data: GradedSet, *, quiet: bool) -> np.ndarray:
    """Return the model's own grades, whatever calibration it has; warn of volumes outside its domain."""
    import numpy as np

    from csiq.errors import RawDataError

    evidence = [grader.evidence(np.asarray(image.volume), image.voxel_size) for image in data.images]
    without = [i.name for i, one in zip(data.images, evidence, strict=True) if not np.isfinite(one.grade)]
    if without:
        raise RawDataError(f"the model gives no grade to {', '.join(without)}", file=data.manifest)
    outside = sum(one.distance > 1 for one in evidence)
    if outside and not quiet:
        what = f"{outside} of {len(evidence)} volumes are outside the training domain of {grader.name}"
        click.echo(f"csiq: warning: {what}", err=True)
    return np.array([one.grade for one in evidence])


def _card(model: ModelFile, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the model's card with its new calibration, and which model it was before."""
    card = dict(model.card or {})
    card.setdefault("domain", None)
    card.setdefault("voxel_size_mm", None)
    before = card.get("site_calibration") or {}
    origin = before.get("model") or {"name": model.name, "sha256": model.sha256}
    return {**card, "site_calibration": {**entry, "model": origin}}


def _show(path: Path, reader: str, kind: str, summary: dict[str, Any]) -> None:
    from csiq.quality.site_calibration import ENOUGH

    if summary["patients"] < ENOUGH:
        what = f"{summary['patients']} patients are few: {ENOUGH} to 30 make a calibration worth keeping"
        click.echo(f"csiq: warning: {what}", err=True)
    words = "no map is needed" if kind == "none" else f"a {kind}"
    click.echo(
        f"{path.name}: {words}, from {summary['n']} scans of {summary['patients']} patients to {reader}"
    )
    echo_pairs(
        {
            "error before": _error(summary["before"]),
            "error after": _error(summary["after"]) + " (cross-validated)",
            "mean error of": ", ".join(f"{k} {v:.2f}" for k, v in summary["mae"].items())
            + " (cross-validated)",
        }
    )


def _error(entry: dict[str, float]) -> str:
    return f"{entry['bias']:+.2f} +- {entry['sd']:.2f}, mean absolute {entry['mae']:.2f}"
