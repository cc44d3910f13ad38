"""ISMRMRD files: the round trip, what other programs see, and what files of other programs mean."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.ismrmrd import read_ismrmrd, write_ismrmrd
from csiq.io.ismrmrd_package import from_ismrmrd
from csiq.trajectory import golden_angle_2d, phyllotaxis, radial_coord, stack_of_stars
from tests.io.files import blobs, edit_rows, edit_xml, imaging, oblique_geometry, random_kspace


def test_round_trip_keeps_everything(scan: Acquisition, raw: Path) -> None:
    back = read_acquisition(raw)
    np.testing.assert_array_equal(back.kspace, scan.kspace)
    np.testing.assert_array_equal(back.coord, scan.coord)
    np.testing.assert_array_equal(back.heartbeat, scan.heartbeat)
    np.testing.assert_array_equal(back.noise, scan.noise)
    # microseconds are stored whole
    np.testing.assert_allclose(back.times, scan.times, atol=1e-6)
    np.testing.assert_allclose(back.geometry.affine, scan.geometry.affine, atol=1e-4)
    assert back.geometry.shape == scan.geometry.shape
    assert back.geometry.fov == scan.geometry.fov
    assert back.triggered
    assert back.geometry.known
    assert back.warnings == ()
    assert back.name == "scan.h5"
    assert len(back.sha256) == 64
    for key, value in scan.system.items():
        assert back.system[key] == pytest.approx(value)


def test_round_trip_keeps_navigators(scan: Acquisition, raw: Path) -> None:
    back, nav = read_ismrmrd(raw).navigators, scan.navigators
    assert back is not None
    assert nav is not None
    np.testing.assert_array_equal(back.kspace, nav.kspace)
    np.testing.assert_array_equal(back.coord, nav.coord)
    np.testing.assert_array_equal(back.heartbeat, nav.heartbeat)
    np.testing.assert_allclose(back.times, nav.times, atol=1e-6)


def test_the_ismrmrd_package_reads_it(scan: Acquisition, raw: Path) -> None:
    with ismrmrd.Dataset(raw, mode="r") as dataset:
        header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        n = dataset.number_of_acquisitions()
        acquisitions = [dataset.read_acquisition(i) for i in range(n)]
    encoding = header.encoding[0]
    assert encoding.trajectory.value == "radial"
    assert (encoding.reconSpace.matrixSize.x, encoding.reconSpace.fieldOfView_mm.z) == (16, 32.0)
    # twofold readout oversampling: twice the field of view, the same voxels
    assert (encoding.encodedSpace.matrixSize.x, encoding.encodedSpace.fieldOfView_mm.x) == (32, 64.0)
    assert encoding.encodingLimits.kspace_encoding_step_1.maximum == scan.n_spokes - 1
    assert encoding.encodingLimits.segment.maximum == 12
    said = {p.name: p.value for p in header.userParameters.userParameterString}
    assert said["trajectory_units"] == "cycles per field of view"
    assert said["trajectory_axes"] == "x y z"
    noise = [a for a in acquisitions if a.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)]
    navigators = [a for a in acquisitions if a.is_flag_set(ismrmrd.ACQ_IS_NAVIGATION_DATA)]
    spokes = [a for a in acquisitions if a not in noise and a not in navigators]
    assert (len(noise), len(navigators), len(spokes)) == (3, 13, 78)
    assert acquisitions[:3] == noise
    assert acquisitions[3] == navigators[0]
    assert acquisitions[-1].is_flag_set(ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    _check_acquisition(spokes[20], scan, 20)


def _check_acquisition(acquisition: ismrmrd.Acquisition, scan: Acquisition, spoke: int) -> None:
    np.testing.assert_array_equal(acquisition.data, scan.kspace[:, spoke])
    np.testing.assert_array_equal(acquisition.traj, scan.coord[spoke, :, ::-1])
    assert acquisition.center_sample == 16
    assert acquisition.sample_time_us == pytest.approx(2.0)
    assert acquisition.idx.kspace_encode_step_1 == spoke
    assert acquisition.idx.segment == scan.heartbeat[spoke]
    assert acquisition.acquisition_time_stamp == round(scan.times[spoke] / 2.5e-3)
    assert acquisition.physiology_time_stamp[0] <= 8
    assert acquisition.isChannelActive(2)
    assert not acquisition.isChannelActive(3)
    directions = np.array([acquisition.read_dir, acquisition.phase_dir, acquisition.slice_dir])
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-6)
    # x runs along the readout direction, LPS: the first two components flip against the RAS affine
    np.testing.assert_allclose(directions[0] * [-2, -2, 2], scan.geometry.affine[:3, 0], atol=1e-6)
    centre = scan.geometry.affine @ [8, 8, 8, 1]
    np.testing.assert_allclose(np.array(acquisition.position) * [-1, -1, 1], centre[:3], atol=1e-5)


def test_a_foreign_file_is_understood(scan: Acquisition, foreign: Path) -> None:
    back = read_ismrmrd(foreign)
    np.testing.assert_array_equal(back.coord, scan.coord)
    assert any("unit cycles/fov, found from" in w for w in back.warnings)
    # ticks of 2.5 ms
    np.testing.assert_allclose(back.times, scan.times, atol=1.3e-3)
    np.testing.assert_array_equal(back.heartbeat, scan.heartbeat)
    assert back.triggered


def test_heartbeats_without_navigators_come_from_the_trigger(foreign: Path, scan: Acquisition) -> None:
    edit_rows(foreign, lambda rows: rows[imaging(rows)])
    back = read_ismrmrd(foreign)
    assert back.navigators is None
    assert back.noise is None
    np.testing.assert_array_equal(back.heartbeat, scan.heartbeat)

    def forget(rows: np.ndarray) -> None:
        rows["head"]["physiology_time_stamp"] = 0

    edit_rows(foreign, forget)
    np.testing.assert_array_equal(read_ismrmrd(foreign).heartbeat, scan.heartbeat)


def test_a_continuous_scan_is_not_triggered(scan: Acquisition, tmp_path: Path) -> None:
    even = np.arange(scan.n_spokes) * 5e-3
    flat = replace(scan, times=even, heartbeat=np.zeros(scan.n_spokes, int), navigators=None, triggered=False)
    path = tmp_path / "continuous.h5"
    write_ismrmrd(path, flat)
    back = read_ismrmrd(path)
    assert not back.triggered
    np.testing.assert_allclose(back.times, even, atol=1e-9)
    edit_xml(path, lambda xml: xml[: xml.index("<userParameters>")] + "</ismrmrdHeader>")
    back = read_ismrmrd(path)
    assert not back.triggered
    assert not back.heartbeat.any()


def test_a_scan_over_midnight_goes_on(foreign: Path, scan: Acquisition) -> None:
    def late(rows: np.ndarray) -> None:
        ticks = rows["head"]["acquisition_time_stamp"]
        rows["head"]["acquisition_time_stamp"] = (ticks.astype(np.int64) + 34_560_000 - 2000) % 34_560_000

    edit_rows(foreign, late)
    np.testing.assert_allclose(read_ismrmrd(foreign).times, scan.times, atol=1.3e-3)


def test_missing_time_stamps_are_said(foreign: Path) -> None:
    def forget(rows: np.ndarray) -> None:
        rows["head"]["acquisition_time_stamp"] = 7

    edit_rows(foreign, forget)
    back = read_ismrmrd(foreign)
    assert any("no time stamps" in w for w in back.warnings)
    assert np.all(np.diff(back.times) > 0)


def test_discarded_samples_are_left_out(scan: Acquisition, tmp_path: Path) -> None:
    path = tmp_path / "discard.h5"
    write_ismrmrd(path, scan, discard=(3, 2))
    back = read_ismrmrd(path)
    np.testing.assert_array_equal(back.kspace, scan.kspace[..., 3:-2])
    np.testing.assert_array_equal(back.coord, scan.coord[:, 3:-2])
    assert back.warnings == ()


def test_a_wrong_centre_sample_is_said(raw: Path) -> None:
    def shift(rows: np.ndarray) -> None:
        rows["head"]["center_sample"] = 10

    edit_rows(raw, shift)
    assert any("center_sample is 10" in w for w in read_ismrmrd(raw).warnings)


def test_echoes_are_asked_for(raw: Path, scan: Acquisition) -> None:
    def two(rows: np.ndarray) -> None:
        rows["head"]["idx"]["contrast"][imaging(rows)[1::2]] = 1

    edit_rows(raw, two)
    with pytest.raises(ConfigError, match="holds 2 echoes; --echo, one of: 0, 1"):
        read_ismrmrd(raw)
    back = read_ismrmrd(raw, ReadOptions(echo=1))
    np.testing.assert_array_equal(back.kspace, scan.kspace[:, 1::2])
    np.testing.assert_array_equal(back.times, read_ismrmrd(raw, ReadOptions(echo=1)).times)
    with pytest.raises(ConfigError, match="no echo 2"):
        read_ismrmrd(raw, ReadOptions(echo=2))


def test_readouts_of_other_kinds_are_left_out_and_said(raw: Path, scan: Acquisition) -> None:
    def correct(rows: np.ndarray) -> None:
        rows["head"]["flags"][imaging(rows)[:4]] = 1 << 23

    edit_rows(raw, correct)
    back = read_ismrmrd(raw)
    assert back.n_spokes == scan.n_spokes - 4
    assert any("4 readouts left out by their flags" in w for w in back.warnings)


@pytest.mark.parametrize("n", [8, 13, 31])
def test_2d_even_and_odd_matrices(rng: np.random.Generator, tmp_path: Path, n: int) -> None:
    coord = radial_coord(golden_angle_2d(30), n, 2 * n)
    scan = Acquisition(
        kspace=random_kspace(rng, (2, 30, 2 * n)),
        coord=coord,
        times=np.arange(30) * 4e-3,
        heartbeat=np.zeros(30, int),
        geometry=Geometry((1, n, n), (8.0, 200.0, 200.0), oblique_geometry((1, n, n)).affine),
    )
    path = tmp_path / "flat.h5"
    # a made-up affine whose voxels do not fit the field of view would not survive: take the field's
    voxel = np.array(scan.geometry.voxel_size[::-1])
    affine = scan.geometry.affine.copy()
    affine[:3, :3] = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0) * voxel
    scan = replace(scan, geometry=replace(scan.geometry, affine=affine))
    write_ismrmrd(path, scan)
    back = read_ismrmrd(path)
    assert back.is_2d
    assert back.geometry.shape == (1, n, n)
    np.testing.assert_array_equal(back.coord, coord)
    np.testing.assert_allclose(back.geometry.affine, affine, atol=1e-4)

    def drop_z(rows: np.ndarray) -> None:
        rows["head"]["trajectory_dimensions"] = 2
        for row in rows:
            row["traj"] = row["traj"].reshape(-1, 3)[:, :2].ravel().copy()

    edit_rows(path, drop_z)
    np.testing.assert_array_equal(read_ismrmrd(path).coord, coord)


def test_stack_of_stars_with_numbered_partitions(rng: np.random.Generator, tmp_path: Path) -> None:
    directions, kz = stack_of_stars(9, 8)
    coord = radial_coord(directions, (8, 16, 16), 32)
    coord[..., 0] = kz[:, None]
    scan = Acquisition(
        kspace=random_kspace(rng, (2, 72, 32)),
        coord=coord,
        times=np.arange(72) * 4e-3,
        heartbeat=np.zeros(72, int),
        geometry=Geometry((8, 16, 16), (40.0, 80.0, 80.0), np.diag([5.0, 5.0, 5.0, 1.0])),
    )
    path = tmp_path / "stack.h5"
    write_ismrmrd(path, scan)
    np.testing.assert_array_equal(read_ismrmrd(path).coord, coord)

    def number(rows: np.ndarray) -> None:
        rows["head"]["trajectory_dimensions"] = 2
        rows["head"]["idx"]["kspace_encode_step_2"] = kz + 4
        for row in rows:
            row["traj"] = row["traj"].reshape(-1, 3)[:, :2].ravel().copy()

    edit_rows(path, number)
    edit_xml(
        path,
        lambda xml: xml.replace(
            "<kspace_encoding_step_2>\n        <minimum>0</minimum>\n        <maximum>0</maximum>\n"
            "        <center>0</center>",
            "<kspace_encoding_step_2><minimum>0</minimum><maximum>7</maximum><center>4</center>",
        ),
    )
    np.testing.assert_allclose(read_ismrmrd(path).coord, coord, atol=1e-6)


def test_matrix_crops_k_space_and_keeps_the_field_of_view(raw: Path, scan: Acquisition) -> None:
    back = read_ismrmrd(raw, ReadOptions(matrix=10))
    assert back.geometry.shape == (10, 10, 10)
    assert back.geometry.fov == scan.geometry.fov
    assert np.abs(back.coord).max() <= 5.001
    assert np.linalg.norm(back.coord, axis=-1).max() > 4.9
    np.testing.assert_array_equal(back.kspace, scan.kspace[..., 6:27])
    # the centre of k-space stays where it was in the patient
    was = scan.geometry.affine @ [8, 8, 8, 1]
    np.testing.assert_allclose(back.geometry.affine @ [5, 5, 5, 1], was, atol=1e-4)
    with pytest.raises(ConfigError, match="larger than the acquired 16"):
        read_ismrmrd(raw, ReadOptions(matrix=20))


def test_the_acquired_matrix_wins_over_the_interpolated(raw: Path) -> None:
    def interpolate(xml: str) -> str:
        head, tail = xml.split("<reconSpace>")
        return head + "<reconSpace>" + tail.replace(">16<", ">32<")

    edit_xml(raw, interpolate)
    back = read_ismrmrd(raw)
    assert back.geometry.shape == (16, 16, 16)
    assert any("interpolates to (32, 32, 32)" in w for w in back.warnings)


@pytest.mark.parametrize("trouble", ["zero", "skew", "nan"])
def test_an_unknown_orientation_is_said(raw: Path, trouble: str) -> None:
    def spoil(rows: np.ndarray) -> None:
        value = {"zero": 0.0, "skew": [0.6, 0.8, 0.3], "nan": np.nan}[trouble]
        rows["head"]["phase_dir"] = value

    edit_rows(raw, spoil)
    back = read_ismrmrd(raw)
    assert not back.geometry.known
    assert any("orientation" in w for w in back.warnings)
    assert abs(np.linalg.det(back.geometry.affine)) == pytest.approx(8.0)


def test_a_scan_without_orientation_stays_so(scan: Acquisition, tmp_path: Path) -> None:
    path = tmp_path / "unknown.h5"
    write_ismrmrd(path, replace(scan, geometry=replace(scan.geometry, known=False)))
    assert not read_ismrmrd(path).geometry.known


def test_writing_refuses_what_the_format_cannot_number(scan: Acquisition, tmp_path: Path) -> None:
    far = replace(scan, heartbeat=scan.heartbeat * 10_000)
    with pytest.raises(ShapeError, match="heartbeats, ISMRMRD counts to 65535"):
        write_ismrmrd(tmp_path / "far.h5", far)
    assert list(tmp_path.iterdir()) == []


def test_integers_are_cast(raw: Path, scan: Acquisition) -> None:
    with h5py.File(raw, "r+") as file:
        rows, head = file["dataset/data"][:], file["dataset/data"].dtype["head"]
        vlen = h5py.special_dtype(vlen=np.dtype("<i2"))
        dtype = np.dtype([("head", head), ("traj", h5py.special_dtype(vlen=np.dtype("<f8"))), ("data", vlen)])
        other = np.empty(len(rows), dtype)
        other["head"] = rows["head"]
        for i, row in enumerate(rows):
            other["traj"][i] = row["traj"].astype(np.float64)
            other["data"][i] = np.rint(row["data"] * 100).astype(np.int16)
        del file["dataset/data"]
        file["dataset"].create_dataset("data", data=other, dtype=dtype)
    back = read_ismrmrd(raw)
    assert back.kspace.dtype == np.complex64
    np.testing.assert_allclose(back.kspace, 100 * scan.kspace, atol=0.71)


def test_the_measured_cartesian_file_is_refused(shared_data: Path) -> None:
    path = shared_data / "raw/ismrmrd-cartesian-UNCERTAIN-LICENCE/meas_cartesian_14ch_r3.h5"
    with pytest.raises(RawDataError, match="a Cartesian scan; csiq needs radial spokes") as caught:
        read_acquisition(path)
    assert caught.value.exit_code == 3


def test_si_spokes_that_are_not_flagged_are_found(tmp_path: Path, scan: Acquisition) -> None:
    coord = radial_coord(phyllotaxis(34, 6), 16, 32)
    si = radial_coord(np.tile([[1.0, 0.0, 0.0]], (34, 1)), 16, 32)
    beat = np.repeat(np.arange(34), 6)
    whole = replace(
        scan,
        kspace=blobs(coord, 3),
        coord=coord,
        times=0.83 * beat + 3.1e-3 * (1 + np.tile(np.arange(6), 34)),
        heartbeat=beat,
        navigators=Navigators(blobs(si, 3), 0.83 * np.arange(34), np.arange(34)),
    )
    write_ismrmrd(tmp_path / "a.h5", whole)

    def forget(rows: np.ndarray) -> None:
        rows["head"]["flags"] = np.where(rows["head"]["flags"] == 1 << 22, 0, rows["head"]["flags"])
        rows["head"]["trajectory_dimensions"], rows["head"]["center_sample"] = 0, 16
        for i in range(len(rows)):
            rows["traj"][i] = np.zeros(0, np.float32)

    edit_rows(tmp_path / "a.h5", forget)
    found = read_acquisition(tmp_path / "a.h5", ReadOptions(trajectory="phyllotaxis"))
    assert found.navigators is not None
    assert whole.navigators is not None
    np.testing.assert_array_equal(found.navigators.kspace, whole.navigators.kspace)
    np.testing.assert_array_equal(found.kspace, whole.kspace)
    np.testing.assert_allclose(found.coord, whole.coord, atol=1e-4)
    np.testing.assert_array_equal(found.heartbeat, whole.heartbeat)
    told = ReadOptions(trajectory="phyllotaxis", si_spokes="none")
    assert read_acquisition(tmp_path / "a.h5", told).navigators is None


def test_the_ismrmrd_package_leaves_filters_of_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imported as if for the first time, it would have every warning shown from then on."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "ismrmrd"]:
        monkeypatch.delitem(sys.modules, name)
    before = list(warnings.filters)
    assert from_ismrmrd("hdf5").acquisition_header_dtype.itemsize == 340
    assert warnings.filters == before
    assert from_ismrmrd("xsd").ismrmrdHeader is not None
