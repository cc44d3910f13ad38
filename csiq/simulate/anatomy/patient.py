"""A patient from a seed, and the image of a patient at a breathing state.

Anatomy knows nothing of traces or of k-space: :mod:`csiq.simulate.motion` says how far organs have moved,
:mod:`csiq.simulate.scan` reads the patient out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from csiq.simulate.anatomy.contrast import Sequence, Tissue, scan_contrast, signals
from csiq.simulate.anatomy.heart import HeartSize, chambers, coronaries, heart_shapes
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.raster import Packed, displaced, pack, paint
from csiq.simulate.anatomy.shapes import Envelope, Grid, Shape
from csiq.simulate.anatomy.thorax import BodySize, thorax_shapes
from csiq.simulate.motion import Coupling, MotionState

_REST = MotionState(0.0)


@dataclass(frozen=True)
class Patient:
    """One person: sizes, tissues, and how breathing moves the organs.

    Attributes
    ----------
    person : Person
    body : BodySize
    heart : HeartSize
    tissues : dict of Tissue
    sequence : Sequence
        Played at this person's heart rate.
    coupling : Coupling
    """

    person: Person
    body: BodySize
    heart: HeartSize
    tissues: Mapping[str, Tissue]
    sequence: Sequence
    coupling: Coupling

    @classmethod
    def from_seed(cls, seed: int) -> Patient:
        """Return the patient of a seed; equal seeds give equal patients."""
        return cls.of(Person.from_seed(seed))

    @classmethod
    def of(cls, person: Person) -> Patient:
        """Return the patient a person is; what is drawn follows from the person's seed."""
        rng = np.random.default_rng([person.seed, 1])
        tissues, sequence = scan_contrast(person)
        return cls(person, _body(rng), _heart(rng), tissues, sequence, Coupling.drawn(rng))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Everything in the order of painting, at end-expiration."""
        return (*thorax_shapes(self.body), *heart_shapes(self.heart))

    @cached_property
    def signals(self) -> dict[str, float]:
        """Signal of each tissue, arterial blood 1."""
        raw = signals(self.tissues, self.sequence)
        return {name: value / raw["arterial blood"] for name, value in raw.items()}


@dataclass(frozen=True)
class Centreline:
    """The axis of a vessel.

    Attributes
    ----------
    points : float64 array, (n, 3)
        mm, z y x, about 1.5 mm apart, from the ostium on.
    radius : float64 array, (n,)
        mm.
    """

    points: np.ndarray
    radius: np.ndarray


def rasterise(
    patient: Patient,
    grid: Grid,
    state: MotionState = _REST,
    *,
    parts: str = "all",
    threads: int | None = None,
) -> np.ndarray:
    """Return the patient's image: signal without coils, arterial blood 1.

    Parameters
    ----------
    grid : Grid
        Voxels should be about as long on all axes: the share a shape has of a voxel is that of a cube.
    state : MotionState
    parts : str
        ``all``; ``body``, all but the heart and its vessels; or ``static``, what of the body never moves.
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    float32 array, ``grid.shape``
    """
    shapes = patient.shapes
    if parts != "all":
        shapes = shapes[: len(thorax_shapes(patient.body))]
    if parts == "static":
        shapes = tuple(shape for shape in shapes if _is_still(shape))
    values = patient.signals
    return paint(_packed(patient, shapes, state), [values[s.tissue] for s in shapes], grid, threads=threads)


def heart_mask(patient: Patient, grid: Grid, state: MotionState = _REST) -> np.ndarray:
    """Return where the heart is, its fat included.

    Returns
    -------
    bool array, ``grid.shape``
    """
    layer = Envelope("fat", chambers(patient.heart), patient.heart.fat, 22.0)
    share = paint(_packed(patient, (layer,), state), [1.0], grid)
    return np.asarray(share > 0.5)


def blood_mask(patient: Patient, grid: Grid, state: MotionState = _REST) -> np.ndarray:
    """Return the share of blood in each voxel, of heart and vessels.

    Returns
    -------
    float32 array, ``grid.shape``
    """
    shapes = patient.shapes
    values = [float("blood" in shape.tissue) for shape in shapes]
    return paint(_packed(patient, shapes, state), values, grid)


def coronary_centrelines(patient: Patient, state: MotionState = _REST) -> dict[str, Centreline]:
    """Return the axes of RCA, LAD (with the left main) and LCX."""
    heart, liver = patient.coupling.heart_map(state), patient.coupling.liver_map(state)
    return {
        tube.name: Centreline(displaced(tube, heart, liver), tube.radius)
        for tube in coronaries(patient.heart)
    }


def _is_still(shape: Shape) -> bool:
    weights = (getattr(shape, name, 0.0) for name in ("follow_heart", "follow_liver"))
    return not isinstance(shape, Envelope) and not any(np.any(weight) for weight in weights)


def _packed(patient: Patient, shapes: tuple[Shape, ...], state: MotionState) -> Packed:
    return pack(shapes, patient.coupling.heart_map(state), patient.coupling.liver_map(state))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _body(rng: np.random.Generator) -> BodySize:
    width = _between(rng, 310, 395)
    fat = _between(rng, 8, 24)
    return BodySize(
        middle=(_between(rng, -36, -26), _between(rng, 10, 18)),
        width=width,
        depth=width * _between(rng, 0.66, 0.74) + 6,
        fat=fat,
        dome=_between(rng, -50, -40),
    )


def _heart(rng: np.random.Generator) -> HeartSize:
    return HeartSize(
        base=np.array([-1.0, -11.0, -11.0]) + rng.uniform(-4, 4, 3),
        rotation=_rotation(np.deg2rad(rng.uniform(-10, 10, 3))),
        scale=_between(rng, 0.88, 1.04),
        left=_between(rng, 0.95, 1.05),
        right=_between(rng, 0.95, 1.05),
        atria=_between(rng, 0.92, 1.08),
        wall=_between(rng, 8.5, 12.0),
        fat=_between(rng, 3.0, 5.5),
        vessel=_between(rng, 0.88, 1.12),
        wander=rng.uniform(-3, 3, (3, 8, 3)),
    )


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Return the rotation by three angles about z, y and x."""
    total = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        one, two = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[one, one], turn[one, two], turn[two, one], turn[two, two] = c, -s, s, c
        total = turn @ total
    return total
