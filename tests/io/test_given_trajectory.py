"""Trajectories by name and from files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.errors import ConfigError, RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.alike import echo_peak
from csiq.io.given_trajectory import given_trajectory, orient_given, split_dataset
from csiq.trajectory import named_trajectory
from tests.io.files import random_kspace

SHAPE = (16, 16, 16)
WHERE = Geometry(SHAPE, (32.0, 32.0, 32.0))


def given(
    trajectory: str, kspace: np.ndarray, geometry: Geometry = WHERE, units: str | None = None, **more: Any
) -> np.ndarray:
    return given_trajectory(ReadOptions(trajectory=trajectory, traj_units=units), kspace, geometry, **more)


@pytest.mark.parametrize(
    ("text", "file", "dataset"),
    [
        ("a.npy", "a.npy", None),
        ("a.h5", "a.h5", None),
        ("a.h5:/coord", "a.h5", "/coord"),
        ("/x/a:/b.h5:/group/coord", "/x/a:/b.h5", "/group/coord"),
    ],
)
def test_it_splits_at_the_last(text: str, file: str, dataset: str | None) -> None:
    assert split_dataset(text) == (Path(file), dataset)


def save_npy(path: Path, coord: np.ndarray) -> str:
    np.save(path / "k.npy", coord)
    return str(path / "k.npy")


def save_h5(path: Path, coord: np.ndarray) -> str:
    with h5py.File(path / "k.h5", "w") as file:
        file["coord"] = coord
    return str(path / "k.h5")


def save_group(path: Path, coord: np.ndarray) -> str:
    with h5py.File(path / "k.h5", "w") as file:
        file["scan/k"] = coord.astype(np.float64)
    return f"{path / 'k.h5'}:/scan/k"


@pytest.mark.parametrize("save", [save_npy, save_h5, save_group])
def test_a_file_wins_over_the_stored_trajectory(
    raw: Path, scan: Acquisition, tmp_path: Path, save: Callable[[Path, np.ndarray], str]
) -> None:
    turned = np.ascontiguousarray(scan.coord[..., [1, 2, 0]])
    back = read_acquisition(raw, ReadOptions(trajectory=save(tmp_path, turned)))
    np.testing.assert_array_equal(back.coord, turned)
    assert back.navigators is not None
    assert back.navigators.coord is None
    assert any("the trajectory in the file is not used" in w for w in back.warnings)
    # its axes are not those of the stored one
    assert not back.geometry.known
    assert any("does not say how its axes lie" in w for w in back.warnings)
    back = read_acquisition(raw, ReadOptions(trajectory=save(tmp_path, scan.coord * np.float32(1.01))))
    assert back.geometry.known


def test_two_columns_are_y_x(rng: np.random.Generator, tmp_path: Path) -> None:
    coord = named_trajectory("golden2d", 20, 32, (1, 16, 16))
    flat = Geometry((1, 16, 16), (2.0, 32.0, 32.0))
    got = given(save_npy(tmp_path, coord[..., 1:]), random_kspace(rng, (2, 20, 32)), flat)
    np.testing.assert_array_equal(got, coord)


def test_what_does_not_fit_is_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    kspace = random_kspace(rng, (2, 20, 32))
    coord = named_trajectory("golden3d", 21, 32, SHAPE)
    with pytest.raises(RawDataError, match="trajectory has 21 spokes x 32 samples, data 20 x 32"):
        given(save_npy(tmp_path, coord), kspace)
    with pytest.raises(RawDataError, match=r"expected .n_spokes, n_samples, 3., got shape"):
        given(save_npy(tmp_path, coord[0]), kspace)
    with pytest.raises(RawDataError, match="/none: no such dataset"):
        given(save_h5(tmp_path, coord) + ":/none", kspace)
    with pytest.raises(RawDataError, match="one array of real numbers"):
        given(save_npy(tmp_path, coord.astype(complex)), kspace)
    (tmp_path / "k.txt").write_text("1 2 3\n")
    with pytest.raises(RawDataError, match=r"is a text file; expected .npy or HDF5"):
        given(str(tmp_path / "k.txt"), kspace)
    with pytest.raises(ConfigError, match="'fylotaxis' is no file; did you mean 'phyllotaxis'"):
        given("fylotaxis", kspace)
    with pytest.raises(ConfigError, match="no such file"):
        given("none.h5:/coord", kspace)


def test_a_pickle_is_not_run(rng: np.random.Generator, tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RawDataError, match=r"k.npy: --trajectory: not a whole .npy of numbers"):
        given(str(tmp_path / "k.npy"), random_kspace(rng, (2, 20, 32)))


def test_heartbeats_are_the_interleaves_of_a_phyllotaxis(rng: np.random.Generator) -> None:
    kspace = random_kspace(rng, (2, 78, 32))
    told = ReadOptions(trajectory="phyllotaxis", si_spokes="none")
    got = given_trajectory(told, kspace, WHERE, heartbeat=np.repeat(np.arange(13), 6))
    np.testing.assert_array_equal(got, named_trajectory("phyllotaxis", 78, 32, SHAPE, n_interleaves=13))
    for heartbeat in (None, np.zeros(78, int), np.repeat([0, 1, 2], [5, 50, 23])):
        with pytest.raises(RawDataError, match="neither heartbeats nor the samples tell the interleaves"):
            given_trajectory(told, kspace, WHERE, heartbeat=heartbeat)


def test_a_partial_echo_is_the_end_of_a_diameter(rng: np.random.Generator) -> None:
    whole = random_kspace(rng, (2, 20, 32))
    coord = named_trajectory("golden3d", 20, 32, SHAPE)
    got = given("golden3d", whole[..., 10:], centre=6)
    np.testing.assert_array_equal(got, coord[:, 10:])
    got = given("golden3d", whole[..., :22], centre=16)
    np.testing.assert_array_equal(got, coord[:, :22])


def test_an_echo_elsewhere_is_refused(rng: np.random.Generator) -> None:
    kspace = random_kspace(rng, (2, 20, 64))
    assert echo_peak(kspace) == 32
    with pytest.raises(RawDataError, match="peaks at sample 0, a 'golden3d' spoke has its centre at 16"):
        given("golden3d", kspace[..., 32:])


def test_a_file_in_another_unit(rng: np.random.Generator, tmp_path: Path) -> None:
    kspace = random_kspace(rng, (2, 20, 32))
    coord = named_trajectory("golden3d", 20, 32, SHAPE)
    name = save_npy(tmp_path, coord / 16)
    with pytest.raises(RawDataError, match=r"should be in cycles/fov, but then .* reaches 0.0.*--traj-units"):
        given(name, kspace)
    np.testing.assert_allclose(given(name, kspace, units="cycles/pixel"), coord, atol=1e-5)
    spoiled = coord.copy()
    spoiled[3, 5, 1] = np.nan
    with pytest.raises(RawDataError, match="not finite: spoke 3, sample 5"):
        given(save_npy(tmp_path, spoiled), kspace)


def test_a_name_takes_z_along_the_slices() -> None:
    lying = Geometry(SHAPE, WHERE.fov, np.array([[2.0, 0, 0, 0], [0, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 1]]))
    assert orient_given("phyllotaxis", WHERE) == (WHERE, ())
    geometry, words = orient_given("phyllotaxis", lying)
    assert not geometry.known
    assert "is not along the slices" in words[0]
    assert not orient_given("k.npy", WHERE)[0].known
    assert orient_given("golden2d", replace(lying, shape=(1, 16, 16)))[0].known
