"""Raw scans from format to format: samples to the bit, trajectory, times, place in the patient."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition, Navigators
from csiq.convert import ConvertOptions, convert
from csiq.errors import ConfigError, OutputError, RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.cfl import read_cfl, write_cfl
from csiq.io.ismrmrd import write_ismrmrd
from csiq.trajectory import golden_angle_2d, phyllotaxis, radial_coord
from tests.io.files import oblique_geometry, random_kspace

N = 16


@pytest.fixture
def scan(rng: np.random.Generator) -> Acquisition:
    """Return a triggered phyllotaxis with SI spokes and noise, on an oblique volume."""
    coord = radial_coord(phyllotaxis(13, 6), N, 2 * N)
    si = radial_coord(np.tile([[1.0, 0.0, 0.0]], (13, 1)), N, 2 * N)
    beat = np.repeat(np.arange(13), 6)
    return Acquisition(
        kspace=random_kspace(rng, (3, *coord.shape[:2])),
        coord=coord,
        times=beat * 0.83 + (1 + np.tile(np.arange(6), 13)) * 3.1e-3,
        heartbeat=beat,
        geometry=oblique_geometry(),
        navigators=Navigators(
            random_kspace(rng, (3, *si.shape[:2])), np.arange(13) * 0.83, np.arange(13), si
        ),
        noise=0.01 * random_kspace(rng, (3, 1, 70))[:, 0],
        triggered=True,
        system={"field_T": 1.5, "vendor": "none"},
    )


def assert_same(found: Acquisition, scan: Acquisition) -> None:
    assert found.navigators is not None
    assert scan.navigators is not None
    np.testing.assert_array_equal(found.kspace, scan.kspace)
    np.testing.assert_array_equal(found.coord, scan.coord)
    np.testing.assert_array_equal(found.navigators.kspace, scan.navigators.kspace)
    np.testing.assert_array_equal(found.navigators.coord, scan.navigators.coord)
    np.testing.assert_array_equal(found.heartbeat, scan.heartbeat)
    np.testing.assert_array_equal(found.noise, scan.noise)
    np.testing.assert_allclose(found.times, scan.times - scan.times.min() + 3.1e-3, atol=1e-6)
    np.testing.assert_allclose(found.geometry.affine, scan.geometry.affine, atol=1e-4)
    assert found.geometry.known
    assert found.triggered


def test_ismrmrd_to_bart_and_back(scan: Acquisition, tmp_path: Path) -> None:
    write_ismrmrd(tmp_path / "scan.h5", scan)
    convert(tmp_path / "scan.h5", tmp_path / "b.cfl")
    assert read_cfl(tmp_path / "b").shape == (3, 78, 32, 1)
    assert (tmp_path / "b.hdr").read_text().splitlines()[1] == "1 32 78 3"
    trajectory = read_cfl(tmp_path / "b_traj")
    assert (tmp_path / "b_traj.hdr").read_text().splitlines()[1] == "3 32 78"
    # BART's units: x first, the edge at half the matrix
    np.testing.assert_array_equal(trajectory.real, scan.coord[..., ::-1])
    assert np.abs(trajectory.real).max() == pytest.approx(N / 2, rel=0.01)
    convert(tmp_path / "b.cfl", tmp_path / "again.h5")
    for name in ("b.cfl", "again.h5"):
        assert_same(read_acquisition(tmp_path / name), scan)


def test_nothing_is_overwritten(scan: Acquisition, tmp_path: Path) -> None:
    write_ismrmrd(tmp_path / "scan.h5", scan)
    (tmp_path / "b_traj.cfl").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"b_traj.cfl: exists already"):
        convert(tmp_path / "scan.h5", tmp_path / "b.cfl")
    with pytest.raises(OutputError, match=r"scan.h5: is the input"):
        convert(tmp_path / "scan.h5", tmp_path / "scan.h5", ConvertOptions(overwrite=True))
    assert (tmp_path / "b_traj.cfl").read_bytes() == b"precious"
    with pytest.raises(ConfigError, match="NIfTI holds images, the input is a raw scan; csiq recon"):
        convert(tmp_path / "scan.h5", tmp_path / "a.nii")


def test_files_of_bart_itself(tmp_path: Path, rng: np.random.Generator) -> None:
    # as `bart traj -x 16 -y 40 -r` and `bart phantom -t` make them: no JSON, half-sample offset
    radius = np.arange(N) - N / 2 + 0.5
    directions = golden_angle_2d(40)
    coord = directions[:, None, :] * radius[None, :, None]
    kspace = random_kspace(rng, (4, 40, N))
    write_cfl(tmp_path / "t", coord[..., ::-1])
    write_cfl(tmp_path / "k", kspace[..., None])
    with pytest.raises(RawDataError, match=r"no trajectory: there is no k_traj.cfl"):
        read_acquisition(tmp_path / "k.cfl")
    with pytest.raises(ConfigError, match=r"does not say its field of view"):
        read_acquisition(tmp_path / "k.cfl", ReadOptions(trajectory=str(tmp_path / "t.cfl")))
    read = ReadOptions(trajectory=str(tmp_path / "t.cfl"), fov=(8.0, 320.0, 320.0), tr=5.0)
    record = convert(tmp_path / "k.cfl", tmp_path / "scan.h5", ConvertOptions(read=read)).record
    assert record["geometry"]["matrix"] == [1, N, N]
    found = read_acquisition(tmp_path / "scan.h5")
    np.testing.assert_array_equal(found.kspace, kspace)
    np.testing.assert_allclose(found.coord, coord, atol=1e-5)
    np.testing.assert_allclose(np.diff(found.times), 5e-3, atol=1e-6)
    assert found.geometry.fov == (8.0, 320.0, 320.0)
    assert not found.geometry.known


def test_plain_arrays(tmp_path: Path, rng: np.random.Generator) -> None:
    coord = radial_coord(phyllotaxis(13, 6), N, 2 * N)
    kspace = random_kspace(rng, (2, *coord.shape[:2]))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"], file["coord"] = kspace, coord
        file["times"] = np.arange(len(coord)) * 4e-3
        file.attrs["fov_mm"] = (200.0, 200.0, 200.0)
    found = read_acquisition(tmp_path / "a.h5")
    np.testing.assert_array_equal(found.kspace, kspace)
    np.testing.assert_array_equal(found.coord, coord)
    assert found.geometry.shape == (N, N, N)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.attrs["fov_mm"] = 180.0
        file.move("coord", "k_measured")
    given = ReadOptions(trajectory=f"{tmp_path / 'a.h5'}:/k_measured")
    assert read_acquisition(tmp_path / "a.h5", given).geometry.fov == (180.0,) * 3
    with pytest.raises(RawDataError, match=r"--trajectory a\.h5:DATASET, one of: /k_measured"):
        read_acquisition(tmp_path / "a.h5")
    for wrong in (-1.0, (200.0, 200.0), np.nan):
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file.attrs["fov_mm"] = wrong
        with pytest.raises(RawDataError, match="expected one or three lengths"):
            read_acquisition(tmp_path / "a.h5", given)
    np.save(tmp_path / "k.npy", kspace)
    np.save(tmp_path / "t.npy", coord / N)
    read = ReadOptions(trajectory=str(tmp_path / "t.npy"), fov=(200.0,) * 3)
    with pytest.raises(RawDataError, match=r"cycles per pixel\?\); multiply it with the matrix"):
        read_acquisition(tmp_path / "k.npy", read)


def test_the_measured_scans_of_plain_arrays(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "raw" / "xe-lung-3d-radial" / "xe_lung_3d_radial.h5"
    with pytest.raises(
        ConfigError, match="holds 2 arrays of k-space; --group, one of: ksp_dissolved, ksp_gas"
    ):
        read_acquisition(source)
    read = ReadOptions(group="ksp_gas", tr=15.0)  # its fov_mm is one length
    convert(source, tmp_path / "scan.h5", ConvertOptions(read=read))
    found = read_acquisition(tmp_path / "scan.h5")
    assert found.geometry.fov == (400.0,) * 3
    with h5py.File(source) as file:
        np.testing.assert_array_equal(found.kspace, file["ksp_gas"][()])
        np.testing.assert_allclose(found.coord, file["coord"][()], atol=1e-6)


def test_a_measured_twix_scan_to_ismrmrd_and_bart(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "raw" / "xe-lung-3d-radial"
    read = ReadOptions(trajectory=f"{folder / 'xe_lung_3d_radial.h5'}:/coord", echo=0)
    straight = read_acquisition(folder / "xe_dixon_twix.dat", read)
    convert(folder / "xe_dixon_twix.dat", tmp_path / "scan.h5", ConvertOptions(read=read))
    convert(tmp_path / "scan.h5", tmp_path / "b.cfl")
    for name in ("scan.h5", "b.cfl"):
        found = read_acquisition(tmp_path / name)
        np.testing.assert_array_equal(found.kspace, straight.kspace)
        np.testing.assert_array_equal(found.coord, straight.coord)
        np.testing.assert_allclose(found.times, straight.times, atol=1e-6)
        assert found.geometry.shape == straight.geometry.shape
        assert not found.geometry.known


#: What a header says of a person, and what of it a conversion may keep where it is asked to.
PERSON = {
    "patientName": "Mustermann^Erika",
    "patientID": "PAT4711",
    "patientBirthdate": "1954-02-03",
    "studyDate": "2024-05-06",
    "accessionNumber": "ACC0815",
    "protocolName": "heart of Erika",
    "frameOfReferenceUID": "1.2.276.0.99",
}


def everything_in(folder: Path) -> bytes:
    """Return what stands in all files of a folder, their names too."""
    return b"".join(str(path.name).encode() + path.read_bytes() for path in sorted(folder.rglob("*.*")))


@pytest.mark.parametrize("keep", [False, True])
def test_who_was_scanned_is_kept_only_when_asked(scan: Acquisition, tmp_path: Path, keep: bool) -> None:
    write_ismrmrd(tmp_path / "scan.h5", replace(scan, system={**scan.system, **PERSON}))
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    asked = ConvertOptions(read=ReadOptions(keep_identifiers=keep))
    convert(tmp_path / "scan.h5", tmp_path / "one" / "b.cfl", asked)
    convert(tmp_path / "one" / "b.cfl", tmp_path / "two" / "again.h5", asked)
    for folder in ("one", "two"):
        told = everything_in(tmp_path / folder)
        for word in (*PERSON.values(), str(tmp_path), os.uname().nodename):
            assert (word.encode() in told) == (keep and word in PERSON.values()), (folder, word)
    assert {
        k: v for k, v in read_acquisition(tmp_path / "two" / "again.h5").system.items() if k in PERSON
    } == {}
    # What was kept once is not kept for ever
    convert(tmp_path / "one" / "b.cfl", tmp_path / "three" / "c.h5")
    convert(tmp_path / "two" / "again.h5", tmp_path / "three" / "d.cfl")
    told = everything_in(tmp_path / "three")
    assert not [word for word in PERSON.values() if word.encode() in told]


def test_what_is_kept_is_by_the_schema(scan: Acquisition, tmp_path: Path) -> None:
    number = {"accessionNumber": "47110815"}  # a number, says the schema
    write_ismrmrd(tmp_path / "scan.h5", replace(scan, system={**scan.system, **PERSON, **number}))
    found = read_acquisition(tmp_path / "scan.h5", ReadOptions(keep_identifiers=True, strict=True))
    assert {name: found.system[name] for name in PERSON} == PERSON | number
