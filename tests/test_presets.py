"""Each configuration that ships runs, at a reduced size, on the kind of scan it is for.

The signal is that of ellipsoids in closed form: nothing of the simulation stands behind it. What moves moves
as the test says, and the phases must follow.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.config import load_config
from csiq.io.ismrmrd_write import write_ismrmrd
from csiq.pipeline import reconstruct
from csiq.presets import preset_names
from csiq.result import Result
from csiq.scan_file import read_scan
from csiq.trajectory import golden_means_3d, named_trajectory, radial_coord
from tests.delays.ellipsoids import kspace_of
from tests.fakes import ScriptedGrader

N = 24
SHAPE = (N, N, N)


def inspiration(times: np.ndarray) -> np.ndarray:
    """Return 0 at end-expiration, where the object dwells, and 1 at end-inspiration."""
    return np.sin(np.pi * times / 4.1) ** 4


def signal_of(coord: np.ndarray, times: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Return ellipsoids that go a twelfth of the field of view towards the feet, and lose signal there."""
    moved = inspiration(times)[:, None]
    ramp = np.exp(2j * np.pi * coord[..., axis] * moved / 12) * (1 - 0.2 * moved)
    return (kspace_of(coord, flat=not coord[..., 0].any()) * ramp).astype(np.complex64)


def whole_heart() -> Acquisition:
    """Return 55 triggered heartbeats of 11 spokes by spiral phyllotaxis, an SI spoke before each burst."""
    n_beats, each = 55, 11
    coord = named_trajectory("phyllotaxis", n_beats * each, 2 * N, SHAPE, n_interleaves=n_beats)
    beat = np.repeat(np.arange(n_beats), each)
    times = 0.83 * beat + 0.003 * np.tile(np.arange(each) + 1, n_beats)
    line = np.repeat(radial_coord(np.array([[1.0, 0.0, 0.0]]), SHAPE, 2 * N), n_beats, axis=0)
    leading = 0.83 * np.arange(n_beats)
    navigators = Navigators(signal_of(line, leading), leading, np.arange(n_beats), line)
    geometry = Geometry(SHAPE, (208.0,) * 3)
    kspace = signal_of(coord, times)
    return Acquisition(kspace, coord, times, beat, geometry, navigators=navigators, triggered=True)


def slice_2d() -> Acquisition:
    """Return one axial slice by golden angles, 24 s."""
    coord = named_trajectory("golden2d", 3000, 2 * N, (1, N, N))
    times = 0.008 * np.arange(len(coord))
    geometry = Geometry((1, N, N), (8.0, 208.0, 208.0))
    return Acquisition(signal_of(coord, times, axis=1), coord, times, np.arange(3000) // 30, geometry)


def liver() -> Acquisition:
    """Return a stack of 12 partitions, all of them of an angle before the next one, 29 s."""
    shape = (12, N, N)
    coord = named_trajectory("stack-of-stars", 120 * 12, 2 * N, shape)
    times = 0.02 * np.arange(len(coord))
    geometry = Geometry(shape, (208.0,) * 3)
    return Acquisition(signal_of(coord, times), coord, times, np.arange(1440) // 12, geometry)


def heart_beat(times: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 1.18 * times)


def gas() -> Acquisition:
    """Return 1000 half spokes of one coil whose signal decays and oscillates with the heart, 15 s."""
    coord = radial_coord(golden_means_3d(1000), SHAPE, N, centre_out=True)
    times = 0.015 * np.arange(1000)
    course = np.exp(-times / 6) * (1 + 0.1 * heart_beat(times))
    kspace = (kspace_of(coord)[:1] * course[:, None]).astype(np.complex64)
    return Acquisition(kspace, coord, times, np.arange(1000) // 50, Geometry(SHAPE, (400.0,) * 3))


SCANS = {
    "whole-heart": whole_heart,
    "whole-heart-fast": whole_heart,
    "radial-2d": slice_2d,
    "liver-stack-of-stars": liver,
    "xenon-lung": gas,
}


def reconstructed(preset: str, folder: Path) -> tuple[Acquisition, Result]:
    """Return a scan that went through a file, and what the preset makes of it."""
    config = load_config(preset, overrides={"max_iter": 3, "device": "cpu", "threads": 1})
    write_ismrmrd(folder / "scan.h5", SCANS[preset]())
    scan = read_scan(config, folder / "scan.h5")
    return scan, reconstruct(scan, config, grader=ScriptedGrader([[1.0] * 4, [2.0] * 4]))


def mean_in_phases(values: np.ndarray, result: Result) -> np.ndarray:
    return np.array([values[spokes].mean() for spokes in result.bins.indices])


def test_every_preset_has_a_scan_here():
    assert set(SCANS) == set(preset_names())


@pytest.mark.parametrize("preset", sorted(set(SCANS) - {"xenon-lung"}))
def test_phases_run_from_expiration_to_inspiration(preset, tmp_path):
    scan, result = reconstructed(preset, tmp_path)
    config = load_config(preset)
    assert result.volumes.shape == (config.gating.phases, *scan.geometry.shape)
    assert result.n_coils == min(4, config.coils.coils or 4)
    assert result.signal is not None
    assert abs(np.corrcoef(result.signal.values, inspiration(scan.times))[0, 1]) > 0.95
    moved = mean_in_phases(inspiration(scan.times), result)
    # the object dwells at end-expiration: neighbours there may be alike
    assert np.all(np.diff(moved) > -0.02)
    assert moved[-1] > moved[0] + 0.5
    costs = [step.cost for step in result.history.steps]
    assert costs == sorted(costs, reverse=True)
    # along the axis of motion the last phase lies lower by what it moved
    axis = 1 if preset == "radial-2d" else 0
    lower = centre_of(result.volumes[0], axis) - centre_of(result.volumes[-1], axis)
    expected = (moved[-1] - moved[0]) * scan.geometry.shape[axis] / 12
    assert lower == pytest.approx(expected, rel=0.35)


def centre_of(volume: np.ndarray, axis: int) -> float:
    """Return the centre of mass along an axis, in voxels, of what is not background."""
    image = np.abs(volume)
    image = np.where(image > 0.2 * image.max(), image, 0)
    profile = image.sum(axis=tuple(a for a in range(3) if a != axis))
    return float(profile @ np.arange(len(profile)) / profile.sum())


def test_gas_is_followed_over_the_heart_beat(tmp_path):
    scan, result = reconstructed("xenon-lung", tmp_path)
    assert any("falls to" in warning for warning in scan.warnings)
    assert result.signal is not None
    assert result.signal.orientation == "not applicable"
    assert abs(np.corrcoef(result.signal.values, heart_beat(scan.times))[0, 1]) > 0.9
    assert np.all(np.diff(mean_in_phases(heart_beat(scan.times), result)) > 0.2)
    # low to high: the later phases hold more signal
    energy = [float(np.linalg.norm(volume)) for volume in result.volumes]
    assert energy == sorted(energy)


def test_the_quick_look_stops_by_itself_and_is_smoother():
    fast, slow = load_config("whole-heart-fast"), load_config("whole-heart")
    assert fast.stop.stop_on_plateau
    assert fast.solver.max_iter < slow.solver.max_iter
    assert fast.penalty.lamda > slow.penalty.lamda
    assert fast.coils.coils is not None
    assert slow.coils.coils is not None
    assert fast.coils.coils < slow.coils.coils


@pytest.mark.parametrize("preset", ["liver-stack-of-stars", "xenon-lung", "radial-2d"])
def test_no_network_of_hearts_decides_about_what_is_no_heart(preset):
    config = load_config(preset)
    assert config.stop.return_ == "last"
    assert not config.stop.stop_on_plateau


def test_a_whole_heart_is_what_nobody_asks_for():
    """The first preset writes the defaults down, but for the coils."""
    config = load_config("whole-heart")
    assert replace(config, coils=load_config().coils) == load_config()
