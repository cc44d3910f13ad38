"""Damaged, hostile and odd ISMRMRD files: each is one clear line, or a warning, never a wrong image."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition
from csiq.errors import ConfigError, CsiqError, RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.ismrmrd import write_ismrmrd
from tests.io.files import edit_rows, edit_xml, imaging


def refused(path: Path, match: str, code: int = 3, **options: object) -> CsiqError:
    """Assert that the file is refused in one line with this exit code."""
    with pytest.raises(CsiqError, match=match) as caught:
        read_acquisition(path, ReadOptions(**options))
    assert caught.value.exit_code == code
    line = caught.value.one_line()
    assert "\n" not in line
    assert path.name in line
    assert str(path.parent) not in line
    return caught.value


# A: the file


def test_missing_file_and_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nope.h5", "no such file", code=2)
    refused(tmp_path, "is a folder.*csiq cohort run takes many scans", code=2)
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: who opens it waits for ever
    refused(tmp_path / "pipe", "is no ordinary file", code=2)


def test_no_permission(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    refused(raw, "no permission")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"hello, this is no scan\n" * 9, "is a text file"),
        (b"\0" * 128 + b"DICM" + bytes(range(200)), "is a DICOM file"),
        (b"\x1f\x8b" + bytes(range(99)), "is a gzip archive"),
        (b"\0" * 600, "is a file of zeros"),
        (bytes(range(256)) * 3, "is an unknown binary file"),
    ],
)
def test_what_is_no_scan_is_named(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "scan.h5"
    path.write_bytes(content)
    refused(path, match)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_truncated_file_says_how_much_is_there(raw: Path, part: float) -> None:
    content = raw.read_bytes()
    raw.write_bytes(content[: int(part * len(content))])
    error = refused(raw, r"truncated: [\d.]+ kB of [\d.]+ kB")
    assert error.hint == "copy it again"


def test_groups_are_listed(raw: Path) -> None:
    with h5py.File(raw, "r+") as file:
        file.copy("dataset", "second")
    refused(raw, "holds 2 scans; --group, one of: dataset, second", code=2)
    assert read_acquisition(raw, ReadOptions(group="second")).n_spokes == 78
    refused(raw, "no group 'third'; found: dataset, second", code=2, group="third")
    with h5py.File(raw, "r+") as file:
        del file["dataset"]
    refused(raw, "no group 'dataset'; groups found: second; --group")


@pytest.mark.parametrize("name", ["xml", "data"])
def test_a_missing_part_is_named(raw: Path, name: str) -> None:
    with h5py.File(raw, "r+") as file:
        del file[f"dataset/{name}"]
    refused(raw, f"no dataset '{name}'")


def test_fastmri_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "fastmri.h5"
    with h5py.File(path, "w") as file:
        file["kspace"] = np.zeros((2, 3, 4), np.complex64)
    refused(path, "Cartesian fastMRI file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda xml: "not xml", "not well-formed.*line 1, column 0"),
        (lambda xml: xml[:-30], r"not well-formed.*line \d+"),
        (lambda xml: xml.replace("<x>16</x>", "<x>abc</x>"), "reconSpace/matrixSize/x: expected.*'abc'"),
        (lambda xml: xml.replace("<x>16</x>", ""), "matrixSize/x: expected a whole number, got ''"),
        (lambda xml: xml.replace("<x>16</x>", "<x>-16</x>"), "-16 is not within"),
        (lambda xml: xml.replace("<x>16</x>", "<x>99999999</x>"), "99999999 is not within"),
        (lambda xml: xml.replace("<z>16</z>", "<z>4</z>"), "matrix 4 along z is too small"),
        (lambda xml: xml.replace("<z>32.0</z>", "<z>nan</z>"), "fieldOfView_mm/z: nan is not within"),
        (lambda xml: xml.replace("<TR>3.1</TR>", "<TR>x</TR>"), "TR: expected a number, got 'x'"),
        (lambda xml: xml.replace("encoding>", "encodings>"), "no <encoding>"),
        (lambda xml: xml.replace("cycles per field of view", "furlongs"), "unit 'furlongs'"),
    ],
)
def test_a_bad_header_is_named_by_its_path(raw: Path, change: Callable[[str], str], match: str) -> None:
    edit_xml(raw, change)
    refused(raw, match)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY c "&a;&a;&a;&a;">]>',
        '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_entities_are_refused(raw: Path, doctype: str) -> None:
    edit_xml(raw, lambda xml: xml.replace("<ismrmrdHeader", doctype + "<ismrmrdHeader", 1))
    refused(raw, "declares XML entities: refused")


def test_vendor_elements_are_tolerated_unless_strict(raw: Path, scan: Acquisition) -> None:
    edit_xml(raw, lambda xml: xml.replace("<userParameters>", "<vendorThing>1</vendorThing><userParameters>"))
    back = read_acquisition(raw)
    np.testing.assert_array_equal(back.kspace, scan.kspace)
    assert back.warnings == ("header: unknown element 'vendorThing'; went on without it",)
    refused(raw, "unknown element 'vendorThing'", strict=True)


def test_names_of_people_are_not_kept(raw: Path) -> None:
    person = "<subjectInformation><patientName>Doe^Jane</patientName></subjectInformation>"
    edit_xml(raw, lambda xml: xml.replace("<measurementInformation>", person + "<measurementInformation>"))
    assert "Doe" not in repr(read_acquisition(raw))


def test_links_out_of_the_file_are_refused(raw: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    raw.rename(other)
    for link in (h5py.ExternalLink("other.h5", "/dataset"), h5py.SoftLink("/elsewhere")):
        with h5py.File(raw, "w") as file:
            file["dataset"] = link
        refused(raw, "/dataset: is a link; links are not followed")
    with h5py.File(raw, "w") as file:
        file.create_group("dataset")["xml"] = h5py.ExternalLink("other.h5", "/dataset/xml")
    refused(raw, "/dataset/xml: is a link")


def test_external_storage_and_virtual_datasets_are_refused(raw: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret" * 100)
    with h5py.File(raw, "r+") as file:
        del file["dataset/xml"]
        file["dataset"].create_dataset("xml", (1,), "S64", external=[(str(secret), 0, 64)])
    refused(raw, "external storage.*refused")
    with h5py.File(raw, "r+") as file:
        del file["dataset/xml"]
        layout = h5py.VirtualLayout((1,), "S64")
        layout[:] = h5py.VirtualSource(tmp_path / "elsewhere.h5", "xml", (1,))
        file["dataset"].create_virtual_dataset("xml", layout)
    refused(raw, "virtual dataset.*refused")


def test_an_absurd_size_is_refused_before_reading(raw: Path) -> None:
    whole = raw.read_bytes()
    with h5py.File(raw, "r+") as file:
        file["dataset/data"].resize((10**10,))
    refused(raw, r"declares 3.7 TB, .* allowed; --max-memory")
    refused(raw, r"declares 3.7 TB, holds", max_memory_bytes=10**16)

    def many(rows: np.ndarray) -> None:
        rows["head"]["active_channels"] = 60_000

    raw.write_bytes(whole)
    edit_rows(raw, many)
    refused(raw, r"headers declare 1.4 GB, the file has")


@pytest.mark.parametrize("shape", ["(4000, 100000, 10000)", "(4611686018427387904, 4611686018427387904)"])
def test_an_absurd_npy_is_refused_before_reading(tmp_path: Path, shape: str) -> None:
    head = f"{{'descr': '<c8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path = tmp_path / "scan.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(999))
    refused(path, "scan.npy: not a whole .npy of numbers", trajectory="golden3d", fov=(200.0,) * 3)
    np.save(path, np.ones((2, 9, 9), np.complex64))
    refused(path, "declares 1.3 kB, 999 B allowed", max_memory_bytes=999)


def test_memory_may_be_limited(raw: Path) -> None:
    refused(raw, r"declares [\d.]+ kB, 50.0 kB allowed", max_memory_bytes=50_000)


def test_an_unknown_filter_is_named(raw: Path) -> None:
    with h5py.File(raw, "r+") as file:
        rows, dtype = file["dataset/data"][:], file["dataset/data"].dtype
        del file["dataset/data"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((64,))
        # optional, so that HDF5 lets us write: 32015 is zstd, which is not built in
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((len(rows),))
        h5py.h5d.create(file["dataset"].id, b"data", h5py.h5t.py_create(dtype, logical=True), space, plist)
        file["dataset/data"][:] = rows
    refused(raw, "compressed with filter 32015 .*not installed")


def test_a_table_of_something_else(raw: Path) -> None:
    with h5py.File(raw, "r+") as file:
        del file["dataset/data"]
        file["dataset/data"] = np.zeros((4, 5), np.float32)
    refused(raw, "/dataset/data: is no table of ISMRMRD acquisitions")
    edit = np.zeros(3, [("head", [("flags", "u8")]), ("traj", "f4"), ("data", "f4")])
    with h5py.File(raw, "r+") as file:
        del file["dataset/data"]
        file["dataset/data"] = edit
    refused(raw, "headers lack scan_counter")


def test_an_empty_table(raw: Path) -> None:
    edit_rows(raw, lambda rows: rows[:0])
    refused(raw, "0 readouts")


# B: the samples and the trajectory


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_is_not_finite(raw: Path, scan: Acquisition, value: float) -> None:
    def spoil(rows: np.ndarray) -> None:
        row = rows[imaging(rows)[20]]
        row["data"][2 * (1 * scan.n_samples + 7)] = value

    edit_rows(raw, spoil)
    refused(raw, "sample is not finite: coil 1, spoke 20, sample 7; --drop-bad")
    back = read_acquisition(raw, ReadOptions(drop_bad=True))
    np.testing.assert_array_equal(back.kspace, np.delete(scan.kspace, 20, axis=1))
    np.testing.assert_array_equal(back.coord, np.delete(scan.coord, 20, axis=0))
    np.testing.assert_array_equal(back.heartbeat, np.delete(scan.heartbeat, 20))
    assert any("1 of 78 spokes" in w and "left out" in w for w in back.warnings)


def test_a_flipped_exponent_is_reported(raw: Path, scan: Acquisition) -> None:
    def flip(rows: np.ndarray) -> None:
        rows[imaging(rows)[20]]["data"][5] = 1e20

    edit_rows(raw, flip)
    assert any("coil 0, spoke 20" in w and "--drop-bad" in w for w in read_acquisition(raw).warnings)
    back = read_acquisition(raw, ReadOptions(drop_bad=True))
    np.testing.assert_array_equal(back.kspace, np.delete(scan.kspace, 20, axis=1))


def test_bad_navigators_and_noise(raw: Path, scan: Acquisition) -> None:
    def spoil(rows: np.ndarray) -> None:
        rows[0]["data"][3] = np.nan
        rows[3]["data"][3] = np.nan

    edit_rows(raw, spoil)
    refused(raw, "not finite: coil 0, navigator 0, sample 1")
    back = read_acquisition(raw, ReadOptions(drop_bad=True))
    assert back.navigators is not None
    assert scan.navigators is not None
    np.testing.assert_array_equal(back.navigators.kspace, scan.navigators.kspace[:, 1:])
    np.testing.assert_array_equal(back.navigators.heartbeat, scan.navigators.heartbeat[1:])
    assert back.noise is not None
    assert back.noise.shape == (3, 69)


def test_no_signal(raw: Path) -> None:
    def silence(rows: np.ndarray) -> None:
        for row in rows:
            row["data"][:] = 0

    edit_rows(raw, silence)
    refused(raw, "no signal")


def test_a_loud_coil_is_named_and_can_be_left_out(scan: Acquisition, tmp_path: Path) -> None:
    loud = scan.kspace * np.array([1, 1, 1000], np.float32)[:, None, None]
    path = tmp_path / "loud.h5"
    write_ismrmrd(path, replace(scan, kspace=loud))
    assert any(re.search(r"coil 2 is \d+ times louder", w) for w in read_acquisition(path).warnings)
    back = read_acquisition(path, ReadOptions(exclude_coil=(2,)))
    np.testing.assert_array_equal(back.kspace, scan.kspace[:2])
    assert back.navigators is not None
    assert back.navigators.kspace.shape[0] == 2
    assert back.noise is not None
    assert back.noise.shape[0] == 2
    assert back.warnings == ()
    refused_options = {"match": "no coil 7; the scan has 0 .. 2"}
    with pytest.raises(ConfigError, **refused_options):
        read_acquisition(path, ReadOptions(exclude_coil=(7,)))
    with pytest.raises(ConfigError, match="no coil is left"):
        read_acquisition(path, ReadOptions(exclude_coil=(0, 1, 2)))


def test_lost_readouts_are_counted(raw: Path) -> None:
    edit_rows(raw, lambda rows: np.delete(rows, [30, 31, 32, 60]))
    back = read_acquisition(raw)
    assert any("4 readouts lost (4.3 %, largest gap 3)" in w for w in back.warnings)
    edit_rows(raw, lambda rows: rows[:20].tolist() and np.concatenate([rows[:20], rows[60:]]))
    refused(raw, "readouts lost.*--force")
    assert read_acquisition(raw, ReadOptions(force=True)).n_spokes > 30


def test_lost_readouts_forbid_a_named_trajectory(raw: Path) -> None:
    edit_rows(raw, lambda rows: np.delete(rows, 30))
    refused(raw, "'phyllotaxis' would place the others wrongly", trajectory="phyllotaxis")


@pytest.mark.parametrize("name", ["number_of_samples", "active_channels", "trajectory_dimensions"])
def test_differing_readouts_are_named(raw: Path, name: str) -> None:
    def shrink(rows: np.ndarray) -> None:
        rows["head"][name][40] -= 1

    edit_rows(raw, shrink)
    refused(raw, f"readout 40 has {name}")


def test_a_header_that_lies_about_its_samples(raw: Path) -> None:
    def cut(rows: np.ndarray) -> None:
        rows[40]["data"] = rows[40]["data"][:-2].copy()

    edit_rows(raw, cut)
    refused(raw, "readout 40 holds 190 values, its header says 192")


def test_a_trajectory_of_other_length(raw: Path) -> None:
    def cut(rows: np.ndarray) -> None:
        rows[40]["traj"] = rows[40]["traj"][:-3].copy()

    edit_rows(raw, cut)
    refused(raw, "traj: readout 40 holds 93 values, its header says 96")


def test_no_imaging_readouts(raw: Path) -> None:
    edit_rows(raw, lambda rows: rows[:4])
    refused(raw, r"0 imaging readouts \(3 noise, 1 navigator, 0 other\)")


def test_no_trajectory(raw: Path, scan: Acquisition) -> None:
    def forget(rows: np.ndarray) -> None:
        rows["head"]["trajectory_dimensions"] = 0
        for row in rows:
            row["traj"] = np.zeros(0, np.float32)

    edit_rows(raw, forget)
    refused(raw, "no trajectory in the file.*--trajectory phyllotaxis")
    back = read_acquisition(raw, ReadOptions(trajectory="phyllotaxis"))
    np.testing.assert_allclose(back.coord, scan.coord, atol=1e-5)


def test_a_trajectory_that_is_not_finite_or_zero(raw: Path) -> None:
    def spoil(value: float, count: int | None) -> Callable[[np.ndarray], None]:
        def change(rows: np.ndarray) -> None:
            for i in imaging(rows)[:count]:
                rows[i]["traj"][4 if count else slice(None)] = value

        return change

    edit_rows(raw, spoil(np.nan, 1))
    refused(raw, "not finite: spoke 0, sample 1, axis y")
    edit_rows(raw, spoil(0.0, None))
    refused(raw, "trajectory is all zero")


def test_curves_and_cartesian_lines_are_no_spokes(raw: Path) -> None:
    def curve(rows: np.ndarray) -> None:
        t = np.linspace(0, 1, 32)
        spiral = np.stack([8 * t * np.cos(9 * t), 8 * t * np.sin(9 * t), 0 * t], axis=-1)
        for i in imaging(rows):
            rows[i]["traj"][:] = spiral.ravel()

    def line(rows: np.ndarray) -> None:
        for n, i in enumerate(imaging(rows)):
            x = np.linspace(-8, 7.5, 32)
            rows[i]["traj"][:] = np.stack([x, 0 * x + n % 16 - 8, 0 * x + n // 16 * 3 - 8], -1).ravel()

    edit_rows(raw, curve)
    refused(raw, "readouts are curved")
    edit_rows(raw, line)
    refused(raw, "Cartesian lines")


def test_several_slices_and_encodings(raw: Path) -> None:
    def slices(rows: np.ndarray) -> None:
        rows["head"]["idx"]["slice"] = np.arange(len(rows)) % 3

    def encoding(rows: np.ndarray) -> None:
        rows["head"]["idx"]["slice"] = 0
        rows["head"]["encoding_space_ref"] = 4

    edit_rows(raw, slices)
    refused(raw, "3 slices; csiq reads one slice or one volume")
    edit_rows(raw, encoding)
    refused(raw, "refer to encoding 4, the header has 1")


def test_random_damage_is_an_error_or_harmless(raw: Path, rng: np.random.Generator, tmp_path: Path) -> None:
    content = raw.read_bytes()
    # In a process of its own: the HDF5 library may fail in ways Python cannot catch
    code = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from csiq.errors import CsiqError\nfrom csiq.io import read_acquisition\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        read_acquisition(path)\n"
        "    except CsiqError as error:\n        assert error.exit_code in (2, 3), error\n"
    )
    paths = []
    for i in range(40):
        damaged = bytearray(content)
        for at in rng.integers(0, len(damaged), 4):
            damaged[at] ^= 1 << int(rng.integers(8))
        # structure sits at the start and the end of a small file
        damaged[int(rng.integers(0, 2000))] ^= 255
        paths.append(tmp_path / f"damaged-{i}.h5")
        paths[-1].write_bytes(damaged)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_options_are_checked() -> None:
    for wrong in ({"traj_units": "furlong"}, {"matrix": 4}, {"echo": -1}, {"exclude_coil": (-1,)},
                  {"max_memory_bytes": 0}):  # fmt: skip
        with pytest.raises(ConfigError):
            ReadOptions(**wrong)


def test_an_error_is_a_raw_data_error_with_a_field(raw: Path) -> None:
    with h5py.File(raw, "r+") as file:
        del file["dataset/xml"]
    with pytest.raises(RawDataError) as caught:
        read_acquisition(raw)
    assert caught.value.field == "/dataset"


def test_names_are_left_out_unless_asked_for(raw: Path, scan: Acquisition) -> None:
    subject = "<subjectInformation><patientName>Doe^Jane</patientName></subjectInformation>"
    edit_xml(
        raw,
        lambda xml: xml.replace("<acquisitionSystemInformation>", subject + "<acquisitionSystemInformation>"),
    )
    assert "Doe" not in repr(read_acquisition(raw))
    assert read_acquisition(raw, ReadOptions(keep_identifiers=True)).system["patientName"] == "Doe^Jane"
