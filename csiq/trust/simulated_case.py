"""A simulated patient, scanned as well as can be, for one thing at a time to be made worse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from csiq.cohort.images import OneCoilScan, graded_volume, scan_of
from csiq.cohort.recipe import ImageRecipe
from csiq.gating import correct_shift, spoke_shift
from csiq.quality.features import HeartTruth
from csiq.simulate.imperfections import Imperfections
from csiq.simulate.noise import add_noise
from csiq.trust.radial_scan import RadialScan

#: Sampling (share of Nyquist's), SNR and residual motion (mm) of the best scan: the best of a cohort.
EASY = {"sampling": 0.30, "snr": 60.0, "residual": 0.2}


@dataclass(frozen=True)
class SimulatedPatient:
    """A patient of a cohort under an easy scan: own anatomy, own breathing, self-navigated, no imperfection.

    Attributes
    ----------
    name : str
    recipe : ImageRecipe
        Of the best scan.
    """

    name: str
    recipe: ImageRecipe

    @classmethod
    def of(cls, row: Mapping[str, Any], matrix: int = 208, **conditions: float) -> SimulatedPatient:
        """Return the patient of a row of a cohort's ``patients.tsv``.

        Parameters
        ----------
        row : mapping
        matrix : int
        **conditions : float
            Other sampling, SNR or residual motion than :data:`EASY`.
        """
        found = {**EASY, **conditions}
        recipe = ImageRecipe(
            seed=int(row["seed"]),
            matrix=matrix,
            amplitude=float(row["amplitude_mm"]),
            drift=float(row["drift_mm"]),
            sampling=found["sampling"],
            snr=found["snr"],
            residual=found["residual"],
        )
        return cls(str(row["patient"]), recipe)

    @cached_property
    def base(self) -> RadialScan:
        """The best scan."""
        return self.scan()

    def scan(self, residual: float | None = None, imperfections: Imperfections | None = None) -> RadialScan:
        """Return a scan with other motion or imperfections; equal noise, the motion correction found anew."""
        recipe = replace(self.recipe, snr=math.inf)
        recipe = recipe if residual is None else replace(recipe, residual=residual)
        found = scan_of(recipe, imperfections)
        signal, navigators = found.acquisition, found.acquisition.navigators
        if navigators is None:
            raise AssertionError("a phyllotaxis has SI spokes")
        noise = _noise(found, signal.kspace.shape, 5)
        snr = np.float32(self.recipe.snr)
        heard = navigators.kspace + _noise(found, navigators.kspace.shape, 8) / snr
        noisy = replace(
            signal, kspace=signal.kspace + noise / snr, navigators=replace(navigators, kspace=heard)
        )
        shift = spoke_shift(noisy)
        heard, hiss = (
            correct_shift(replace(signal, kspace=k), shift).kspace[0] for k in (signal.kspace, noise)
        )
        truth = _truth(found, shift)
        return RadialScan(
            heard, hiss, self.recipe.snr, signal.coord, signal.heartbeat, found.displacement, truth
        )


def of_test_part(rows: Iterable[Mapping[str, Any]], n: int) -> list[Mapping[str, Any]]:
    """Return the first ``n`` patients of ``patients.tsv`` of the test part, whom nobody trained on."""
    return [row for row in rows if row["split"] == "test"][:n]


def _noise(scan: OneCoilScan, shape: tuple[int, ...], stream: int) -> np.ndarray:
    found = np.zeros(shape, np.complex64)
    rng = np.random.default_rng([scan.setting.config.seed, stream])
    add_noise(found, scan.coil.noise_covariance(), 1.0, rng)  # type: ignore[attr-defined]
    return found


def _truth(scan: OneCoilScan, shift: np.ndarray) -> HeartTruth:
    """Return the truth of the image of all spokes, motion along z taken out of each."""
    heart = scan.heart - shift[:, None] * [1.0, 0.0, 0.0]
    shape = scan.acquisition.geometry.shape
    everything = np.arange(scan.acquisition.n_spokes)
    return graded_volume(scan, np.zeros(shape, np.float32), everything, heart, {}).truth
