"""From what a file holds to an :class:`Acquisition`: bad readouts, loud coils, smaller matrix.

The readers differ in how they decode; this part is the same for all of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.errors import ConfigError, RawDataError
from csiq.io.draft import Draft
from csiq.io.noise import given_noise
from csiq.io.options import ReadOptions
from csiq.io.si_apart import set_si_apart
from csiq.io.sniff import sha256_of

__all__ = ["Draft", "coil_levels", "crop_matrix", "exclude_coils", "finish", "handle_bad", "name_loud_coils"]

#: A spoke whose largest sample exceeds the median spoke's by this is damaged: the decay of hyperpolarised
#: gas stays below 20, a flipped bit in the upper exponent gives 256 and more.
OUTLIER = 50.0
#: Readouts of one distance from the centre of k-space have a median of their own from this number on.
_MANY = 8

#: A coil this much louder than the median coil is suspicious (a broken preamplifier gives 1000).
LOUD = 30.0


def finish(draft: Draft, options: ReadOptions) -> Acquisition:
    """Return the checked scan, SI spokes apart, with the options' coils, readouts and matrix.

    Raises
    ------
    RawDataError
        If samples are not finite (without ``drop_bad``), or nothing is left.
    ConfigError
        If an option does not fit the scan.
    """
    draft = set_si_apart(draft, options)
    if options.noise is not None:
        dwell = draft.system.get("dwell_s")
        draft = replace(draft, noise=given_noise(options, len(draft.kspace), dwell))
    draft = exclude_coils(draft, options.exclude_coil)
    draft = handle_bad(draft, drop=options.drop_bad)
    draft = name_loud_coils(draft)
    if options.matrix is not None:
        draft = crop_matrix(draft, options.matrix)
    return Acquisition(
        kspace=draft.kspace,
        coord=draft.coord,
        times=draft.times,
        heartbeat=draft.heartbeat,
        geometry=draft.geometry,
        navigators=draft.navigators,
        noise=draft.noise,
        triggered=draft.triggered,
        name=draft.path.name,
        sha256=sha256_of(draft.path),
        system=draft.system,
        warnings=draft.warnings,
    )


def exclude_coils(draft: Draft, coils: tuple[int, ...]) -> Draft:
    """Leave out coils, counted from 0."""
    if not coils:
        return draft
    n_coils = len(draft.kspace)
    if max(coils) >= n_coils:
        raise ConfigError(
            f"there is no coil {max(coils)}", field="--exclude-coil", hint=f"the scan has 0 .. {n_coils - 1}"
        )
    kept = np.setdiff1d(np.arange(n_coils), coils)
    if not kept.size:
        raise ConfigError("no coil is left", field="--exclude-coil")
    nav, noise = draft.navigators, draft.noise
    return replace(
        draft,
        kspace=draft.kspace[kept],
        navigators=None if nav is None else replace(nav, kspace=nav.kspace[kept]),
        noise=None if noise is None else noise[kept],
    )


def peaks_of(kspace: np.ndarray) -> np.ndarray:
    """Return the largest magnitude of each readout, NaN or Inf where a sample is.

    Parameters
    ----------
    kspace : complex64 array, (n_coils, n_readouts, n_samples)

    Returns
    -------
    float32 array, (n_coils, n_readouts)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([np.abs(coil).max(axis=-1) for coil in kspace])


def outliers_of(peaks: np.ndarray, nearest: np.ndarray | None = None) -> np.ndarray:
    """Return where a coil's readout peaks far above that coil's other readouts: bool like ``peaks``.

    Parameters
    ----------
    peaks : float array, (n_coils, n_readouts)
    nearest : float array, (n_readouts,), optional
        Distance of each readout from the centre of k-space, in samples of the grid. Readouts of one distance
        are held against each other: the middle partitions of a stack of stars are far above the outer ones.
    """
    finite = np.where(np.isfinite(peaks), peaks, 0)
    usual = np.median(finite, axis=1, keepdims=True)
    if nearest is not None and np.ptp(nearest) >= 1:
        usual = _usual_of_distances(finite, np.rint(nearest))
    return np.isfinite(peaks) & (usual > 0) & (peaks > OUTLIER * usual)


def _usual_of_distances(peaks: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the median over readouts of one distance; where they are few, the largest median there is."""
    found, group, size = np.unique(distances, return_inverse=True, return_counts=True)
    medians = np.stack([np.median(peaks[:, group == number], axis=1) for number in range(len(found))], axis=1)
    many = size >= _MANY
    largest = medians[:, many].max(axis=1) if many.any() else np.median(peaks, axis=1)
    return np.where(many, medians, largest[:, None])[:, group]


def nearest_of(coord: np.ndarray) -> np.ndarray:
    """Return the least distance of each readout from the centre of k-space, (n_readouts,).

    Parameters
    ----------
    coord : float32 array, (n_readouts, n_samples, 3)
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged trajectory is told of later
        squares = np.einsum("rsa,rsa->rs", coord, coord)
    return np.sqrt(np.where(np.isfinite(squares), squares, 0).min(axis=1))


def handle_bad(draft: Draft, *, drop: bool) -> Draft:
    """Find readouts with samples that are not finite, or far too large; leave them out if ``drop``.

    Without ``drop`` a sample that is not finite is an error, an outlier a warning.
    """
    draft = _handle_bad_spokes(draft, drop)
    if draft.navigators is not None:
        draft = _handle_bad_navigators(draft, drop)
    if draft.noise is not None and not np.isfinite(draft.noise).all():
        if not drop:
            coil, sample = (int(i) for i in np.argwhere(~np.isfinite(draft.noise))[0])
            raise _not_finite(draft.path, f"noise of coil {coil}, sample {sample}")
        good = np.isfinite(draft.noise).all(axis=0)
        noise = draft.noise[:, good] if good.any() else None
        draft = draft.noted(f"{int((~good).sum())} noise samples are not finite: left out", noise=noise)
    return draft


def _handle_bad_spokes(draft: Draft, drop: bool) -> Draft:
    bad, words = _bad_readouts(draft.path, draft.kspace, "spoke", drop, nearest_of(draft.coord))
    if not words:
        return draft
    if not drop:
        return draft.noted(words)
    if bad.all():
        raise RawDataError("every readout is bad; none is left", file=draft.path, field="kspace")
    good = ~bad
    return draft.noted(
        words,
        kspace=draft.kspace[:, good],
        coord=draft.coord[good],
        times=draft.times[good],
        heartbeat=draft.heartbeat[good],
    )


def _handle_bad_navigators(draft: Draft, drop: bool) -> Draft:
    nav = draft.navigators
    if nav is None:
        return draft
    bad, words = _bad_readouts(draft.path, nav.kspace, "navigator", drop)
    if not words:
        return draft
    if not drop:
        return draft.noted(words)
    good = ~bad
    if not good.any():
        return draft.noted("every navigator is bad: left out", navigators=None)
    left = Navigators(
        kspace=nav.kspace[:, good],
        times=nav.times[good],
        heartbeat=nav.heartbeat[good],
        coord=None if nav.coord is None else nav.coord[good],
    )
    return draft.noted(words, navigators=left)


def _bad_readouts(
    path: Path, kspace: np.ndarray, kind: str, drop: bool, nearest: np.ndarray | None = None
) -> tuple[np.ndarray, str]:
    """Return which readouts are bad (bool, (n_readouts,)), and a warning, empty if none is."""
    peaks = peaks_of(kspace)
    broken, outlier = ~np.isfinite(peaks), outliers_of(peaks, nearest)
    bad = (broken | outlier).any(axis=0)
    if not bad.any():
        return bad, ""
    if broken.any() and not drop:
        coil, readout = (int(i) for i in np.argwhere(broken)[0])
        with np.errstate(over="ignore", invalid="ignore"):
            sample = int(np.argmax(~np.isfinite(np.abs(kspace[coil, readout]))))
        raise _not_finite(path, f"coil {coil}, {kind} {readout}, sample {sample}")
    coil, readout = (int(i) for i in np.argwhere(broken | outlier)[0])
    what = f"{int(bad.sum())} of {len(bad)} {kind}s hold samples that are not finite or far too large"
    where = f"first: coil {coil}, {kind} {readout}"
    return (
        bad,
        f"{what} ({where}): {'left out' if drop else 'the image may suffer; --drop-bad leaves them out'}",
    )


def _not_finite(path: Path, where: str) -> RawDataError:
    return RawDataError(
        f"sample is not finite: {where}",
        file=path,
        field="kspace",
        hint="--drop-bad leaves such readouts out",
    )


def coil_levels(kspace: np.ndarray) -> np.ndarray:
    """Return the usual peak of each coil: the median over spokes of the largest magnitude, (n_coils,)."""
    return np.median(peaks_of(kspace), axis=1).astype(np.float64)


def name_loud_coils(draft: Draft) -> Draft:
    """Warn of coils that are far louder than the others."""
    levels = coil_levels(draft.kspace)
    usual = float(np.median(levels))
    if len(levels) < 3 or usual == 0:
        return draft
    loud = [f"coil {i} is {level / usual:.0f} times louder than the others; --exclude-coil {i}?"
            for i, level in enumerate(levels) if level > LOUD * usual]  # fmt: skip
    return draft.noted(*loud)


def crop_matrix(draft: Draft, n: int) -> Draft:
    """Crop k-space to a matrix of ``n`` along the longest axis; the field of view stays.

    Samples beyond the new band are left out: first spokes that never enter it (outer partitions of a stack
    of stars), then the samples that lie beyond it on any spoke left.
    """
    old = draft.geometry.shape
    longest = max(old)
    if n > longest:
        raise ConfigError(
            f"{n} is larger than the acquired {longest}", field="--matrix", hint="it only crops"
        )
    if n == longest:
        return draft
    z, y, x = (round(m * n / longest) if m > 1 else 1 for m in old)
    if min(m for m in (z, y, x) if m > 1) < 1:
        raise ConfigError(f"{n} leaves no voxel along an axis", field="--matrix")
    geometry = draft.geometry.with_shape((z, y, x))
    edge = np.array(geometry.shape) / 2 + 1e-3
    edge[np.array(geometry.shape) == 1] = np.inf
    within = (np.abs(draft.coord) <= edge).all(axis=-1)
    spokes = within.any(axis=1)
    if not spokes.any():
        raise RawDataError(f"no sample lies within matrix {n}", file=draft.path, field="--matrix")
    samples = within[spokes].all(axis=0)
    if samples.sum() < 2:
        raise RawDataError(f"fewer than 2 samples of a spoke lie within matrix {n}", file=draft.path)
    first, last = np.flatnonzero(samples)[[0, -1]]
    keep = slice(int(first), int(last) + 1)
    return replace(
        draft,
        kspace=np.ascontiguousarray(draft.kspace[:, spokes, keep]),
        coord=np.ascontiguousarray(draft.coord[spokes, keep]),
        times=draft.times[spokes],
        heartbeat=draft.heartbeat[spokes],
        geometry=geometry,
    )
