"""Raw scans of some test patients, for reconstruction: the patients of the graded images, with all coils."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from csiq.cohort.database import Progress, progress_of
from csiq.cohort.manifest import CohortScan, write_cohort
from csiq.cohort.patients import CohortPatient
from csiq.simulate.imperfections import Imperfections
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import simulate_scan, truth_path, write_simulated

#: Folder of the scans within a cohort's, and their manifest.
RAW, SCANS = "raw", "scans.tsv"
#: Scans of the paper, of its 100 test patients.
N_RAW = 69
#: The configuration that the manifest names.
PRESET = "whole-heart"
_STREAM = 4  # of a patient's random numbers, as for the graded image


def n_raw_of(n_test: int) -> int:
    """Return how many of so many test patients get raw data: the paper's share."""
    return round(n_test * N_RAW / 100)


def choose_spread(patients: Sequence[CohortPatient], count: int) -> list[CohortPatient]:
    """Choose patients whose scans are as different in difficulty as can be.

    Difficulty is the logarithm of sampling and SNR, and the breathing amplitude, each over its SD. The first
    is the one nearest the middle; each further one is the farthest from all that were chosen.

    Parameters
    ----------
    patients : sequence of CohortPatient
    count : int
        All patients if there are no more.

    Returns
    -------
    list of CohortPatient
        In order of their numbers.
    """
    ordered = sorted(patients, key=lambda patient: patient.number)
    if count >= len(ordered) or count < 1:
        return ordered[: max(count, 0)]
    hard = [p.difficulty for p in ordered]
    place = np.array([(np.log(d.sampling), np.log(d.snr), d.amplitude) for d in hard])
    place = (place - place.mean(axis=0)) / np.maximum(place.std(axis=0), 1e-9)
    chosen = [int(np.argmin(np.linalg.norm(place, axis=1)))]
    nearest = np.full(len(ordered), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.linalg.norm(place - place[chosen[-1]], axis=1))
        nearest[chosen] = -1.0
        chosen.append(int(np.argmax(nearest)))
    return [ordered[i] for i in sorted(chosen)]


def scan_config(patient: CohortPatient, matrix: int, n_coils: int) -> ScanConfig:
    """Return the scan of a patient: anatomy, breathing and difficulty of the graded image.

    Sampling is kept, so that a smaller matrix has fewer spokes.
    """
    hard = patient.difficulty
    drawn = Imperfections.drawn(hard.imperfections, np.random.default_rng([patient.seed, _STREAM]))
    return ScanConfig(
        seed=patient.seed,
        matrix=matrix,
        n_spokes=patient.n_spokes(matrix),
        n_coils=n_coils,
        snr=hard.snr,
        n_interleaves=min(hard.heartbeats, patient.n_spokes(matrix)),
        amplitude=hard.amplitude,
        drift=hard.drift,
        cardiac=hard.residual,
        imperfections=drawn,
    )


def missing_scans(folder: Path, patients: Sequence[CohortPatient]) -> list[CohortPatient]:
    """Return the patients whose scan is not finished: its truth is written last."""
    return [p for p in patients if not all(path.is_file() for path in _files(folder, p))]


def make_scans(
    folder: Path, patients: Sequence[CohortPatient], matrix: int, n_coils: int, workers: int = 1
) -> Iterator[Progress]:
    """Simulate and write scans, ``raw/p001.h5`` and ``raw/p001.truth.h5``; yield as each is finished.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    patients : sequence of CohortPatient
    matrix, n_coils : int
    workers : int
        Processes; the files do not depend on it.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    target = folder / RAW
    yield from progress_of(target, partial(make_scan, target, matrix, n_coils), patients, workers)


def make_scan(target: Path, matrix: int, n_coils: int, patient: CohortPatient) -> None:
    """Simulate and write the scan of one patient."""
    scan, truth = simulate_scan(scan_config(patient, matrix, n_coils), threads=1)
    write_simulated(target / f"{patient.name}.h5", scan, truth)


def write_scans(folder: Path, patients: Sequence[CohortPatient]) -> None:
    """Write the manifest of the scans."""
    scans = [CohortScan(p.name, folder / RAW / f"{p.name}.h5", PRESET) for p in patients]
    write_cohort(folder / SCANS, scans)


def bytes_of_scan(patient: CohortPatient, matrix: int, n_coils: int) -> int:
    """Return about how large a scan and its truth are: samples, positions, four volumes."""
    samples = 2 * matrix * (patient.n_spokes(matrix) + patient.difficulty.heartbeats)
    return samples * (8 * n_coils + 12) + 4 * 4 * matrix**3


def _files(folder: Path, patient: CohortPatient) -> tuple[Path, Path]:
    raw = folder / RAW / f"{patient.name}.h5"
    return raw, truth_path(raw)
