"""Siemens TWIX: the measured xenon scan to the bit, and files that must not pass for whole."""

from __future__ import annotations

import builtins
import logging
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition
from csiq.errors import ConfigError, CsiqError, RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.twix_header import Protocol, directions_of, geometry_of
from csiq.io.twix_layout import walk


@pytest.fixture(scope="module")
def xenon(shared_data: Path) -> Path:
    """Return the folder of the measured xenon scan."""
    return shared_data / "raw" / "xe-lung-3d-radial"


def read_xenon(folder: Path, echo: int | None, name: str = "xe_dixon_twix.dat") -> Acquisition:
    trajectory = f"{folder / 'xe_lung_3d_radial.h5'}:/coord"
    return read_acquisition(folder / name, ReadOptions(trajectory=trajectory, echo=echo))


@pytest.mark.parametrize(("echo", "name"), [(0, "gas"), (1, "dissolved")])
def test_the_xenon_scan_is_read_to_the_bit(xenon: Path, echo: int, name: str) -> None:
    scan = read_xenon(xenon, echo)
    with h5py.File(xenon / "xe_lung_3d_radial.h5") as file:
        np.testing.assert_array_equal(scan.kspace, file[f"ksp_{name}"][()])
        np.testing.assert_array_equal(scan.coord, file["coord"][()])
        times = file[f"time_{name}_s"][()]
    np.testing.assert_allclose(scan.times, times - times[0], atol=1e-9)
    np.testing.assert_allclose(np.diff(scan.times), 0.015, atol=1e-9)
    assert not scan.triggered
    assert not scan.heartbeat.any()
    assert scan.geometry.shape == (64, 64, 64)
    assert scan.geometry.fov == (400.0, 400.0, 400.0)


def test_surplus_readouts_are_said(xenon: Path) -> None:
    assert any(
        "30 of 1030 readouts left out: 512 samples, not 64" in w for w in read_xenon(xenon, 0).warnings
    )


def test_nothing_of_the_person_is_kept(xenon: Path) -> None:
    system = read_xenon(xenon, 0).system
    assert system["nucleus"] == "129Xe"
    assert system["TR_s"] == pytest.approx(7.5e-3)
    assert system["dwell_s"] == pytest.approx(1e-5)
    assert set(system) <= {
        "vendor", "model", "software", "nucleus", "field_T", "TR_s", "TE_s", "flip_deg", "dwell_s",
        "trajectory_unit",
    }  # fmt: skip


def test_the_orientation_of_a_given_trajectory_is_unknown(xenon: Path) -> None:
    scan = read_xenon(xenon, 0)
    assert not scan.geometry.known
    assert any("does not say how its axes lie in the patient" in w for w in scan.warnings)


def test_reading_is_silent(xenon: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read_xenon(xenon, 0)
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == 0


def test_an_echo_must_be_named(xenon: Path) -> None:
    with pytest.raises(ConfigError, match="holds 2 echoes; --echo, one of: 0, 1"):
        read_xenon(xenon, None)
    with pytest.raises(ConfigError, match="there is no echo 2; found: 0, 1"):
        read_xenon(xenon, 2)


def test_a_trajectory_is_needed_and_must_fit(xenon: Path, tmp_path: Path) -> None:
    path = xenon / "xe_dixon_twix.dat"
    with pytest.raises(RawDataError, match="no trajectory in a TWIX file"):
        read_acquisition(path, ReadOptions(echo=0))
    with pytest.raises(RawDataError, match="the signal peaks at sample 1, a 'golden3d' spoke"):
        read_acquisition(path, ReadOptions(echo=0, trajectory="golden3d"))
    np.save(tmp_path / "k.npy", np.ones((999, 64, 3)))
    with pytest.raises(RawDataError, match="trajectory has 999 spokes x 64 samples, data 1000 x 64"):
        read_acquisition(path, ReadOptions(echo=0, trajectory=str(tmp_path / "k.npy")))


@pytest.mark.parametrize("name", ["gre_phantom_2ch.dat", "gre_phantom_16ch_xa.dat"])
def test_cartesian_scans_are_refused(shared_data: Path, name: str) -> None:
    path = shared_data / "raw" / "twix-cartesian" / name
    with pytest.raises(RawDataError, match="a Cartesian scan; csiq needs radial spokes"):
        read_acquisition(path)
    with pytest.raises(RawDataError, match="its protocol says Cartesian, 'golden2d' would be a guess"):
        read_acquisition(path, ReadOptions(trajectory="golden2d"))


@pytest.mark.parametrize("name", ["xe_dixon_twix.dat"])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.9995])
def test_a_truncated_file_is_not_taken_for_whole(xenon: Path, tmp_path: Path, name: str, part: float) -> None:
    content = (xenon / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(part * len(content))])
    with pytest.raises(RawDataError, match=r"truncated: [\d.]+ .B of 2.6 MB; copy it again"):
        read_acquisition(tmp_path / name, ReadOptions(trajectory="golden3d", echo=0))


def test_a_truncated_file_of_no_stated_length(shared_data: Path, tmp_path: Path) -> None:
    content = (shared_data / "raw" / "twix-cartesian" / "gre_phantom_16ch_xa.dat").read_bytes()
    for end, match in [(2_000_000, r"ends after readout \d\d, without the mark"), (9000, "truncated")]:
        (tmp_path / "xa.dat").write_bytes(content[:end])
        with pytest.raises(RawDataError, match=match):
            read_acquisition(tmp_path / "xa.dat", ReadOptions(trajectory="golden2d", force=True))


@pytest.mark.parametrize(
    "content",
    [b"x", b"\0" * 40, bytes(range(256)) * 50, struct.pack("<II", 0, 0) + b"\0" * 300,
     struct.pack("<II", 0, 2) + b"\0" * 300, struct.pack("<IIIIQQ", 0, 1, 0, 0, 10240, 0) + b"\1" * 20000],
)  # fmt: skip
def test_garbage_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(RawDataError) as caught:
        read_acquisition(tmp_path / "a.dat", ReadOptions(trajectory="golden3d"))
    assert "\n" not in caught.value.one_line()
    assert caught.value.file == "a.dat"


def test_damage_is_found_or_harmless(xenon: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    content = (xenon / "xe_dixon_twix.dat").read_bytes()
    codes = []
    for i in range(12):
        damaged = bytearray(content)
        # table of measurements; start of the protocol; record headers and samples
        region = [(0, 64), (10240, 10400), (290_000, len(content))][i % 3]
        for at in rng.integers(*region, 5):
            damaged[at] ^= int(rng.integers(1, 256))
        (tmp_path / "a.dat").write_bytes(damaged)
        trajectory = f"{xenon / 'xe_lung_3d_radial.h5'}:/coord"
        try:
            read_acquisition(tmp_path / "a.dat", ReadOptions(trajectory=trajectory, echo=0))
        except CsiqError as error:
            codes.append(error.exit_code)
    assert codes
    assert set(codes) <= {2, 3}


def test_the_extra_is_named_when_missing(xenon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, globals: Mapping[str, Any] | None = None, locals: Mapping[str, Any] | None = None,
                fromlist: Sequence[str] = (), level: int = 0) -> Any:  # fmt: skip
        if name.startswith("mapvbvd"):
            raise ImportError(name)
        return original(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"needs pymapvbvd; pip install 'csiq\[siemens\]'"):
        read_xenon(xenon, 0)


# The layout and the protocol, without a measured file


def vd_file(records: list[tuple[int, int, int]], end: bool = True, length: int | None = None) -> bytes:
    """Return a VD file with these (mask, samples, channels), its protocol left out."""
    body = struct.pack("<I", 16) + b"\0" * 12
    for mask, n_samples, n_channels in [*records, (1, 16, 1)] if end else records:
        size = 192 + n_channels * (32 + 8 * n_samples)
        head = bytearray(192)
        struct.pack_into("<I", head, 0, size)
        struct.pack_into("<Q", head, 40, mask)
        struct.pack_into("<HH", head, 48, n_samples, n_channels)
        body += bytes(head) + b"\0" * (size - 192)
    table = struct.pack("<IIIIQQ", 0, 1, 1, 1, 10240, len(body) if length is None else length)
    return table.ljust(10240, b"\0") + body


def test_the_layout_is_walked(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    records = [(1 << 25, 128, 3), (0, 64, 3), (1 << 5, 4, 1), (1 << 22, 64, 3), (1 << 22 | 1 << 23, 64, 3),
               (0, 64, 3), (2, 8, 1)]  # fmt: skip
    path.write_bytes(vd_file(records))
    found = walk(path)
    # synchronisation data is no readout, the end mark neither
    np.testing.assert_array_equal(found.n_samples, [128, 64, 64, 64, 64, 8])
    np.testing.assert_array_equal(found.is_image, [False, True, False, True, True, False])
    path.write_bytes(vd_file(records, length=0))
    assert len(walk(path).mask) == 6
    path.write_bytes(vd_file(records, end=False, length=0))
    with pytest.raises(RawDataError, match="ends after readout 6, without the mark"):
        walk(path)
    path.write_bytes(vd_file(records)[:-8])
    with pytest.raises(RawDataError, match="truncated"):
        walk(path)
    path.write_bytes(vd_file([]))
    with pytest.raises(RawDataError, match="0 readouts"):
        walk(path)


def protocol(**changes: object) -> Protocol:
    numbers: dict[str, object] = {
        "sKSpace.lBaseResolution": 160.0,
        "sSliceArray.asSlice.0.dReadoutFOV": 200.0,
        "sSliceArray.asSlice.0.dPhaseFOV": 100.0,
        "sSliceArray.asSlice.0.dThickness": 4.0,
        "sKSpace.ucDimension": 2.0,
        "sKSpace.lImagesPerSlab": 16.0,
    }
    numbers.update({key.replace("__", "."): value for key, value in changes.items()})
    return Protocol({tuple(k.split(".")): v for k, v in numbers.items() if v is not None}, Path("a.dat"))


def test_the_geometry_of_a_protocol() -> None:
    # a measured transverse slice: phase to the back, readout to the right, 2.2 degrees oblique
    where = np.array([-2.6, 53.9, -54.0, 0.706976473, -0.0135746365, 0.0135746403, 0.706976473])
    geometry = geometry_of(protocol(), where, Path("a.dat"))
    assert geometry.shape == (1, 80, 160)
    assert geometry.fov == (4.0, 100.0, 200.0)
    assert geometry.known
    np.testing.assert_allclose(geometry.affine[:3, 0], [1.25, 0, 0], atol=1e-5)
    # its header's normal, LPS, is (0, .0384, .9993)
    np.testing.assert_allclose(geometry.affine[:3, 2] / 4, [0, -0.0383878, 0.9992630], atol=1e-5)
    centre = geometry.affine @ [80, 40, 0, 1]
    np.testing.assert_allclose(centre[:3], [2.6, -53.9, -54.0], atol=1e-9)
    assert geometry_of(protocol(sKSpace__ucDimension=4.0), where, Path("a.dat")).shape == (16, 80, 160)


def test_quaternions_give_orthonormal_directions(rng: np.random.Generator) -> None:
    for _ in range(5):
        q = rng.standard_normal(4)
        axes = directions_of(q / np.linalg.norm(q))
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        # readout and phase are exchanged against a rotation
        assert np.linalg.det(axes) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sKSpace.lBaseResolution": None}, "sKSpace.lBaseResolution: is missing"),
        ({"sKSpace.lBaseResolution": "abc"}, "expected a number, got 'abc'"),
        ({"sKSpace.lBaseResolution": 1e6}, "is absurd"),
        ({"sKSpace.lBaseResolution": 4.0}, "too small"),
        ({"sSliceArray.asSlice.0.dReadoutFOV": 0.0}, "0 mm is absurd"),
    ],
)
def test_an_absurd_protocol(changes: dict[str, object], match: str) -> None:
    with pytest.raises(RawDataError, match=match):
        geometry_of(protocol(**changes), np.array([0, 0, 0, 1, 0, 0, 0.0]), Path("a.dat"))


def scan_of(lines: list[int]) -> SimpleNamespace:
    n = len(lines)
    image = SimpleNamespace(Lin=np.array(lines), Par=np.zeros(n), Sli=np.zeros(n))
    return SimpleNamespace(image=image)


def test_repeated_lines(tmp_path: Path) -> None:
    from csiq.io.twix_lines import choose_lines

    def chosen(lines: list[int], trajectory: str | None = "golden3d") -> tuple[list[int], list[str]]:
        notes: list[str] = []
        options = ReadOptions(trajectory=trajectory)
        rows = choose_lines(scan_of(lines), np.arange(len(lines)), options, notes)  # type: ignore[arg-type]
        return rows.tolist(), notes

    lines = [*range(40), 7]
    assert chosen(lines[:-1]) == (list(range(40)), [])
    rows, notes = chosen(lines)
    assert rows == list(range(40))
    assert "1 of 41 readouts left out: they repeat a line" in notes[0]
    # lines that repeat by design are all used
    rows, notes = chosen([*range(20), *range(20)])
    assert rows == list(range(40))
    assert "repeats its 20 lines" in notes[0]
    # a trajectory file decides
    np.save(tmp_path / "k.npy", np.ones((41, 8, 3)))
    assert chosen(lines, str(tmp_path / "k.npy"))[0] == list(range(41))
    np.save(tmp_path / "k.npy", np.ones((20, 8, 3)))
    assert chosen([*range(20), *range(20)], str(tmp_path / "k.npy"))[0] == list(range(20))
