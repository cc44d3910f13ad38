"""How well a model's domain tells strange images from hearts like those it was trained on.

    python benchmarks/domain.py COHORT [--raw ../shared/data/raw] [--model FILE] [--volumes 12]

The domain is that of the model's card, or, without --model, one fitted to the cohort's training patients.
Held against it are the volumes of test patients, and strangers: what the measured scans show, and hearts of
test patients with swapped axes, at half resolution, with bright fat, from a trajectory in wrong units. AUC is
the chance that a stranger lies further away than a heart. What a domain says of voxel sizes is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from harness import report
from strangers import FROM_HEARTS, MEASURED, Image

from csiq.cohort.manifest import GradedScan, read_manifest
from csiq.io.nifti import read_volume
from csiq.quality.descriptors import describe_slices
from csiq.quality.domain import Domain
from csiq.quality.model_file import open_model
from csiq.quality.patches import volume_slices

#: Asked for: a stranger further away than a heart, and hearts called strange.
AUC, FALSE = 0.9, 0.05
#: Test volumes whose k-space is sampled anew, at most: ten seconds each.
_SAMPLED = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append both tables."""
    asked = options(arguments)
    scans = read_manifest(asked.cohort / "graded.tsv")
    tests = [scan for scan in scans if scan.split == "test"]
    domain, what = domain_of(asked.model, [scan for scan in scans if scan.split.startswith("train")])
    hearts = distances(domain, (image_of(scan.volume) for scan in tests))
    rows = [row(name, hearts, distances(domain, make(asked.raw))) for name, make in MEASURED.items()]
    for name, make in FROM_HEARTS.items():
        some = tests[: min(asked.volumes, _SAMPLED) if "units" in name else asked.volumes]
        strange = (image for scan in some for image in make(scan.volume))
        rows.append(row(name, hearts, distances(domain, strange)))
    report(
        "Images outside the domain",
        ("kind", "n", "AUC", "called outside", "nearest"),
        rows,
        f"{what}; {len(hearts)} test volumes. Distances over the threshold. Asked for: AUC >= {AUC:g}.",
    )
    report(
        "Hearts called outside the domain",
        ("grade", "n", "called outside", "median distance", "largest"),
        list(by_grade(tests, hearts)),
        f"{what}. Asked for: at most {FALSE:.0%}.",
    )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--raw", type=Path, default=Path("../shared/data/raw"))
    parser.add_argument("--model", help="a model whose card holds a domain")
    parser.add_argument("--volumes", type=int, default=12)
    return parser.parse_args(arguments)


def domain_of(model: str | None, train: Sequence[GradedScan]) -> tuple[Domain, str]:
    """Return the domain of a model, or one fitted to training patients, and words for it."""
    if model is not None:
        found = Domain.from_card(open_model(model).card or {})
        if found is None:
            raise SystemExit(f"{model} has no domain")
        return found, f"Domain of {model}"
    samples = np.array([describe_slices(volume_slices(*image_of(scan.volume)).values) for scan in train])
    return Domain.fit(
        samples, (1.0, 1.0), [scan.patient for scan in train]
    ), f"Fitted to {len(train)} patients"


def image_of(path: Path) -> Image:
    volume, voxel, _ = read_volume(path)
    return volume, voxel


def distances(domain: Domain, images: Iterable[Image]) -> np.ndarray:
    """Return how far images lie, 1 at the threshold."""
    found = [domain.distance(describe_slices(volume_slices(*image).values)) for image in images]
    return np.array(found) / domain.threshold


def row(name: str, hearts: np.ndarray, strange: np.ndarray) -> tuple[object, ...]:
    above = np.mean(strange[:, None] > hearts) + 0.5 * np.mean(strange[:, None] == hearts)
    return name, len(strange), f"{above:.3f}", f"{np.mean(strange > 1):.0%}", f"{strange.min():.2f}"


def by_grade(tests: Sequence[GradedScan], hearts: np.ndarray) -> Iterable[tuple[object, ...]]:
    grades = np.array([scan.reference for scan in tests])
    for low in range(4):
        at = (grades >= low) & ((grades < low + 1) | (low == 3))
        if at.any():
            found = hearts[at]
            median, far = f"{np.median(found):.2f}", f"{found.max():.2f}"
            yield f"{low} to {low + 1}", int(at.sum()), f"{np.mean(found > 1):.1%}", median, far
    yield "all", len(hearts), f"{np.mean(hearts > 1):.1%}", f"{np.median(hearts):.2f}", f"{hearts.max():.2f}"


if __name__ == "__main__":
    main()
