"""Noise that lies in another group or another file: found, scaled to the scan's bandwidth, or asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.acquisition import Acquisition
from csiq.coils import whiten
from csiq.errors import ConfigError, RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.cfl import write_cfl
from csiq.io.ismrmrd import write_ismrmrd
from csiq.io.noise import matched
from tests.io.files import edit_rows, edit_xml

#: Dwell times of the noise and of the scan, microseconds.
SLOW, FAST = 8.0, 2.0

ID = "41494_27735422_77735427_44"


def measurement(of: str, noise: str | None = None, coils: str = "") -> str:
    """Return the header elements of a measurement, and of the one it depends on."""
    needs = ""
    if noise is not None:
        needs = (
            "<measurementDependency><dependencyType>Noise</dependencyType>"
            f"<measurementID>{noise}</measurementID></measurementDependency>"
        )
    labels = "".join(
        f"<coilLabel><coilNumber>{i}</coilNumber><coilName>{name}</coilName></coilLabel>"
        for i, name in enumerate(coils)
    )
    return (
        f"<measurementInformation><measurementID>{of}</measurementID>"
        f"<patientPosition>HFS</patientPosition>{needs}</measurementInformation>"
        f"<acquisitionSystemInformation>{labels}"
    )


def put(path: Path, elements: str) -> None:
    start, end = "<measurementInformation>", "<acquisitionSystemInformation>"
    edit_xml(path, lambda xml: xml[: xml.index(start)] + elements + xml[xml.index(end) + len(end) :])


@pytest.fixture
def parted(scan: Acquisition, tmp_path: Path) -> Path:
    """Return a file of a scan without noise, in ``dataset``, and of its noise, in ``noise``."""
    path, other = tmp_path / "scan.h5", tmp_path / "noise.h5"
    write_ismrmrd(path, replace(scan, noise=None, system={"dwell_s": FAST * 1e-6}))
    write_ismrmrd(other, replace(scan, system={"dwell_s": SLOW * 1e-6}))
    edit_rows(other, lambda rows: rows[rows["head"]["flags"] & (1 << 18) != 0])
    put(other, measurement(ID, coils="ABC"))
    with h5py.File(path, "r+") as file, h5py.File(other) as source:
        source.copy("dataset", file, "noise")
    return path


def test_noise_of_another_group_is_used(scan: Acquisition, parted: Path) -> None:
    put(parted, measurement("41494_1_2_45", ID))
    found = read_acquisition(parted)
    assert scan.noise is not None
    assert found.noise is not None
    # the variance goes with the bandwidth, one over the dwell time: 4 times as much, twice the amplitude
    np.testing.assert_allclose(found.noise, 2 * scan.noise, rtol=1e-6)
    assert any("its noise is that of another group of the file" in words for words in found.warnings)
    assert not any(ID in words for words in found.warnings)
    white = whiten(found)
    assert white.noise is not None
    np.testing.assert_allclose(np.cov(white.noise, bias=True), np.eye(3), atol=1e-4)


def test_coils_are_matched_by_name(scan: Acquisition, parted: Path) -> None:
    put(parted, measurement("41494_1_2_45", ID, coils="CAB"))
    found = read_acquisition(parted)
    assert scan.noise is not None
    np.testing.assert_allclose(found.noise, 2 * scan.noise[[2, 0, 1]], rtol=1e-6)
    noise = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(matched(noise, ("A", "B", "C"), ("C", "A")), noise[[2, 0]])
    np.testing.assert_array_equal(matched(noise, ("A", "B", "C"), ("C", "X")), noise)


def test_noise_that_is_nowhere_is_said(parted: Path) -> None:
    put(parted, measurement("41494_1_2_45", "41494_9_9_9"))
    found = read_acquisition(parted)
    assert found.noise is None
    assert any("a measurement which this file does not hold: --noise FILE" in w for w in found.warnings)
    put(parted, measurement("41494_1_2_45"))
    assert read_acquisition(parted).noise is None


def test_noise_of_another_file_is_told(scan: Acquisition, parted: Path, tmp_path: Path) -> None:
    assert scan.noise is not None
    twice = 2 * scan.noise
    np.save(tmp_path / "n.npy", twice)
    write_cfl(tmp_path / "n.cfl", twice[:, None, :, None])
    for name in ("noise.h5", "scan.h5:/noise", "n.npy", "n.cfl"):
        found = read_acquisition(parted, ReadOptions(noise=str(tmp_path / name)))
        np.testing.assert_allclose(found.noise, twice, rtol=1e-6)


def test_noise_that_does_not_fit_is_refused(parted: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.ones((2, 50), np.complex64))
    np.save(tmp_path / "real.npy", np.ones((3, 50)))
    (tmp_path / "a.txt").write_text("1 2 3\n")
    for name, kind, match in [
        ("two.npy", RawDataError, r"two.npy: --noise: noise of 2 coils, the scan has 3"),
        ("real.npy", RawDataError, "expected complex samples"),
        ("a.txt", RawDataError, r"is a text file; expected ISMRMRD or .npy"),
        ("none.h5", ConfigError, "none.h5: --noise: no such file"),
        ("scan.h5:/other", ConfigError, "there is no group 'other'; FILE:/GROUP, found: dataset, noise"),
        ("scan.h5", RawDataError, "scan.h5: /dataset: holds no noise readouts"),
    ]:
        with pytest.raises(kind, match=match):
            read_acquisition(parted, ReadOptions(noise=str(tmp_path / name)))
