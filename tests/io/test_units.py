"""The unit of a trajectory is found, said, or asked for; a wrong one never gets through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry
from csiq.errors import RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.io.ismrmrd import write_ismrmrd
from csiq.io.options import TRAJECTORY_UNITS
from csiq.io.spokes import check_radial
from csiq.io.units import find_unit, unit_scale
from csiq.trajectory import golden_means_3d, radial_coord, stack_of_stars
from tests.io.files import edit_rows, edit_xml

PATH = Path("scan.h5")


def geometry(n: int = 96, voxel: float = 1.6) -> Geometry:
    return Geometry((n,) * 3, (n * voxel,) * 3)


def spokes(n: int = 96) -> np.ndarray:
    return radial_coord(golden_means_3d(200), n, 2 * n)


def found(coord: np.ndarray, where: Geometry, **said: str | None) -> str:
    return find_unit(coord, where, PATH, stated=said.get("stated"), declared=said.get("declared"))[0]


@pytest.mark.parametrize("unit", ["cycles/fov", "cycles/pixel", "1/mm", "rad/pixel"])
@pytest.mark.parametrize("n", [16, 33, 96, 208])
def test_four_units_are_found(unit: str, n: int) -> None:
    where = geometry(n)
    coord = spokes(n) / unit_scale(unit, where)
    assert found(coord, where) == unit
    _, words = find_unit(coord, where, PATH, stated=None, declared=None)
    assert unit in words


def test_units_that_agree_are_no_question() -> None:
    # at 1 mm voxels cycles per pixel and cycles per mm are the same numbers
    where = geometry(96, voxel=1.0)
    coord = spokes() / unit_scale("1/mm", where)
    unit = found(coord, where)
    np.testing.assert_allclose(coord * unit_scale(unit, where), spokes(), rtol=1e-6)


def test_units_that_disagree_are_asked_for() -> None:
    where = geometry(96, voxel=1.1)
    coord = 0.95 * spokes() / unit_scale("cycles/pixel", where)
    with pytest.raises(RawDataError, match=r"several units.*--traj-units") as caught:
        found(coord, where)
    assert "cycles/pixel, 1/mm" in caught.value.what
    for unit in ("cycles/pixel", "1/mm"):
        assert found(coord, where, stated=unit) == unit


def test_no_unit_fits() -> None:
    with pytest.raises(RawDataError, match=r"fits matrix 96 in no unit.*check the matrix"):
        found(spokes() * 0.2, geometry())
    with pytest.raises(RawDataError, match=r"--traj-units rad/m?"):
        found(spokes() / unit_scale("rad/m", geometry()), geometry())


@pytest.mark.parametrize("unit", TRAJECTORY_UNITS)
def test_every_unit_can_be_stated(unit: str) -> None:
    coord = spokes() / unit_scale(unit, geometry())
    assert found(coord, geometry(), stated=unit) == unit


def test_a_contradicted_statement_is_refused() -> None:
    for said in ("stated", "declared"):
        with pytest.raises(RawDataError, match=r"reaches 0.01 of the edge of k-space"):
            found(spokes() / 96, geometry(), **{said: "cycles/fov"})


def test_anisotropic_stack_of_stars() -> None:
    where = Geometry((24, 96, 96), (72.0, 153.6, 153.6))
    directions, kz = stack_of_stars(20, 24)
    coord = radial_coord(directions, where.shape, 192)
    coord[..., 0] = kz[:, None]
    check_radial(coord, where, PATH)
    for unit in ("cycles/fov", "cycles/pixel", "1/mm", "rad/pixel"):
        assert found(coord / unit_scale(unit, where), where) == unit


@pytest.mark.parametrize("unit", ["cycles/pixel", "1/mm", "rad/pixel"])
def test_a_file_in_another_unit_gives_the_same_scan(foreign: Path, scan: Acquisition, unit: str) -> None:
    scale = unit_scale(unit, scan.geometry)[0]

    def convert(rows: np.ndarray) -> None:
        for row in rows:
            row["traj"] = (row["traj"] / scale).astype(np.float32)

    edit_rows(foreign, convert)
    if unit == "1/mm":  # 2 mm voxels: 1/4 per mm is not near one half
        assert any("unit 1/mm" in w for w in read_acquisition(foreign).warnings)
    back = read_acquisition(foreign)
    np.testing.assert_allclose(back.coord, scan.coord, atol=1e-4)
    assert back.navigators is not None
    assert scan.navigators is not None
    np.testing.assert_allclose(back.navigators.coord, scan.navigators.coord, atol=1e-4)
    assert back.system["trajectory_unit"] == unit
    np.testing.assert_array_equal(read_acquisition(foreign, ReadOptions(traj_units=unit)).coord, back.coord)


def test_a_header_that_lies_about_its_unit_is_refused(raw: Path) -> None:
    edit_xml(raw, lambda xml: xml.replace("cycles per field of view", "cycles/pixel"))
    with pytest.raises(RawDataError, match="it should be in cycles/pixel"):
        read_acquisition(raw)


def test_one_damaged_spoke_does_not_decide(scan: Acquisition, foreign: Path) -> None:
    def damage(rows: np.ndarray) -> None:
        rows[-1]["traj"][17] = 1e30

    edit_rows(foreign, damage)
    with pytest.raises(RawDataError, match="damaged: spoke 77, sample 5 is off its line"):
        read_acquisition(foreign)


def test_a_gradient_delay_is_no_damage(scan: Acquisition, tmp_path: Path) -> None:
    along = scan.coord[:, 1:2] - scan.coord[:, :1]
    coord = (scan.coord + 0.6 * along * np.array([1.0, 0.9, 1.1], np.float32)).astype(np.float32)
    write_ismrmrd(tmp_path / "delay.h5", replace(scan, coord=coord))
    back = read_acquisition(tmp_path / "delay.h5")
    np.testing.assert_array_equal(back.coord, coord)
    assert back.warnings == ()
