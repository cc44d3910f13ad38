"""A whole reconstruction in a few seconds, of an object whose signal is known in closed form.

Ellipsoids breathe along z; their Fourier transforms are formulae, so that neither the simulation nor a grid
of ours stands behind the signal. Two phases, three iterations, on the device that ``auto`` takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.trajectory import golden_means_3d, radial_coord

_N, _SPOKES, _EVERY = 24, 600, 15
_TR, _BREATH, _AMPLITUDE = 0.04, 4.0, 0.06  # s, s, share of the field of view
#: Middle and half axes z y x in fields of view, and brightness.
_ELLIPSOIDS = (
    ((0.0, 0.0, 0.0), (0.28, 0.34, 0.36), 1.0),
    ((0.02, -0.08, 0.1), (0.1, 0.08, 0.12), 1.5),
    ((-0.05, 0.1, -0.12), (0.07, 0.09, 0.06), -0.6),
)
_NOISE = 2e-4  # the largest sample is 0.15


@dataclass(frozen=True)
class SelfTest:
    """What came out.

    Attributes
    ----------
    breathing : float
        Correlation of the signal that was found with the motion, whatever its sign.
    image : float
        Correlation of a phase with the object where it then was, the lower of two.
    cost : float
        Last cost over the first.
    device : str
    """

    breathing: float
    image: float
    cost: float
    device: str

    @property
    def good(self) -> bool:
        """Whether all is near what a sound installation gives: 0.997, 0.970 and 0.18."""
        return self.breathing > 0.95 and self.image > 0.93 and self.cost < 0.4


def self_test(device: str = "auto") -> SelfTest:
    """Reconstruct the ellipsoids, and hold the result against what is known of them.

    Parameters
    ----------
    device : str
        As ``--device``.

    Raises
    ------
    CsiqError
        As :func:`csiq.pipeline.reconstruct`.
    """
    from csiq.config import load_config
    from csiq.pipeline import reconstruct

    scan = breathing_ellipsoids()
    result = reconstruct(scan, load_config(overrides={"phases": 2, "max_iter": 3, "device": device}))
    shift = displacement(scan.times)
    values = result.signal.values if result.signal is not None else np.zeros_like(shift)
    images = [
        _likeness(np.abs(volume), object_at(float(shift[spokes].mean())))
        for volume, spokes in zip(result.volumes, result.bins.indices, strict=True)
    ]
    costs = [step.cost for step in result.history.steps]
    return SelfTest(abs(_likeness(values, shift)), min(images), costs[-1] / costs[0], result.device)


def displacement(times: np.ndarray) -> np.ndarray:
    """Return where the object is along z, in fields of view, at times in s; it rests at one end."""
    found: np.ndarray = _AMPLITUDE * np.sin(np.pi * times / _BREATH) ** 4
    return found


def breathing_ellipsoids() -> Acquisition:
    """Return a scan of one coil by golden means, an SI spoke before every fifteenth."""
    shape = (_N, _N, _N)
    imaging = radial_coord(golden_means_3d(_SPOKES), shape, 2 * _N)
    along_z = radial_coord(np.array([[1.0, 0.0, 0.0]]), shape, 2 * _N)
    times = _TR * np.arange(_SPOKES)
    leading = times[::_EVERY] - _TR / 2
    rng = np.random.default_rng(1)
    kspace, navigators = (
        _noisy(_kspace(coord, displacement(when)), rng)
        for coord, when in ((imaging, times), (np.repeat(along_z, len(leading), axis=0), leading))
    )
    interleave = np.arange(_SPOKES) // _EVERY
    return Acquisition(
        kspace=kspace,
        coord=imaging,
        times=times,
        heartbeat=interleave,
        geometry=Geometry(shape, (208.0, 208.0, 208.0)),
        navigators=Navigators(navigators, leading, np.unique(interleave)),
        name="ellipsoids",
        system={"vendor": "simulated"},
    )


def object_at(shift: float) -> np.ndarray:
    """Return the object on the grid of the reconstruction, moved along z by a share of the field of view."""
    axis = (np.arange(_N) - _N // 2) / _N
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    image = np.zeros(grid.shape[:-1])
    for middle, axes, brightness in _ELLIPSOIDS:
        away = (grid - middle - [shift, 0, 0]) / axes
        image += brightness * (np.sum(away**2, axis=-1) < 1)
    return image


def _kspace(coord: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return the signal of the ellipsoids: 3 j1(q) / q times the volume, q = 2 pi |k a|."""
    total = np.zeros(coord.shape[:-1], np.complex128)
    for middle, axes, brightness in _ELLIPSOIDS:
        q = 2 * np.pi * np.linalg.norm(coord * axes, axis=-1) + 1e-3
        volume = brightness * 4 * np.pi * np.prod(axes)
        total += volume * (np.sin(q) - q * np.cos(q)) / q**3 * np.exp(-2j * np.pi * coord @ np.array(middle))
    return total * np.exp(-2j * np.pi * coord[..., 0] * shift[:, None])


def _noisy(kspace: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal((*kspace.shape, 2)).view(np.complex128)[..., 0]
    noisy: np.ndarray = (kspace + _NOISE * noise)[None].astype(np.complex64)
    return noisy


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
