"""What makes an image worse, one thing at a time, in levels from harmless to hopeless.

Where physics allows it the samples of a scan are degraded, and the image is made anew: nothing but the named
thing changes, not even the realisation of the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter

from csiq.quality.features import HeartTruth
from csiq.simulate.imperfections import Imperfections
from csiq.trust.radial_scan import Case, RadialScan

#: Full width at half maximum of a Gaussian over its SD.
FWHM = float(np.sqrt(8 * np.log(2)))
_DELAYED = (0.6, -1.0, 0.8)  # shares of a delay on the axes z, y, x: a common one shifts all spokes alike
_SEED = 20


@dataclass(frozen=True)
class Mechanism:
    """One thing that makes images worse.

    Attributes
    ----------
    name, unit : str
    levels : tuple of float
        Rising; the first is the best scan.
    in_training : bool
        Whether a cohort's images have it, so that a network has seen it.
    image : callable, optional
        Complex image of the best scan under a level.
    scan : callable, optional
        In its place: a scan of its own at a level.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    in_training: bool
    image: Callable[[RadialScan, float], np.ndarray] | None = None
    scan: Callable[[Case, float], RadialScan] | None = None

    def images(self, case: Case) -> Iterator[tuple[float, np.ndarray, HeartTruth]]:
        """Yield level, magnitude (float32, z y x) and truth of each image, the best first."""
        for level in self.levels:
            scan = case.base if self.scan is None or level == self.levels[0] else self.scan(case, level)
            made = self.image(scan, level) if self.image is not None else scan.grid(scan.received())
            yield level, np.abs(made).astype(np.float32), scan.truth


def _blurred(scan: RadialScan, fwhm: float) -> np.ndarray:
    """Return the image of an object under a Gaussian; the noise stays as it is."""
    sd = fwhm / FWHM / scan.truth.voxel_size
    soft = gaussian_filter(scan.clean.real, sd) + 1j * gaussian_filter(scan.clean.imag, sd)
    return np.asarray(soft + scan.noise_image / np.float32(scan.snr))


def _noisy(scan: RadialScan, ratio: float) -> np.ndarray:
    """Return the image with ``ratio`` times the noise of the best scan; the same motion correction."""
    return np.asarray(scan.clean + scan.noise_image * np.float32(ratio / scan.snr))


def _thinned(scan: RadialScan, factor: float) -> np.ndarray:
    """Return the image of one ``factor``-th of the heartbeats, each level's among those of the one before.

    A shorter scan would have less motion, too: its heartbeats are a part of the same breaths. Multiples of
    sqrt(2) - 1 are spread evenly over time and, as those of the golden angle by which interleaves are turned
    are another irrational, over the sphere.
    """
    kept = np.flatnonzero((scan.heartbeat * (np.sqrt(2) - 1)) % 1 < 1 / factor)
    return scan.grid(scan.received(), kept)


def _drifted(scan: RadialScan, way: float) -> np.ndarray:
    """Return the image of a patient who sinks into the table evenly, by ``way`` mm from first to last spoke.

    The whole body moves: a phase ramp is exact.
    """
    return scan.grid(scan.received(drift_turns(scan, way)))


def drift_turns(scan: RadialScan, way: float) -> np.ndarray:
    """Return what an even drift along y turns each sample by, complex (n_spokes, n_samples).

    By ``way`` mm from the first spoke to the last, none in the middle of the scan.
    """
    place = way * (np.linspace(0, 1, len(scan.coord)) - 0.5) / scan.fov[1]
    turns = scan.coord[..., 1] * place.astype(np.float32)[:, None]
    return np.asarray(np.exp(-2j * np.pi * turns))


def _uneven(scan: RadialScan, spread: float) -> np.ndarray:
    """Return the image of a signal that differs from beat to beat by a log-normal factor of mean 1."""
    rng = np.random.default_rng(_SEED)
    factor = np.exp(spread * rng.standard_normal(int(scan.heartbeat.max()) + 1) - spread**2 / 2)
    return scan.grid(scan.received(factor[scan.heartbeat][:, None].astype(np.float32)))


def _turned(scan: RadialScan, spread: float) -> np.ndarray:
    """Return the image of a field that differs from beat to beat: each one's phase is off, SD in rad."""
    rng = np.random.default_rng(_SEED)
    phase = spread * rng.standard_normal(int(scan.heartbeat.max()) + 1)
    return scan.grid(scan.received(np.exp(1j * phase)[scan.heartbeat][:, None]))


def _moving(case: Case, residual: float) -> RadialScan:
    return case.scan(residual=residual)


def _late(case: Case, delay: float) -> RadialScan:
    z, y, x = (share * delay for share in _DELAYED)
    return case.scan(imperfections=Imperfections(gradient_delay=(z, y, x)))


def _off(case: Case, hertz: float) -> RadialScan:
    return case.scan(imperfections=Imperfections(off_resonance=hertz))


def _early(case: Case, share: float) -> RadialScan:
    return case.scan(imperfections=Imperfections(arrhythmia=share))


_ALL = (
    Mechanism("blur", "mm FWHM", (0, 1.3, 1.7, 2.0, 2.4, 2.8, 3.3, 3.9), True, image=_blurred),
    Mechanism("motion", "mm RMS", (0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.1, 2.5), True, scan=_moving),
    Mechanism("undersampling", "fold", (1, 1.3, 1.7, 2.2, 2.8, 3.6, 4.6, 6.0), True, image=_thinned),
    Mechanism("noise", "fold", (1, 2.4, 3.8, 5.2, 6.8, 8.4, 10.2, 12.0), True, image=_noisy),
    Mechanism("gradient-delay", "us", (0, 1.2, 2.0, 2.8, 3.6, 4.4, 5.2, 6.0), True, scan=_late),
    Mechanism("arrhythmia", "of beats", (0, 0.06, 0.12, 0.18, 0.24, 0.3), True, scan=_early),
    Mechanism("off-resonance", "Hz", (0, 60, 120, 180, 250, 330, 410, 500), True, scan=_off),
    Mechanism("table-drift", "mm", (0, 1, 1.5, 2, 2.5, 3.2, 4, 5), False, image=_drifted),
    Mechanism("uneven-signal", "SD of log", (0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3), False, image=_uneven),
    Mechanism("phase-jitter", "rad SD", (0, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5), False, image=_turned),
)
#: All that is known, by name. ``in_training`` is said of the whole cohort; a training without patients whose
#: scans have a gradient delay or arrhythmia (:func:`csiq.trust.held_out.without`) has not seen these.
MECHANISMS = MappingProxyType({one.name: one for one in _ALL})
#: Those by which grades must order.
ORDERING = ("blur", "motion", "undersampling", "noise")
#: Those that no image of a cohort has.
HELD_OUT = tuple(one.name for one in _ALL if not one.in_training)
#: Those that some images of a cohort have, and a training may be made to miss.
IMPERFECT = ("gradient-delay", "arrhythmia")
