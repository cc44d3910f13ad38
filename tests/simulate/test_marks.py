"""What surgery and disease leave: how often, where, and that the coronaries stay clear of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.simulate.anatomy import Patient, coronary_centrelines, rasterise
from csiq.simulate.anatomy.marks import JETS, Bias, Marks, heart_marks, wire_shapes
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.raster import pack, paint
from csiq.simulate.anatomy.shapes import Grid, Shape, Tube
from csiq.simulate.anatomy.skeleton import front_wall
from csiq.simulate.coils import CoilArray
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.setting import Setting

# found among the first seeds: wires alone, an aortic and a mitral prosthesis with wires, an aortic jet
WIRES, AORTIC, MITRAL, JET = 20, 96, 120, 50


def voids(shapes: list[Shape], grid: Grid, kind: str = "void") -> np.ndarray:
    """Return the share of a kind of mark in each voxel."""
    return paint(pack(shapes), [float(shape.tissue == kind) for shape in shapes], grid)


def test_marks_are_as_frequent_as_stated_and_more_so_in_the_old() -> None:
    people = [Person.from_seed(seed) for seed in range(3000)]
    marks = [Marks.of(person) for person in people]
    wired, valve, jet = (np.array([bool(getattr(m, n)) for m in marks]) for n in ("wires", "valve", "jet"))
    error = 3 * np.sqrt(0.1 * 0.9 / 3000)
    assert wired.mean() == pytest.approx(0.08, abs=error)
    assert valve.mean() == pytest.approx(0.03, abs=error)
    assert jet.mean() == pytest.approx(0.105, abs=error)
    assert np.all(wired[valve])
    assert {m.wires for m in marks} == {0, 5, 6, 7}
    assert {m.jet for m in marks} == {"", *JETS}
    assert not any(m.valve and m.jet.startswith(m.valve) for m in marks)
    age = np.array([p.age for p in people])
    assert age[wired].mean() > age.mean() + 2


def test_wires_are_dark_with_bright_rims_along_the_breastbone() -> None:
    patient = Patient.from_seed(WIRES)
    body = patient.body
    shapes = wire_shapes(patient.marks, body)
    grid = Grid((180, 60, 60), (1.0, 1.0, 1.0), (40.0, front_wall(body, 40) + 8, body.middle[1]))
    dark = voids(shapes, grid)
    levels = np.unique([round(s.centre[0] / 12) for s in shapes if s.tissue == "void"])
    assert patient.marks.wires <= len(levels) + 2
    assert 2 < dark.sum() / 1000 / patient.marks.wires < 8  # ml each
    image = rasterise(patient, grid)
    assert image[dark > 0.99].max() < 0.02
    rim = voids(shapes, grid, "pile-up")
    assert rim.max() > 0.6
    assert image[rim > 0.6].min() > 0.7


@pytest.mark.parametrize("seed", [WIRES, AORTIC, MITRAL, JET])
def test_coronaries_stay_clear_of_voids(seed: int) -> None:
    """No void touches a coronary, so that the scan can still be graded well."""
    patient = Patient.from_seed(seed)
    shapes = [*wire_shapes(patient.marks, patient.body), *heart_marks(patient.marks, patient.heart)]
    assert shapes
    for line in coronary_centrelines(patient).values():
        for shape in shapes:
            assert gap(shape, line.points) - line.radius.max() > 0.5


def gap(shape: Shape, points: np.ndarray) -> float:
    """Return the distance of the nearest of points to a mark, mm."""
    if isinstance(shape, Tube):
        away = np.linalg.norm(points[:, None] - shape.points, axis=2) - shape.radius
        return float(away.min())
    reach = np.linalg.norm((points - shape.centre) @ shape.axes.T / shape.semi[:3], axis=1)
    return float(((reach - 1) * shape.semi.min()).min())


def test_a_jet_takes_signal_from_the_blood_it_is_in() -> None:
    patient = Patient.from_seed(JET)
    assert patient.marks.jet == "aortic stenosis"
    core, mantle = (s for s in heart_marks(patient.marks, patient.heart)[::-1])
    grid = Grid.cube(80, 80, tuple(core.points[3]))
    inside = voids([mantle, core], grid, "flow void")
    image = rasterise(patient, grid)
    assert inside.sum() > 100  # mm3
    assert image[inside > 0.99].max() < 0.4
    axis = np.array([rasterise(patient, Grid((1, 1, 1), (1.0, 1.0, 1.0), tuple(p))) for p in core.points])
    assert axis.max() < 0.5
    assert mantle.radius[-1] > mantle.radius[0]  # it widens


def test_a_prosthesis_moves_with_the_heart() -> None:
    patient = Patient.from_seed(AORTIC)
    marks = heart_marks(patient.marks, patient.heart)
    assert {s.tissue for s in marks} >= {"void", "pile-up"}
    assert all(np.all(s.follow_heart == 1) for s in marks)


def test_bias_is_smooth_moderate_and_one_at_the_heart() -> None:
    fields = []
    for seed in range(20):
        bias = Bias.drawn(np.random.default_rng(seed))
        grid = Grid.cube(26, 208)
        field = bias.field(grid)
        assert field[13, 13, 13] == 1.0
        assert np.abs(np.diff(field, axis=0)).max() < 0.05  # in 8 mm
        fields.append(field)
    spread = np.std(fields, axis=0)
    assert 0.03 < spread[2:-2, 2:-2, 2:-2].mean() < 0.12
    assert 0.6 < np.min(fields) < np.max(fields) < 1.6


def test_bias_is_its_polynomial() -> None:
    """Against exp(b.r + r.Q r) at single places, written out."""
    bias = Bias(np.array([0.1, -0.05, 0.02]), np.diag([0.03, 0.0, -0.02]) + 0.01)
    grid = Grid.cube(8, 160)
    field = bias.field(grid)
    for index in ((0, 0, 0), (7, 2, 5)):
        r = (grid.origin + 20.0 * np.array(index)) / 100
        assert field[index] == pytest.approx(np.exp(bias.linear @ r + r @ bias.quadratic @ r), rel=1e-5)


def test_bias_is_a_factor_on_what_coils_receive() -> None:
    patient = Patient.from_seed(3)
    plain = CoilArray.around(patient.body, 4, np.random.default_rng(0))
    grid = Grid.cube(10, 200)
    maps = replace(plain, bias=patient.marks.bias).sensitivities(grid)
    assert np.allclose(maps, plain.sensitivities(grid) * patient.marks.bias.field(grid), rtol=1e-5)
    biased = Setting.of(ScanConfig(matrix=32, seed=3, n_coils=4)).coils
    assert np.array_equal(biased.bias.field(grid), patient.marks.bias.field(grid))
