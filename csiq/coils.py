"""From receive channels to sensitivity maps: whitening, compression, maps.

All three are plain NumPy on small matrices and a coarse grid: they run once, before the arrays go to the
device. The maps need no JSENSE (SigPy's fails on CuPy 14): they are the dominant eigenvectors of the local
coil covariance of a low-resolution image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.arrays import default_threads, run_tasks
from csiq.density import density_compensation
from csiq.errors import RawDataError
from csiq.nufft import Nufft

#: A coil whose mean power at the centre of k-space is below this share of the median coil's is dead.
DEAD = 1e-3
#: Band of the low-resolution image the maps are made of, cycles per field of view.
CALIBRATION_BAND = 10.0


def drop_dead_coils(scan: Acquisition) -> Acquisition:
    """Return the scan without coils that carry no signal, with a warning for each.

    Power is taken over the central samples of all spokes and, where there is noise, less the noise's.

    Raises
    ------
    RawDataError
        If no coil is left.
    """
    power = _central_power(scan)
    alive = power > DEAD * np.median(power[power > 0]) if np.any(power > 0) else np.zeros(power.size, bool)
    if not alive.any():
        raise RawDataError("no coil carries a signal", file=scan.name, field="kspace")
    if alive.all():
        return scan
    dead = ", ".join(str(i) for i in np.flatnonzero(~alive))
    return take_coils(scan, np.flatnonzero(alive)).with_warnings(f"coil {dead} carries no signal: left out")


def take_coils(scan: Acquisition, coils: np.ndarray) -> Acquisition:
    """Return the scan with the coils of these numbers."""
    return _mix(scan, np.eye(scan.n_coils, dtype=np.complex64)[coils])


def whiten(scan: Acquisition) -> Acquisition:
    """Return the scan with unit, uncorrelated noise in all coils.

    The noise readouts give the covariance; without them it is left as it is and a warning says so.

    Raises
    ------
    RawDataError
        If the noise covariance is singular.
    """
    if scan.noise is None or scan.noise.shape[1] < 2 * scan.n_coils:
        return scan.with_warnings("no noise readouts: coils are not whitened")
    noise = scan.noise.astype(np.complex128)
    noise = noise - noise.mean(axis=1, keepdims=True)
    covariance = noise @ noise.conj().T / noise.shape[1]
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise RawDataError("the noise covariance is singular", file=scan.name, field="noise") from None
    return _mix(scan, np.linalg.inv(factor).astype(np.complex64))


def compress(scan: Acquisition, n_coils: int | None) -> Acquisition:
    """Return the scan in its ``n_coils`` strongest virtual coils.

    They are the eigenvectors of the coil covariance of all samples (the SVD of the data), strongest
    first. None, or as many as there are, leaves the number but still rotates.

    References
    ----------
    Buehrer M, et al. Array compression for MRI with large coil arrays. Magn Reson Med 2007;57:1131-1139.
    """
    covariance = np.zeros((scan.n_coils, scan.n_coils), np.complex128)
    for block in np.array_split(np.arange(scan.n_spokes), max(1, scan.n_spokes // 512)):
        samples = scan.kspace[:, block].reshape(scan.n_coils, -1)
        covariance += samples @ samples.conj().T
    _, vectors = np.linalg.eigh(covariance)
    vectors = vectors[:, ::-1][:, : min(n_coils or scan.n_coils, scan.n_coils)]
    # an eigenvector's angle is arbitrary: make its largest entry real, so that repeats agree
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(vectors.shape[1])]
    return _mix(scan, (vectors * (np.abs(largest) / largest)).conj().T.astype(np.complex64))


def _mix(scan: Acquisition, matrix: np.ndarray) -> Acquisition:
    """Return the scan with each sample's coil vector multiplied by ``matrix``."""

    def mixed(data: np.ndarray) -> np.ndarray:
        return (matrix @ data.reshape(data.shape[0], -1)).reshape(matrix.shape[0], *data.shape[1:])

    navigators: Navigators | None = scan.navigators
    if navigators is not None:
        navigators = replace(navigators, kspace=mixed(navigators.kspace))
    noise = mixed(scan.noise) if scan.noise is not None else None
    return replace(scan, kspace=mixed(scan.kspace), navigators=navigators, noise=noise)


def _central_power(scan: Acquisition) -> np.ndarray:
    radius = np.linalg.norm(scan.coord[0], axis=-1)
    central = np.argsort(radius)[:4]
    power = np.mean(np.abs(scan.kspace[:, :, central]) ** 2, axis=(1, 2)).astype(np.float64)
    if scan.noise is not None:
        noise = np.mean(np.abs(scan.noise) ** 2, axis=1)
        # within 5 % of the noise's own power there is nothing but noise
        power = np.where(power > 1.05 * noise, power, 0.0)
    return power


@dataclass(frozen=True)
class _Calibration:
    """The coarse grid over twice the field of view: the body outside must not fold into the maps."""

    shape: tuple[int, int, int]
    factor: tuple[int, int, int]

    @classmethod
    def of(cls, shape: tuple[int, int, int]) -> _Calibration:
        """Return the grid for images of this shape; an axis of one voxel stays as it is."""
        factor = tuple(2 if n > 1 else 1 for n in shape)
        coarse = tuple(
            2 * f * int(min(CALIBRATION_BAND, n / 2)) if n > 1 else 1
            for f, n in zip(factor, shape, strict=True)
        )
        return cls(coarse, factor)  # type: ignore[arg-type]


def estimate_smaps(scan: Acquisition, *, threads: int | None = None) -> np.ndarray:
    """Return the sensitivity maps of a scan.

    All phases together give a low-resolution image of each coil over twice the field of view; where the
    local covariance over a few voxels has its dominant eigenvector, there lies the map (Walsh). The first
    coil's angle is the reference: compress first, so that it is the strongest.

    Parameters
    ----------
    scan : Acquisition
    threads : int, optional

    Returns
    -------
    complex64 array, (n_coils, z, y, x)
        Unit root-sum-of-squares everywhere.

    References
    ----------
    Walsh DO, Gmitro AF, Marcellin MW. Adaptive reconstruction of phased array MR imagery. Magn Reson Med
    2000;43:682-690.
    """
    shape = scan.geometry.shape
    if scan.n_coils == 1:
        return np.ones((1, *shape), np.complex64)
    calibration = _Calibration.of(shape)
    threads = threads or default_threads()
    images = _coarse_images(scan, calibration, threads)
    coarse = _dominant_eigenvector(_local_covariance(images))
    maps = _interpolate(coarse, calibration, shape, threads)
    size = np.sqrt(np.sum(np.abs(maps) ** 2, axis=0, keepdims=True))
    if not np.all(np.isfinite(size)) or np.any(size == 0):
        raise RawDataError("sensitivity maps are not finite", file=scan.name, field="smaps")
    maps /= size
    return maps


def _coarse_images(scan: Acquisition, calibration: _Calibration, threads: int) -> np.ndarray:
    """Return the windowed low-resolution image of each coil, (n_coils, *calibration.shape)."""
    n = np.array(scan.geometry.shape)
    band = np.where(n > 1, np.minimum(CALIBRATION_BAND, n / 2), 1.0)
    radius = np.linalg.norm(scan.coord / band, axis=-1)
    keep = np.flatnonzero((radius < 1).any(axis=0))
    samples = slice(int(keep[0]), int(keep[-1]) + 1)
    coord = np.ascontiguousarray(scan.coord[:, samples])
    dcf = density_compensation(coord, shape=scan.geometry.shape)
    window = np.cos(np.pi / 2 * np.minimum(radius[:, samples], 1)) ** 2
    weights = (dcf * window).astype(np.float32)
    positions = (coord * np.array(calibration.factor)).astype(np.float32)
    images = np.empty((scan.n_coils, *calibration.shape), np.complex64)

    def share(worker: int) -> None:
        """Grid every ``threads``-th coil, beginning with this one."""
        nufft = Nufft(positions, calibration.shape)
        for coil in range(worker, scan.n_coils, threads):
            images[coil] = nufft.adjoint(weights * scan.kspace[coil, :, samples])

    run_tasks([partial(share, worker) for worker in range(min(threads, scan.n_coils))], threads)
    return images


def _local_covariance(images: np.ndarray) -> np.ndarray:
    """Return the coil covariance around each voxel, (*shape, n_coils, n_coils)."""
    from scipy.ndimage import gaussian_filter

    n_coils = images.shape[0]
    sigma = [1.0 if n > 1 else 0.0 for n in images.shape[1:]]
    covariance = np.empty((*images.shape[1:], n_coils, n_coils), np.complex64)
    for i in range(n_coils):
        for j in range(i + 1):
            product = images[i] * images[j].conj()
            smooth = gaussian_filter(product.real, sigma) + 1j * gaussian_filter(product.imag, sigma)
            covariance[..., i, j] = smooth
            covariance[..., j, i] = smooth.conj()
    return covariance


def _dominant_eigenvector(covariance: np.ndarray) -> np.ndarray:
    """Return it for each voxel with the first coil's angle taken out, (n_coils, *shape)."""
    _, vectors = np.linalg.eigh(covariance)
    maps = np.moveaxis(vectors[..., -1], -1, 0)
    first = maps[0]
    return maps * np.where(np.abs(first) > 0, first.conj() / np.maximum(np.abs(first), 1e-20), 1)


def _interpolate(
    coarse: np.ndarray, calibration: _Calibration, shape: tuple[int, int, int], threads: int
) -> np.ndarray:
    """Return the maps on the reconstruction's grid, by separable cubic splines."""
    from scipy.ndimage import spline_filter1d

    matrices = [
        _spline_matrix(n_coarse, factor, n)
        for n_coarse, factor, n in zip(calibration.shape, calibration.factor, shape, strict=True)
    ]
    maps = np.empty((len(coarse), *shape), np.complex64)

    def one(number: int) -> None:
        """Write one coil's map at the fine voxels into ``maps``."""
        # all axes are filtered while the grid is coarse: filters and sums of other axes commute
        real, imag = coarse[number].real, coarse[number].imag
        for axis, matrix in enumerate(matrices):
            if matrix is not None:
                real = spline_filter1d(real, axis=axis, mode="mirror", output=np.float32)
                imag = spline_filter1d(imag, axis=axis, mode="mirror", output=np.float32)
        fine = (real + 1j * imag).astype(np.complex64)
        for axis, matrix in enumerate(matrices):
            if matrix is not None:
                fine = np.moveaxis(np.tensordot(matrix, fine, axes=(1, axis)), 0, axis)
        maps[number] = fine

    run_tasks([partial(one, number) for number in range(len(coarse))], threads)
    return maps


def _spline_matrix(n_coarse: int, factor: int, n: int) -> np.ndarray | None:
    """Return the cubic B-spline weights from coarse to fine voxels, (n, n_coarse)."""
    if n == 1:
        return None
    position = (np.arange(n) - n // 2) / n / factor * n_coarse + n_coarse // 2
    base = np.floor(position).astype(int)
    t = position - base
    weights = [
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    ]
    matrix = np.zeros((n, n_coarse), np.float32)
    for offset, weight in zip(range(-1, 3), weights, strict=True):
        index = np.abs(base + offset)
        index = np.where(index >= n_coarse, 2 * (n_coarse - 1) - index, index)
        np.add.at(matrix, (np.arange(n), index), weight)
    return matrix
