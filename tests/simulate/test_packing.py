"""Shapes packed once and moved, against shapes packed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.packing import Template, displaced, is_still, pack
from csiq.simulate.anatomy.patient import PARTS, packed
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Envelope, Plane, Tube
from csiq.simulate.motion import Affine, MotionState

TURN = np.array([[0.98, 0.05, 0.0], [-0.04, 1.02, 0.03], [0.01, 0.0, 1.01]])
HEART, LIVER = Affine(TURN, np.array([-6.0, 1.5, 0.4])), Affine(TURN.T, np.array([-11.0, 0.2, 0.0]))


def egg(heart: float, liver: float) -> Ellipsoid:
    """Return an egg, longer forward than backward."""
    semi = np.array([30.0, 20.0, 15.0, 24.0])
    return Ellipsoid("x", np.array([3.0, -2.0, 7.0]), semi, follow_heart=heart, follow_liver=liver)


@pytest.mark.parametrize(("heart", "liver"), [(0.0, 0.0), (1.0, 0.0), (0.3, 0.8)])
def test_rows_of_an_egg_are_the_map_undone_and_the_unit_ball(heart: float, liver: float) -> None:
    """Points of the surface, moved by the law, lie on the packed ball, and in its box."""
    one = egg(heart, liver)
    row = pack([Column("x", (0.0, 0.0), (1.0, 1.0)), one], HEART, LIVER).rows[2]
    ball = np.random.default_rng(0).normal(size=(20000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    length = np.where(ball[:, :1] > 0, one.semi[:3], one.semi[[3, 1, 2]])
    points = one.centre + ball * length
    moved = LIVER.shared(liver)(HEART.shared(heart)(points))
    local = (moved - row[:3]) @ row[3:12].reshape(3, 3).T
    local[local[:, 0] < 0, 0] *= row[12]
    assert np.allclose(np.linalg.norm(local, axis=1), 1)
    reach = np.abs(moved - row[:3]).max(axis=0)
    assert np.all(reach <= row[13:16] + 1e-9)
    apart = np.linalg.norm(moved - row[:3], axis=1)
    assert row[16] <= apart.min() + 1e-9
    assert row[17] >= apart.max() - 1e-9


def test_each_shape_has_its_own_rows() -> None:
    """Many packed together are as each packed alone, to the bit, in their order."""
    way = np.array([[0.0, 0, 0], [5.0, 1, 2], [9.0, 3, 1]])
    tube = Tube("x", way, np.array([2.0, 1.5, 1.0]), np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.2, 0.0]))
    cut = Envelope("x", (egg(1.0, 0.0), egg(1.0, 0.0)), 2.0, 5.0, (Plane(way[1], way[2] / 9.54),), 3.0)
    shapes = [tube, egg(0.0, 0.8), cut, Column("x", (0.0, 1.0), (9.0, 8.0)), replace(tube, points=way + 1)]
    assert [is_still(shape) for shape in shapes] == [False, False, False, True, False]
    together = pack(shapes, HEART, LIVER)
    alone = [pack([shape], HEART, LIVER) for shape in shapes]
    assert together.spans[:, 1].tolist() == [len(one.rows) for one in alone] == [3, 2, 4, 1, 3]
    assert np.array_equal(together.rows, np.concatenate([one.rows for one in alone]))
    assert np.array_equal(together.kinds, np.concatenate([one.kinds for one in alone]))
    assert np.array_equal(alone[0].rows[:, :3], displaced(tube, HEART, LIVER))


def test_a_template_serves_many_states() -> None:
    """One state leaves no trace in the next, and a patient's parts are what they were packed from."""
    patient = Patient.of(Person.from_seed(6))
    for which in PARTS:
        shapes = patient.parts(which)
        for displacement in (9.0, 0.0, -2.5):
            state = MotionState(displacement)
            kept, anew = patient.packed(which, state), packed(patient, shapes, state)
            assert np.array_equal(kept.rows, anew.rows)
            assert np.array_equal(kept.spans, anew.spans)
            assert np.array_equal(kept.kinds, anew.kinds)
        assert len(patient.paints(which)) == len(shapes)
    moved = [patient.packed("all", MotionState(d)).rows for d in (0.0, 9.0)]
    assert not np.array_equal(*moved)


def test_nothing_is_packed_as_nothing() -> None:
    assert Template.of([]).at(HEART, LIVER).rows.shape == (0, 18)


def test_a_patient_of_a_seed_is_kept_and_is_that_of_the_person() -> None:
    kept, anew = Patient.from_seed(6), Patient.of(Person.from_seed(6))
    assert Patient.from_seed(6) is kept
    assert kept is not anew
    assert np.array_equal(kept.packed("all").rows, anew.packed("all").rows)
