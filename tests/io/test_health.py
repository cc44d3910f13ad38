"""What `csiq info` and `csiq check` say about a scan."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.io import ReadOptions, read_acquisition
from csiq.io.health import describe, findings, is_centre_out
from csiq.trajectory import phyllotaxis, radial_coord
from tests.io.files import random_kspace


def words(scan: Acquisition, level: str = "warning") -> list[str]:
    return [f.what for f in findings(scan) if f.level == level]


def test_a_scan_is_described(raw: Path, scan: Acquisition) -> None:
    said = describe(read_acquisition(raw))
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["name"] == "scan.h5"
    assert said["dimensions"] == 3
    assert (said["n_coils"], said["n_spokes"], said["n_samples"]) == (3, 78, 32)
    assert said["matrix"] == [16, 16, 16]
    assert said["voxel_size_mm"] == [2.0, 2.0, 2.0]
    assert said["nyquist_fraction"] == pytest.approx(78 / (np.pi / 2 * 256), rel=0.05)
    assert said["triggered"] is True
    assert said["n_heartbeats"] == 13
    assert said["spokes_per_heartbeat"] == 6
    assert said["heartbeat_s"] == pytest.approx(0.83)
    assert said["duration_s"] == pytest.approx(12 * 0.83 + 6 * 3.1e-3)
    assert said["TR_s"] == pytest.approx(3.1e-3)
    assert said["n_navigators"] == 13
    assert said["n_noise_samples"] == 70
    assert said["orientation_known"] is True
    assert said["centre_out"] is False
    assert said["trajectory_unit"] == "cycles/fov"
    assert said["system"]["field_T"] == 1.5
    assert said["warnings"] == []
    bare = describe(replace(scan, system={}, triggered=False, navigators=None, noise=None))
    assert bare["heartbeat_s"] is None
    assert bare["TR_s"] == pytest.approx(3.1e-3)
    assert bare["n_navigators"] == bare["n_noise_samples"] == 0


def test_a_sound_scan_has_no_warning(scan: Acquisition) -> None:
    assert words(scan) == []
    # ten seconds are short, and said so
    assert words(scan, "note") == ["10.0 s are too short to sort by breathing"]


def test_the_readers_warnings_come_first(scan: Acquisition) -> None:
    assert words(scan.with_warnings("odd"))[0] == "odd"


def test_silent_coils(scan: Acquisition) -> None:
    quiet = scan.kspace * np.array([1, 1e-4, 1], np.float32)[:, None, None]
    assert words(replace(scan, kspace=quiet)) == ["coils without signal: 1"]


def test_one_coil_without_noise(scan: Acquisition) -> None:
    one = replace(scan, kspace=scan.kspace[:1], noise=None, navigators=None)
    assert any("one coil" in w for w in words(one, "note"))
    assert any("no SI spokes" in w for w in words(one, "note"))
    assert any("not whitened" in w for w in words(replace(scan, noise=None), "note"))


def test_too_few_spokes(scan: Acquisition) -> None:
    few = slice(0, 12)
    scan = replace(
        scan, kspace=scan.kspace[:, few], coord=scan.coord[few], times=scan.times[few],
        heartbeat=scan.heartbeat[few],
    )  # fmt: skip
    assert any(re.search(r"12 spokes are [23]\.\d % of Nyquist", w) for w in words(scan))


def test_missed_triggers(scan: Acquisition) -> None:
    late = np.cumsum(np.where(np.arange(13) % 4 == 3, 1.9, 0.8))
    assert words(scan) == []
    assert words(replace(scan, times=late[scan.heartbeat])) == [
        "3 of 12 heartbeats follow after a pause of 1.8 RR or more"
    ]


def test_heartbeats_without_navigator(scan: Acquisition) -> None:
    assert scan.navigators is not None
    lost = replace(
        scan.navigators,
        kspace=scan.navigators.kspace[:, 2:],
        times=scan.navigators.times[2:],
        heartbeat=scan.navigators.heartbeat[2:],
        coord=None,
    )
    assert words(replace(scan, navigators=lost)) == ["2 of 13 heartbeats have no SI spoke"]


def test_interleaves_that_are_no_fibonacci_number(rng: np.random.Generator) -> None:
    def made(n: int) -> Acquisition:
        coord = radial_coord(phyllotaxis(n, 10), 16, 32)
        beat = np.repeat(np.arange(n), 10)
        return Acquisition(
            random_kspace(rng, (3, n * 10, 32)), coord, beat * 0.8, beat, Geometry((16,) * 3, (32.0,) * 3)
        )

    assert any("20 interleaves" in w for w in words(made(20), "note"))
    assert not any("interleaves" in w for w in words(made(21), "note"))


def test_an_echo_off_the_centre(scan: Acquisition) -> None:
    shifted = np.roll(scan.kspace, 5, axis=-1)
    assert words(replace(scan, kspace=shifted)) == [
        "the signal peaks at sample 21, the trajectory passes the centre at sample 16"
    ]


def test_the_measured_xenon_scan(shared_data: Path) -> None:
    folder = shared_data / "raw" / "xe-lung-3d-radial"
    options = ReadOptions(trajectory=f"{folder / 'xe_lung_3d_radial.h5'}:/coord", echo=0)
    scan = read_acquisition(folder / "xe_dixon_twix.dat", options)
    assert is_centre_out(scan)
    said = describe(scan)
    assert said["centre_out"] is True
    assert said["duration_s"] == pytest.approx(14.985)
    # 1000 half spokes are 500 diameters
    assert said["nyquist_fraction"] == pytest.approx(500 / (np.pi / 2 * 64**2), rel=1e-3)
    assert not any("peaks" in w for w in words(scan))
    assert any("orientation" in w for w in words(scan, "note"))
