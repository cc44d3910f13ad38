"""The same file in the hands of others: the ``ismrmrd`` package, SigPy and BART reconstruct the same image.

Each program is told what its own documentation asks for and nothing of csiq's conventions but what the header
of the file says: trajectory in cycles per field of view, x y z; patient coordinates LPS.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Acquisition
from csiq.density import density_compensation
from csiq.io import read_acquisition
from csiq.nufft import Nufft
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import Truth, simulate_scan, true_smaps, write_simulated

#: About all spokes that Nyquist asks for, and a heart that breathes by 5 mm: images without much of a streak.
CONFIG = ScanConfig(seed=2, matrix=24, n_coils=3, n_spokes=700, snr=200.0, amplitude=5.0, drift=0.0)


@dataclass
class Foreign:
    """What the ``ismrmrd`` package finds in a file, readout by readout, and how it says it is to be read."""

    kspace: np.ndarray
    points: np.ndarray
    noise: np.ndarray
    read_dir: np.ndarray
    phase_dir: np.ndarray
    slice_dir: np.ndarray
    matrix: tuple[int, int, int]
    units: str
    axes: str


@dataclass
class Scan:
    """A scan as csiq and as the ``ismrmrd`` package read it from its file, and the truth."""

    scan: Acquisition
    found: Foreign
    truth: Truth

    @property
    def dcf(self) -> np.ndarray:
        """Density compensation, the same for all programs."""
        return density_compensation(self.scan.coord)

    def gridded(self) -> np.ndarray:
        """Return csiq's image of each coil."""
        nufft = Nufft(self.scan.coord, self.scan.geometry.shape)
        weighted = (self.scan.kspace * self.dcf).astype(np.complex64)
        return np.stack([np.asarray(nufft.adjoint(samples)) for samples in weighted])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    scan, truth = simulate_scan(CONFIG)
    path = tmp_path_factory.mktemp("interchange") / "scan.h5"
    write_simulated(path, scan, truth)
    return Scan(read_acquisition(path), read_with_ismrmrd(path), truth)


def read_with_ismrmrd(path: Path) -> Foreign:
    """Read imaging spokes and noise through the package alone."""
    import ismrmrd

    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=False)
    try:
        header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        readouts = [dataset.read_acquisition(n) for n in range(dataset.number_of_acquisitions())]
    finally:
        dataset.close()
    noise = [r for r in readouts if r.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)]
    kept = (ismrmrd.ACQ_IS_NOISE_MEASUREMENT, ismrmrd.ACQ_IS_NAVIGATION_DATA)
    imaging = [r for r in readouts if not any(r.is_flag_set(flag) for flag in kept)]
    said = {p.name: p.value for p in header.userParameters.userParameterString}
    size = header.encoding[0].reconSpace.matrixSize
    first = imaging[0]
    return Foreign(
        kspace=np.stack([r.data for r in imaging], axis=1),
        points=np.stack([r.traj for r in imaging]),
        noise=np.concatenate([r.data for r in noise], axis=1),
        read_dir=np.array(first.read_dir),
        phase_dir=np.array(first.phase_dir),
        slice_dir=np.array(first.slice_dir),
        matrix=(size.z, size.y, size.x),
        units=said["trajectory_units"],
        axes=said["trajectory_axes"],
    )


def difference(image: np.ndarray, expected: np.ndarray) -> float:
    """Return ||a image - expected|| / ||expected|| with the best complex factor a."""
    factor = np.vdot(image, expected) / np.vdot(image, image)
    return float(np.linalg.norm(factor * image - expected) / np.linalg.norm(expected))


def test_the_ismrmrd_package_reads_what_csiq_reads(written: Scan) -> None:
    found, scan = written.found, written.scan
    assert (found.units, found.axes) == ("cycles per field of view", "x y z")
    assert found.matrix == scan.geometry.shape
    assert np.array_equal(found.kspace, scan.kspace)
    assert np.allclose(found.points[..., ::-1], scan.coord, atol=1e-5)
    assert scan.noise is not None
    assert np.array_equal(found.noise, scan.noise)
    # LPS: x of the file runs to the patient's left if csiq's runs to the right, and so on
    directions = np.stack([found.read_dir, found.phase_dir, found.slice_dir], axis=1) * [[-1], [-1], [1]]
    assert np.allclose(directions * CONFIG.fov / CONFIG.matrix, scan.geometry.affine[:3, :3], atol=1e-4)


def test_sigpy_grids_the_same_image(written: Scan) -> None:
    import sigpy

    found = written.found
    coord = found.points[..., ::-1]  # SigPy: z y x, in cycles per field of view
    weighted = found.kspace * written.dcf
    images = sigpy.nufft_adjoint(weighted, coord, (CONFIG.n_coils, *found.matrix), oversamp=2, width=6)
    # its interpolation errs by about 1e-5 at twofold oversampling and six neighbours
    assert difference(images, written.gridded()) < 1e-3


def test_bart_grids_the_same_image(written: Scan, tmp_path: Path) -> None:
    found = written.found
    to_bart(found, written.dcf, tmp_path)
    bart(tmp_path, "nufft", "-a", "-d", sizes(found), "trajectory", "weighted", "image")
    images = read_cfl(tmp_path / "image").reshape(CONFIG.n_coils, *found.matrix)
    # its kernel errs by about a percent, most at the rim of the field of view: 1.3 % measured
    assert difference(images, written.gridded()) < 0.02


@pytest.mark.slow
def test_sense_by_sigpy_and_by_bart_is_the_truth_the_right_way_round(written: Scan, tmp_path: Path) -> None:
    import sigpy.mri

    found, smaps = written.found, true_smaps(CONFIG)
    by_sigpy = sigpy.mri.app.SenseRecon(
        found.kspace,
        smaps,
        lamda=_LAMDA,
        weights=written.dcf,
        coord=found.points[..., ::-1],
        max_iter=20,
        show_pbar=False,
    ).run()
    to_bart(found, written.dcf, tmp_path)
    write_cfl(tmp_path / "maps", smaps)
    options = ("-S", "-i", "20", "-R", f"Q:{_LAMDA}", "-w", "1", "-p", "weights", "-t", "trajectory")
    bart(tmp_path, "pics", *options, "kspace", "maps", "image")
    by_bart = read_cfl(tmp_path / "image").reshape(found.matrix)
    # the same again, in each of 20 conjugate gradient steps: 2.6 % measured
    assert difference(by_bart, by_sigpy) < 0.05
    assert written.truth.volumes is not None
    true = written.truth.volumes.mean(axis=0)
    for image in (np.abs(by_sigpy), np.abs(by_bart)):
        scores = {turn: likeness(turned(image, turn), true) for turn in turns()}
        assert max(scores, key=scores.__getitem__) == ((0, 1, 2), (1, 1, 1))
        assert scores[(0, 1, 2), (1, 1, 1)] > 0.88  # ringing at 8.7 mm; 0.925 measured
        assert sorted(scores.values())[-2] < 0.75  # 0.60: no other of the 48 comes near


_LAMDA = 0.01

Turn = tuple[tuple[int, ...], tuple[int, ...]]


def turns() -> list[Turn]:
    """Return all 48 ways in which the axes of a cube may be swapped and flipped."""
    orders = itertools.permutations(range(3))
    return list(itertools.product(orders, itertools.product((1, -1), repeat=3)))


def turned(image: np.ndarray, turn: Turn) -> np.ndarray:
    """Return an image with its axes swapped and flipped about voxel n // 2."""
    order, signs = turn
    image = image.transpose(order)
    for axis, sign in enumerate(signs):
        image = image if sign > 0 else np.roll(np.flip(image, axis), 1, axis)
    return image


def likeness(image: np.ndarray, true: np.ndarray) -> float:
    """Return the correlation within the middle of the field of view."""
    inside = (slice(3, -3),) * 3
    return float(np.corrcoef(image[inside].ravel(), true[inside].ravel())[0, 1])


def bart(folder: Path, *words: str) -> None:
    """Run a BART command in a folder, or skip where there is no BART."""
    if shutil.which("bart") is None:
        pytest.skip("the `bart` command is not on this machine")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bart", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def to_bart(found: Foreign, dcf: np.ndarray, folder: Path) -> None:
    """Convert to BART's files, in which the first axis varies fastest.

    Trajectory (3, samples, spokes), x y z in cycles per field of view; k-space (1, samples, spokes, coils).
    """
    write_cfl(folder / "trajectory", found.points)
    write_cfl(folder / "kspace", found.kspace[..., None])
    write_cfl(folder / "weighted", (found.kspace * dcf)[..., None])
    write_cfl(folder / "weights", np.sqrt(dcf)[..., None])


def sizes(found: Foreign) -> str:
    """Return the image's size as BART takes it, x first."""
    return ":".join(str(n) for n in found.matrix[::-1])


def write_cfl(path: Path, values: np.ndarray) -> None:
    """Write an array, first axis last: NumPy's order is the reverse of BART's."""
    values = np.ascontiguousarray(values, np.complex64)
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{' '.join(map(str, values.shape[::-1]))}\n")
    values.tofile(path.with_suffix(".cfl"))


def read_cfl(path: Path) -> np.ndarray:
    """Return an array with BART's dimensions in reverse."""
    counts = path.with_suffix(".hdr").read_text().splitlines()[1].split()
    return np.fromfile(path.with_suffix(".cfl"), np.complex64).reshape([int(n) for n in counts][::-1])
