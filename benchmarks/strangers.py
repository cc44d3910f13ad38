"""Images that a grader must not take for hearts of its training set: measured ones, and hearts done wrong.

Each maker yields (volume (z, y, x), voxel size in mm). What comes from a heart comes from a cohort's volume,
its contrast and its k-space; no heart of it is one that the domain was fitted to.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from csiq.cohort.one_coil import OneCoil
from csiq.density import density_compensation
from csiq.io.nifti import read_volume, sidecar_of
from csiq.io.tables import read_json
from csiq.nufft import Nufft
from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.patient import rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState
from csiq.simulate.sensitivity import Maps
from csiq.trajectory import named_trajectory

Image = tuple[np.ndarray, tuple[float, float, float]]
_FOV = 208.0
_SPOKES = 4000


def swapped(path: Path) -> Iterator[Image]:
    """Yield the volume with its axes in the five wrong orders."""
    volume, voxel, _ = read_volume(path)
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            yield volume.transpose(order), (voxel[order[0]], voxel[order[1]], voxel[order[2]])


def half_resolution(path: Path) -> Iterator[Image]:
    """Yield the volume from the inner half of its k-space: filled with zeros, and interpolated by splines."""
    volume, voxel, _ = read_volume(path)
    n = volume.shape
    inner = tuple(slice(side // 4, side // 4 + side // 2) for side in n)
    kspace = np.fft.fftshift(np.fft.fftn(volume))
    kept = np.zeros_like(kspace)
    kept[inner] = kspace[inner]
    yield np.abs(np.fft.ifftn(np.fft.ifftshift(kept))).astype(np.float32), voxel
    small = np.abs(np.fft.ifftn(np.fft.ifftshift(kspace[inner]))).astype(np.float32)
    yield zoom(small, 2.0, order=3), voxel


def wrong_units(path: Path) -> Iterator[Image]:
    """Yield what gridding makes of k-space whose trajectory is read in another unit."""
    volume, voxel, _ = read_volume(path)
    n = volume.shape[0]
    coord = named_trajectory("phyllotaxis", _SPOKES, 2 * n, volume.shape)
    weighted = Nufft(coord, volume.shape, eps=1e-3).forward(volume.astype(np.complex64))
    weighted *= density_compensation(coord)
    # half and double, radians for cycles both ways, and one axis of another field of view
    for factor in ((0.5,) * 3, (2.0,) * 3, (1 / (2 * np.pi),) * 3, (0.5, 1.0, 1.0)):
        read = coord * np.array(factor, dtype=np.float32)
        on_grid = (np.abs(read) <= n / 2).all(axis=-1)
        wrong = Nufft(np.clip(read, -n / 2, n / 2), volume.shape, eps=1e-3).adjoint(weighted * on_grid)
        yield np.abs(wrong).astype(np.float32), voxel


def bright_fat(path: Path) -> Iterator[Image]:
    """Yield the volume with the signal that fat of this patient has without saturation, blurred as it is."""
    volume, voxel, _ = read_volume(path)
    about = read_json(sidecar_of(path))
    patient = Patient.from_seed(about["patient"]["seed"])
    other = replace(patient, sequence=replace(patient.sequence, fat_residual=1.0))
    grid, state = Grid.cube(len(volume), _FOV), MotionState(about["details"]["displacement_mm"])
    loops = CoilArray.around(patient.body, 8, np.random.default_rng([patient.person.seed, 3]))
    coil = OneCoil.over_heart(replace(loops, bias=patient.marks.bias))
    shading = np.abs(Maps.of(coil, grid).times(0, np.ones(grid.shape, np.float32)))
    with_fat, without = (rasterise(who, grid, state) * shading for who in (other, patient))
    spread = about["details"]["heart_spread_mm"] / np.sqrt(3)
    blur = [spread, spread / 2, spread / 2]
    seen = gaussian_filter(without, blur)
    scale = float(np.sum(seen * volume) / np.sum(seen**2))
    yield np.abs(volume + scale * gaussian_filter(with_fat - without, blur)).astype(np.float32), voxel


FROM_HEARTS: dict[str, Callable[[Path], Iterator[Image]]] = {
    "swapped axes": swapped,
    "low resolution upsampled": half_resolution,
    "no fat saturation": bright_fat,
    "wrong trajectory units": wrong_units,
}


def lungs(raw: Path) -> Iterator[Image]:
    """Yield the xenon lungs, gas and dissolved, whole and quarters of the spokes, at two fields of view."""
    with h5py.File(raw / "xe-lung-3d-radial" / "xe_lung_3d_radial.h5") as file:
        coord = file["coord"][()][..., ::-1].copy()
        both = [file[name][0] for name in ("ksp_gas", "ksp_dissolved")]
    weights = density_compensation(coord)
    for kspace in both:
        for first, step in ((0, 1), *((quarter, 4) for quarter in range(4))):
            some = slice(first, None, step)
            plan = Nufft(np.ascontiguousarray(coord[some]), (64, 64, 64), eps=1e-3)
            volume = np.abs(plan.adjoint((kspace * weights)[some].astype(np.complex64))).astype(np.float32)
            for fov in (400.0, _FOV):
                yield volume, (fov / 64,) * 3


def phantoms(raw: Path) -> Iterator[Image]:
    """Yield the slices of bricks and bottles, drawn out along each axis."""
    for image in _slices(raw):
        pixel = _FOV / max(image.shape)
        block = np.repeat(image[None].astype(np.float32), 208, axis=0)
        for axis in range(3):
            size = np.insert([pixel, pixel], axis, 1.0)
            yield np.moveaxis(block, 0, axis), (float(size[0]), float(size[1]), float(size[2]))


def _slices(raw: Path) -> Iterator[np.ndarray]:
    with h5py.File(raw / "radial-phantom-16ch-NO-LICENCE" / "radial_phantom_16ch.h5") as file:
        kspace, flat = file["ksp"][()], file["coord_delay_corrected"][()]
    coord = np.zeros((*flat.shape[:2], 3), np.float32)
    coord[..., 1:] = flat[..., ::-1]
    plan, weights = Nufft(coord, (1, 192, 192), eps=1e-3), density_compensation(coord)
    yield _combined(np.stack([plan.adjoint((one * weights).astype(np.complex64))[0] for one in kspace]))
    lines, _ = _cartesian(raw)
    yield _combined(_images(lines))[:, 96:288]
    with contextlib.suppress(ImportError):
        import mapvbvd

        for name in ("gre_phantom_2ch", "gre_phantom_16ch_xa"):
            quiet = io.StringIO()
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                found = mapvbvd.mapVBVD(str(raw / "twix-cartesian" / f"{name}.dat"), quiet=True)
                image = (found[-1] if isinstance(found, list) else found).image
                image.squeeze, image.flagRemoveOS = True, True
                samples = np.moveaxis(np.asarray(image[""]).squeeze(), 1, 0)
            yield _combined(_images(samples.reshape(*samples.shape[:3], -1)[..., 0]))


def _cartesian(raw: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-space of two bottles (coil, line, sample), and the samples of the noise scan."""
    import ismrmrd

    path = raw / "ismrmrd-cartesian-UNCERTAIN-LICENCE" / "meas_cartesian_14ch_r3.h5"
    data = ismrmrd.Dataset(str(path), "dataset", False)
    kspace, noise = np.zeros((14, 144, 384), np.complex64), np.zeros(0, np.complex64)
    for number in range(data.number_of_acquisitions()):
        line = data.read_acquisition(number)
        if line.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT):
            noise = np.asarray(line.data).ravel()
        else:
            kspace[:, line.idx.kspace_encode_step_1] = line.data
    return kspace, noise


def _images(kspace: np.ndarray) -> np.ndarray:
    moved = np.fft.ifft2(np.fft.ifftshift(kspace, (-2, -1)))
    return np.fft.fftshift(moved, (-2, -1))


def _combined(images: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(np.abs(images) ** 2, axis=0))


def noise(raw: Path) -> Iterator[Image]:
    """Yield volumes of samples of the noise scan, white and smoothed."""
    rng = np.random.default_rng(0)
    _, samples = _cartesian(raw)
    samples = samples - samples.mean()
    for width in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        drawn = rng.choice(samples, (104, 104, 104))
        volume = drawn
        if width:
            volume = gaussian_filter(drawn.real, width) + 1j * gaussian_filter(drawn.imag, width)
        yield np.abs(volume).astype(np.float32), (2.0, 2.0, 2.0)


MEASURED: dict[str, Callable[[Path], Iterator[Image]]] = {
    "lungs": lungs,
    "phantoms": phantoms,
    "noise": noise,
}
