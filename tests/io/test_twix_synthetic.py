"""Siemens VB17 and VD13 files written byte for byte, and what csiq makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from csiq.acquisition import Acquisition
from csiq.errors import ConfigError, RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.trajectory import named_trajectory
from tests.io.files import blobs, random_kspace
from tests.io.twix_files import (
    NOISE,
    PATREF,
    PATREF_AND_IMAGE,
    PHASCOR,
    REFLECT,
    RTFEEDBACK,
    SECRETS,
    Line,
    Protocol,
    vb17,
    vd13,
)

Write = Callable[[Sequence[Line | None]], bytes]

N, COILS, SAMPLES = 16, 3, 32
WRITERS: dict[str, Write] = {"VB17": vb17, "VD13": lambda lines: vd13(lines)}
versions = pytest.mark.parametrize("version", list(WRITERS))


def read(path: Path, content: bytes, **options: object) -> Acquisition:
    path.write_bytes(content)
    return read_acquisition(path, ReadOptions(**{"trajectory": "golden3d", **options}))  # type: ignore[arg-type]


def lines_of(kspace: np.ndarray, **more: object) -> list[Line]:
    """Return an imaging readout a spoke, 8 ms apart, the echo in the middle."""
    n_samples = kspace.shape[2]
    return [
        Line(kspace[:, i], line=i, ticks=1000 + 3 * i, centre=n_samples // 2, **more)  # type: ignore[arg-type]
        for i in range(kspace.shape[1])
    ]


@versions
def test_samples_times_and_noise_are_read_to_the_bit(
    version: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    kspace = random_kspace(rng, (COILS, 20, SAMPLES))
    noise = random_kspace(rng, (COILS, 1, 48))
    lines = [Line(noise[:, 0], (NOISE,)), None, *lines_of(kspace)]
    scan = read(tmp_path / "a.dat", WRITERS[version](lines))
    np.testing.assert_array_equal(scan.kspace, kspace)
    np.testing.assert_array_equal(scan.coord, named_trajectory("golden3d", 20, SAMPLES, (N, N, N)))
    np.testing.assert_allclose(scan.times, 7.5e-3 * np.arange(20), atol=1e-12)
    np.testing.assert_array_equal(scan.noise, noise[:, 0])
    assert scan.navigators is None
    assert scan.geometry.shape == (N, N, N)
    assert scan.geometry.fov == (32.0, 32.0, 32.0)
    assert scan.system["field_T"] == 1.494
    assert scan.system["TR_s"] == pytest.approx(3.1e-3)
    assert scan.system["dwell_s"] == pytest.approx(2.6e-6)
    assert scan.system["vendor"] == "SIEMENS"


@versions
def test_flags_tell_the_image_from_the_rest(version: str, tmp_path: Path, rng: np.random.Generator) -> None:
    kspace = random_kspace(rng, (COILS, 24, SAMPLES))
    # what each readout is flagged as; those marked make the image
    masks = {0: (PHASCOR,), 5: (PATREF,), 6: (PATREF, PATREF_AND_IMAGE), 11: (REFLECT,), 20: (NOISE,)}
    lines = [
        Line(kspace[:, i], masks.get(i, ()), line=i, ticks=3 * i, centre=SAMPLES // 2) for i in range(24)
    ]
    scan = read(tmp_path / "a.dat", WRITERS[version](lines))
    image = np.setdiff1d(np.arange(24), [0, 5, 20])
    expected = kspace[:, image].copy()
    at = int(np.flatnonzero(image == 11)[0])
    expected[:, at] = expected[:, at, ::-1]  # a reflected readout runs the other way
    np.testing.assert_array_equal(scan.kspace, expected)
    np.testing.assert_array_equal(scan.noise, kspace[:, 20])


@versions
def test_flagged_navigators_show_the_breathing(
    version: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    kspace = random_kspace(rng, (COILS, 60, SAMPLES))
    flagged = np.arange(60) % 6 == 0
    # one heartbeat in six readouts, 0.8 s apart
    ticks = (np.arange(60) // 6) * 320 + 3 * (np.arange(60) % 6)
    lines = [
        Line(kspace[:, i], (RTFEEDBACK,) if flagged[i] else (), line=i, ticks=int(ticks[i]), centre=16)
        for i in range(60)
    ]
    scan = read(tmp_path / "a.dat", WRITERS[version](lines), trajectory="phyllotaxis")
    assert scan.navigators is not None
    np.testing.assert_array_equal(scan.navigators.kspace, kspace[:, flagged])
    np.testing.assert_array_equal(scan.kspace, kspace[:, ~flagged])
    np.testing.assert_allclose(scan.navigators.times, 0.8 * np.arange(10), atol=1e-9)
    np.testing.assert_array_equal(scan.navigators.heartbeat, np.arange(10))
    np.testing.assert_array_equal(scan.heartbeat, np.repeat(np.arange(10), 5))
    assert scan.triggered
    expected = named_trajectory("phyllotaxis", 50, SAMPLES, (N, N, N), n_interleaves=10)
    np.testing.assert_array_equal(scan.coord, expected)


@versions
def test_discarded_samples_and_echoes(version: str, tmp_path: Path, rng: np.random.Generator) -> None:
    kspace = random_kspace(rng, (COILS, 40, SAMPLES))
    lines = [
        Line(kspace[:, i], line=i // 2, echo=i % 2, ticks=i, centre=SAMPLES // 2, cut=(4, 4))
        for i in range(40)
    ]
    content = (vb17 if version == "VB17" else vd13)(lines, protocol=Protocol(echoes=2))
    with pytest.raises(ConfigError, match="holds 2 echoes; --echo, one of: 0, 1"):
        read(tmp_path / "a.dat", content)
    scan = read(tmp_path / "a.dat", content, echo=1)
    np.testing.assert_array_equal(scan.kspace, kspace[:, 1::2, 4:-4])


@versions
@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -10, 0), (90, 0, 0), (5, 100, 40)])
def test_position_and_orientation(
    version: str, tmp_path: Path, rng: np.random.Generator, angles: tuple[float, ...]
) -> None:
    # SciPy's quaternion is (x, y, z, w); its matrix takes phase, readout and slice axes to the patient (LPS)
    turn = Rotation.from_euler("zyx", angles, degrees=True)
    x, y, z, w = turn.as_quat()
    place = (12.5, -30.25, 44.0)
    kspace = random_kspace(rng, (1, 20, SAMPLES))
    lines = lines_of(kspace, position=place, quaternion=(w, x, y, z))
    flat = Protocol(fov=(5.0, 24.0, 32.0), volume=False)
    content = (vb17 if version == "VB17" else vd13)(lines, protocol=flat)
    scan = read(tmp_path / "a.dat", content, trajectory="golden2d")
    phase, readout, normal = turn.as_matrix().T
    assert scan.geometry.known
    assert scan.geometry.shape == (1, 12, 16)
    lps = np.diag([-1.0, -1.0, 1.0])
    columns = lps @ np.stack([2 * readout, 2 * phase, 5 * normal], axis=1)
    np.testing.assert_allclose(scan.geometry.affine[:3, :3], columns, atol=1e-4)
    centre = scan.geometry.affine @ [8, 6, 0, 1]
    np.testing.assert_allclose(centre[:3], lps @ place, atol=1e-4)


def test_the_last_measurement_is_the_scan_and_noise_may_lie_before(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    kspace = random_kspace(rng, (COILS, 20, SAMPLES))
    noise = random_kspace(rng, (COILS, 2, 64))
    before = [Line(noise[:, i], (NOISE,)) for i in range(2)]
    content = vd13(before, lines_of(kspace))
    scan = read(tmp_path / "a.dat", content)
    np.testing.assert_array_equal(scan.kspace, kspace)
    np.testing.assert_array_equal(scan.noise, noise.reshape(COILS, -1))
    with pytest.raises(RawDataError, match="truncated"):
        read(tmp_path / "b.dat", content[:-600])


@versions
def test_several_slices_are_refused(version: str, tmp_path: Path, rng: np.random.Generator) -> None:
    kspace = random_kspace(rng, (1, 20, SAMPLES))
    lines = [Line(kspace[:, i], line=i, slice_number=i % 2, centre=16) for i in range(20)]
    with pytest.raises(RawDataError, match=r"a.dat: Sli: 2 slices; csiq reads one"):
        read(tmp_path / "a.dat", WRITERS[version](lines))


@versions
def test_nobody_is_named(version: str, tmp_path: Path, rng: np.random.Generator) -> None:
    content = WRITERS[version](lines_of(random_kspace(rng, (2, 20, SAMPLES))))
    for asked in (False, True):
        scan = read(tmp_path / "a.dat", content, keep_identifiers=asked)
        said = f"{scan.system} {scan.warnings} {scan.name}"
        assert not [secret for secret in SECRETS if secret in said]
        assert ("nothing of the subject is kept of a TWIX file" in said) == asked


# SI spokes that the scanner does not flag

BEATS, PER_BEAT = 34, 9


def phyllotaxis_scan(
    *, headed: bool, triggered: bool, noise: float = 0.01
) -> tuple[list[Line], np.ndarray, np.ndarray]:
    """Return the readouts of a breathing scan, the true trajectory, and which readouts are SI spokes."""
    coord = named_trajectory("phyllotaxis", BEATS * PER_BEAT, SAMPLES, (N, N, N), n_interleaves=BEATS)
    si = np.zeros((BEATS, 1, SAMPLES, 3), np.float32)
    si[..., 0] = (np.arange(SAMPLES) - SAMPLES // 2) / 2
    whole = coord.reshape(BEATS, PER_BEAT, SAMPLES, 3)
    if headed:
        whole = np.concatenate([si, whole], axis=1)
    per = whole.shape[1]
    whole = whole.reshape(-1, SAMPLES, 3)
    beat = np.repeat(np.arange(BEATS), per)
    kspace = blobs(whole, COILS, 0.03 * np.sin(1.3 * beat))
    rng = np.random.default_rng(2)
    level = noise * np.abs(kspace).max()
    kspace = kspace + level * (rng.standard_normal((*kspace.shape, 2)) @ [1, 1j])
    ticks = beat * 320 * triggered + np.arange(len(beat)) % per + (0 if triggered else per * beat)
    lines = [
        Line(one, line=i, ticks=int(t), centre=SAMPLES // 2)
        for i, (one, t) in enumerate(zip(kspace.astype(np.complex64).transpose(1, 0, 2), ticks, strict=True))
    ]
    return lines, whole, headed & (np.arange(len(beat)) % per == 0)


@pytest.mark.parametrize("triggered", [True, False])
@pytest.mark.parametrize("headed", [True, False])
def test_si_spokes_nobody_flags_are_found(tmp_path: Path, headed: bool, triggered: bool) -> None:
    lines, coord, is_si = phyllotaxis_scan(headed=headed, triggered=triggered)
    scan = read(tmp_path / "a.dat", vd13(lines), trajectory="phyllotaxis")
    np.testing.assert_allclose(scan.coord, coord[~is_si], atol=1e-5)
    samples = np.stack([one.samples for one in lines], axis=1)
    np.testing.assert_array_equal(scan.kspace, samples[:, ~is_si])
    assert (scan.navigators is not None) == headed
    assert scan.triggered == triggered
    if scan.navigators is not None:
        np.testing.assert_array_equal(scan.navigators.kspace, samples[:, is_si])
        np.testing.assert_allclose(scan.navigators.coord, coord[is_si], atol=1e-5)
        np.testing.assert_array_equal(scan.heartbeat, np.repeat(np.arange(BEATS), PER_BEAT))
        assert any("34 SI spokes, one in 10 readouts, are not flagged" in w for w in scan.warnings)


def test_all_si_spokes_may_be_numbered_as_one_line(tmp_path: Path) -> None:
    lines, coord, is_si = phyllotaxis_scan(headed=True, triggered=True)
    lines = [replace(one, line=0) if head else one for one, head in zip(lines, is_si, strict=True)]
    scan = read(tmp_path / "a.dat", vd13(lines), trajectory="phyllotaxis")
    np.testing.assert_allclose(scan.coord, coord[~is_si], atol=1e-5)


@pytest.mark.parametrize(
    ("triggered", "match"),
    [
        (
            True,
            r"a.dat: --trajectory: it cannot be told whether SI spokes head .*--si-spokes first",
        ),
        (False, r"neither heartbeats nor the samples tell the interleaves of a phyllotaxis; --interleaves N"),
    ],
)
def test_what_the_samples_do_not_tell_must_be_told(
    tmp_path: Path, rng: np.random.Generator, triggered: bool, match: str
) -> None:
    lines, coord, is_si = phyllotaxis_scan(headed=True, triggered=triggered)
    # nothing but noise about the same echo: readouts are no more alike here than there
    content = vd13([replace(one, samples=random_kspace(rng, one.samples.shape)) for one in lines])
    told = {"trajectory": "phyllotaxis", "si_spokes": "first", "interleaves": BEATS}
    with pytest.raises(RawDataError, match=match):
        read(tmp_path / "a.dat", content, trajectory="phyllotaxis")
    scan = read(tmp_path / "a.dat", content, **told)
    np.testing.assert_allclose(scan.coord, coord[~is_si], atol=1e-5)
    scan = read(tmp_path / "a.dat", content, **{**told, "si_spokes": "none"})
    assert scan.navigators is None
    assert scan.n_spokes == len(coord)
    with pytest.raises(ConfigError, match="340 readouts do not make 33 equal interleaves"):
        read(tmp_path / "a.dat", content, trajectory="phyllotaxis", interleaves=33)


def test_si_spokes_of_a_given_trajectory_leave_the_image(tmp_path: Path) -> None:
    lines, coord, is_si = phyllotaxis_scan(headed=True, triggered=True)
    np.save(tmp_path / "k.npy", coord)
    scan = read(tmp_path / "a.dat", vb17(lines), trajectory=str(tmp_path / "k.npy"))
    np.testing.assert_array_equal(scan.coord, coord[~is_si])
    assert scan.navigators is not None
    assert scan.navigators.kspace.shape[1] == BEATS
    scan = read(tmp_path / "a.dat", vb17(lines), trajectory=str(tmp_path / "k.npy"), si_spokes="none")
    assert scan.navigators is None
    np.testing.assert_array_equal(scan.coord, coord)
