"""The samples about the centre of k-space, of some spokes and in a few virtual coils."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.acquisition import Acquisition
from csiq.delays.correct import sample_steps

#: Spokes an estimate rests on: more add time, not certainty.
MOST_SPOKES = 1000
_COILS = 6
_STILL = 0.02  # share of the longest step below which an axis does not move (a stack's partitions)


@dataclass(frozen=True)
class Centre:
    """Where and what is sampled about the centre.

    Attributes
    ----------
    k : float64 array, (n_spokes, n_near, 3)
        Nominal, z y x, cycles per field of view.
    step : float64 array, (n_spokes, n_near, 3)
        From one sample to the next.
    data : complex128 array, (n_coils, n_spokes, n_near)
        Root mean square 1 over everything.
    block : int array, (n_spokes,)
        Heartbeat or run of neighbours a spoke belongs to: errors within one are not independent.
    moving : tuple of int
        Axes z y x along which spokes run.
    sampled : tuple of int
        Axes along which samples differ.
    radius : float
        Of what was taken, cycles per field of view.
    """

    k: np.ndarray
    step: np.ndarray
    data: np.ndarray
    block: np.ndarray
    moving: tuple[int, ...]
    sampled: tuple[int, ...]
    radius: float

    @property
    def n_spokes(self) -> int:
        """Number of spokes that were taken."""
        return int(self.k.shape[0])


def central_samples(scan: Acquisition, n_each_side: int, start: np.ndarray) -> Centre:
    """Return the samples nearest to the centre of evenly chosen spokes.

    Parameters
    ----------
    scan : Acquisition
    n_each_side : int
        Samples taken before and after the one nearest to the centre.
    start : float array, (3, 3)
        Delays known so far, samples: the centre is sought where they put it.
    """
    spokes = np.unique(np.linspace(0, scan.n_spokes - 1, min(scan.n_spokes, MOST_SPOKES)).astype(int))
    coord = scan.coord[spokes].astype(np.float64)
    steps = np.broadcast_to(sample_steps(coord), coord.shape)
    lengths = np.linalg.norm(steps, axis=-1)
    longest = float(np.median(lengths.max(axis=1)))
    moving = tuple(a for a in range(3) if np.abs(steps[..., a]).max() > _STILL * longest)
    reach = n_each_side * longest
    still = [a for a in range(3) if a not in moving]
    near = np.abs(coord[..., still]).max(axis=(1, 2), initial=0.0) <= reach
    coord, steps, spokes = coord[near], steps[near], spokes[near]
    placed = coord + steps @ start.T
    middle = np.argmin(np.linalg.norm(placed[..., list(moving)], axis=-1), axis=1)
    index = np.clip(middle[:, None] + np.arange(-n_each_side, n_each_side + 1), 0, scan.n_samples - 1)
    # half spokes begin at the centre: what would lie before is cut off, for all alike
    kept = np.flatnonzero(np.all(np.diff(index, axis=1) > 0, axis=0))
    index = index[:, kept[0] : kept[-1] + 2] if kept.size else index
    rows = np.arange(len(spokes))[:, None]
    k, step = coord[rows, index], steps[rows, index]
    sampled = tuple(a for a in range(3) if np.ptp(k[..., a]) > _STILL * longest)
    data = _virtual(scan.kspace[:, spokes[:, None], index])
    return Centre(k, step, data, _blocks(scan, spokes), moving, sampled, reach)


def _virtual(data: np.ndarray) -> np.ndarray:
    """Return the strongest virtual coils, complex128, of root mean square 1 together."""
    flat = data.reshape(data.shape[0], -1).astype(np.complex128)
    _, vectors = np.linalg.eigh(flat @ flat.conj().T)
    flat = vectors[:, ::-1][:, :_COILS].conj().T @ flat
    flat /= max(float(np.sqrt(np.mean(np.abs(flat) ** 2))), 1e-300)
    return flat.reshape(-1, *data.shape[1:])


def _blocks(scan: Acquisition, spokes: np.ndarray) -> np.ndarray:
    """Return which spokes may err together: heartbeats, or runs of neighbours in a scan without."""
    beat = scan.heartbeat[spokes]
    if np.unique(beat).size >= 20:
        return np.unique(beat, return_inverse=True)[1]
    return np.arange(spokes.size) // max(1, min(spokes.size // 20, 8))
