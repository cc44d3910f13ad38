"""Simpler measures of quality in the network's place, to see what it adds.

- **Tenengrad**: mean squared gradient (Sobel), over the mean signal squared.
- **Gradient entropy**: entropy of how the gradient's magnitude is spread over voxels, 1 if evenly.
- **Edge sharpness**: of the vessels, as the cohort measured it where the truth says they are: not blind, and
  part of the formula that grades. For a single number it is as good as can be.

The first two see the cube in the middle of the image and nothing else. Each is mapped to grades by the
monotone curve (isotonic regression, its steps joined by lines) that fits the reader's grades of the training
patients best, rising or falling as they do; test patients play no part.

References
----------
Barlow RE, et al. Statistical inference under order restrictions. Wiley, 1972 (isotonic regression). The
measures: :mod:`csiq.evaluation.blind_measures`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.agreement import linear_fit, mae, pearson_r2, spearman, weighted_kappa
from csiq.cohort.database import features_of
from csiq.cohort.grading import PEOPLE
from csiq.errors import RawDataError
from csiq.evaluation.blind_measures import BLIND, HALF_EDGE, central_cube
from csiq.evaluation.cases import manifest_of
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.days import which
from csiq.evaluation.estimating import Estimate, Rater
from csiq.evaluation.merits import estimates
from csiq.evaluation.paper import MAIN
from csiq.evaluation.section import Section, Table, shown, span
from csiq.io.tables import read_table
from csiq.training.graded_set import GradedImage, GradedSet

_KEYS = ("r2", "spearman", "kappa", "mae")
Report = Callable[[str, int, int], None]


#: All peers, and how they are called.
PEERS = {
    "tenengrad": "Tenengrad",
    "gradient_entropy": "Gradient entropy",
    "edge_sharpness": "Edge sharpness (measured with the truth)",
}


@dataclass(frozen=True)
class MonotoneMap:
    """A monotone curve from a measure to grades, straight between its knots and level beyond them.

    Attributes
    ----------
    knots, grades : float64 arrays, (n,)
        Knots rise; grades all rise or all fall.
    """

    knots: np.ndarray
    grades: np.ndarray

    @classmethod
    def fitted(cls, values: np.ndarray, grades: np.ndarray) -> MonotoneMap:
        """Return the least-squares fit to pairs, those with a NaN left out.

        Raises
        ------
        RawDataError
            If fewer than two pairs are left.
        """
        known = np.isfinite(values) & np.isfinite(grades)
        if known.sum() < 2:
            raise RawDataError(f"{int(known.sum())} graded values are too few for a fit", field="peers")
        x, y = np.asarray(values, float)[known], np.asarray(grades, float)[known]
        sense = -1.0 if spearman(x, y) < 0 else 1.0
        at, where = np.unique(x, return_inverse=True)
        weight = np.bincount(where).astype(float)
        means = np.bincount(where, weights=y) / weight
        blocks = _pooled(at, sense * means, weight)
        return cls(blocks[:, 0], sense * blocks[:, 1])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the grades of values, float64; NaN stays."""
        return np.interp(values, self.knots, self.grades)


@dataclass(frozen=True)
class PeerGrades:
    """What simpler measures say of the images of a test.

    Attributes
    ----------
    volumes : tuple of str
        Cells of the manifest.
    n_train : int
        Images the maps were fitted to.
    values, grades : dict of str to float64 array (n,)
        The measures, and the grades they are mapped to, by the keys of :data:`PEERS`.
    """

    volumes: tuple[str, ...]
    n_train: int
    values: dict[str, np.ndarray]
    grades: dict[str, np.ndarray]


def peer_grades(
    where: str | Path,
    *,
    split: str = "test",
    train: str = "train",
    reader: str = "reader1a",
    report: Report = lambda *_: None,
) -> PeerGrades:
    """Return the grades of all peers on a test.

    Parameters
    ----------
    where : path
        A manifest, or the folder of a cohort; edge sharpness is left out where no ``patients.tsv`` has it.
    split, train : str
        Which images are graded, and which the maps are fitted to; ``train`` stands for ``train1`` ... too.
    reader : str
        Whose grades the maps are fitted to.
    report : callable, optional
        Told of each image: its name, how many are done, of how many.

    Raises
    ------
    CsiqError
        If the manifest or a volume is not in order, or either split is empty.
    """
    manifest = manifest_of(where)
    learned, tested = (GradedSet.open(manifest, reader, splits=[part]).images for part in (train, split))
    images = [*learned, *tested]
    found: dict[str, np.ndarray] = {}
    blind = _blind(images, report)
    known = _edge_sharpness(manifest.parent, images)
    for name, values in {**blind, **known}.items():
        found[name] = np.asarray(values)
    n, target = len(learned), np.array([image.grade for image in learned])
    maps = {name: MonotoneMap.fitted(values[:n], target) for name, values in found.items()}
    return PeerGrades(
        tuple(image.name for image in tested),
        n,
        {name: values[n:] for name, values in found.items()},
        {name: maps[name](values[n:]) for name, values in found.items()},
    )


def peer_rows(
    peers: PeerGrades, grades: np.ndarray, *, network: np.ndarray | None = None, called: str = "IQ-DCNN"
) -> list[dict[str, str | float]]:
    """Return a row a peer, and one of the network first: ``grader r2 spearman kappa mae slope``.

    Parameters
    ----------
    peers : PeerGrades
    grades : float array, (n,)
        What they are held against: a reader's, or the noise-free reference.
    network : float array, (n,), optional
        The network's grades of the same images.
    called : str
        The network.
    """
    others = {PEERS[name]: values for name, values in peers.grades.items()}
    graders = {**({} if network is None else {called: network}), **others}
    return [
        {
            "grader": name,
            "r2": float(pearson_r2(grades, found)),
            "spearman": float(spearman(grades, found)),
            "kappa": float(weighted_kappa(grades, found)),
            "mae": float(mae(grades, found)),
            "slope": float(linear_fit(grades, found).slope),
        }
        for name, found in graders.items()
    ]


def peer_estimates(
    peers: PeerGrades,
    against: Rater,
    *,
    network: np.ndarray,
    called: str = "IQ-DCNN",
    truth: np.ndarray | None = None,
    patients: Sequence[str] | None = None,
) -> dict[str, dict[str, Estimate]]:
    """Return the figures of merit of the network and of each peer as estimates, by grader and key.

    Parameters
    ----------
    peers : PeerGrades
    against : Rater
        A reader, or the noise-free reference as one who never reads again.
    network : float array, (n,)
    called : str
        The network.
    truth : float array, (n,), optional
        Noise-free reference, for the ceilings.
    patients : sequence, (n,), optional
        Whose image it is.
    """
    graders = {called: network, **{PEERS[name]: values for name, values in peers.grades.items()}}
    return {
        name: estimates(
            against, Rater(name, name, grades), keys=(*_KEYS, "slope"), reference=truth, patients=patients
        )
        for name, grades in graders.items()
    }


def section(study: Comparison) -> Section:
    """Return the part on peers; the volumes of the training set have to be there."""
    cases = study.cases
    peers = peer_grades(cases.manifest, split=cases.split, reader=cases.roles.main)
    main, truth = cases.roles.main, cases.reference
    against = [Rater(MAIN, main, cases.grades(main), cases.draws[main] if cases.draws else None)]
    if truth is not None:
        against.append(Rater("reference", "noise-free reference", truth))
    data: list[dict[str, Any]] = []
    body: list[tuple[str, ...]] = []
    for one in against:
        network: dict[str, Any] = {"network": study.predicted, "called": study.network_name}
        rows = {row["grader"]: row for row in peer_rows(peers, one.grades, **network)}
        known: dict[str, Any] = {"truth": truth, "patients": cases.patients}
        for name, found in peer_estimates(peers, one, **network, **known).items():
            data.append({"against": one.label, **rows[name], **_columns(found)})
            body.append((name, one.label, *(_cell(found[key]) for key in _KEYS)))
    ceiling = _ceiling_row(data)
    if ceiling:
        body.insert(len(data) // len(against), ceiling)
    head = ("", "against", "Pearson R²", "Spearman", "weighted κ", "mean absolute error")
    note = (
        f"Each measure is mapped to grades by the monotone curve that fits {peers.n_train} training images "
        f"best. Tenengrad and gradient entropy see the middle {2 * HALF_EDGE:g} mm of the image; edge "
        "sharpness is measured where the truth has the vessels, and is part of the reference formula. "
        "Against a reader who can be drawn again: mean over redraws, in brackets the single draw. Below it "
        "the 90 % interval over patients."
    )
    lead = ("What simpler measures of quality make of the same images, and what the network adds.",)
    table = Table("peers", "The network and simpler measures", head, body, data, note, words=(1,))
    return Section("Peers", lead, [table], (), {"n_train": peers.n_train, "rows": data}, "peers")


def _cell(found: Estimate) -> str:
    """Return mean over redraws and single draw, or the value alone, and below it its interval."""
    if not math.isfinite(found.mean):
        return f"{shown(found.single)}\n{span(found.low, found.high)}"
    return f"{shown(found.mean)} [{shown(found.single)}]\n{span(found.mean_low, found.mean_high)}"


def _columns(found: Mapping[str, Estimate]) -> dict[str, float]:
    """Return what estimates add to a row: ``r2_low r2_high r2_mean`` and so on."""
    return {
        f"{key}_{name}": value
        for key, one in found.items()
        for name, value in vars(one).items()
        if name != "single"
    }


def _ceiling_row(data: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the row of the ceilings, nothing where there are none."""
    values = [float(data[0][f"{key}_ceiling"]) for key in _KEYS]
    if not all(map(math.isfinite, values)):
        return ()
    return ("Ceiling: the noise-free reference", data[0]["against"], *map(shown, values))


def _blind(images: Sequence[GradedImage], report: Report) -> dict[str, np.ndarray]:
    found: dict[str, list[float]] = {name: [] for name in BLIND}
    for number, image in enumerate(images, start=1):
        cube = central_cube(image.volume, image.voxel_size)
        for name, measure in BLIND.items():
            found[name].append(measure(cube, image.voxel_size))
        report(image.name, number, len(images))
    return {name: np.array(values) for name, values in found.items()}


def _edge_sharpness(folder: Path, images: Sequence[GradedImage]) -> dict[str, np.ndarray]:
    """Return the edge sharpness of each image where a cohort knows all, else nothing."""
    try:
        people = {str(row["patient"]): row for row in read_table(folder / PEOPLE)}
        values = [_sharpness_of(image, people[image.patient]) for image in images]
    except (RawDataError, KeyError, TypeError, ValueError):
        return {}
    return {"edge_sharpness": np.array(values)}


def _sharpness_of(image: GradedImage, person: Mapping[str, Any]) -> float:
    # patients.tsv knows the patient's own image alone
    own = which(image.path) == 0
    return float(person["edge_sharpness"] if own else features_of(image.path).edge_sharpness)


def _pooled(at: np.ndarray, means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the blocks of an isotonic regression (pool adjacent violators): place, value; (n, 2)."""
    blocks: list[list[float]] = []  # place, value, weight
    for place, value, weight in zip(at, means, weights, strict=True):
        blocks.append([float(place), float(value), float(weight)])
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            last, before = blocks.pop(), blocks.pop()
            total = last[2] + before[2]
            mixed = [(before[i] * before[2] + last[i] * last[2]) / total for i in range(2)]
            blocks.append([*mixed, total])
    return np.array(blocks)[:, :2]
