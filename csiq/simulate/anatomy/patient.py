"""A patient from a seed, and the image of a patient at a breathing state.

Anatomy knows nothing of traces or of k-space: :mod:`csiq.simulate.motion` says how far organs have moved,
:mod:`csiq.simulate.scan` reads the patient out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from csiq.errors import ConfigError
from csiq.simulate.anatomy.contrast import Sequence, Tissue, scan_contrast, signals
from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.marks import Marks, heart_marks, wire_shapes
from csiq.simulate.anatomy.packing import Packed, Template, displaced, is_still, pack
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.raster import paint
from csiq.simulate.anatomy.shapes import Grid, Shape
from csiq.simulate.anatomy.thorax import thorax_shapes
from csiq.simulate.anatomy.whole_heart import Heart, build_heart
from csiq.simulate.motion import Coupling, MotionState

_REST = MotionState(0.0)
#: What of a patient can be painted.
PARTS = ("all", "body", "static", "heart")


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
        """Return the patient of a seed; equal seeds give equal patients.

        The last few are kept: a patient does not change, and one person's shapes serve many scans.
        """
        return _patient_of(seed)

    @classmethod
    def of(cls, person: Person) -> Patient:
        """Return the patient a person is; what is drawn follows from the person's seed."""
        tissues, sequence = scan_contrast(person)
        body, heart = BodySize.of(person), HeartSize.of(person)
        return cls(person, body, heart, tissues, sequence, Coupling.drawn(person.rng(40)))

    @cached_property
    def organ(self) -> Heart:
        """The heart with its vessels, at end-expiration."""
        return build_heart(self.heart, self.body)

    @cached_property
    def marks(self) -> Marks:
        """What surgery and disease have left, and the bias field."""
        return Marks.of(self.person)

    @cached_property
    def body_shapes(self) -> tuple[Shape, ...]:
        """What does not move with the heart, great vessels far from it included."""
        wires = wire_shapes(self.marks, self.body)
        return (*thorax_shapes(self.body), *self.organ.vessels.far, *wires)

    @cached_property
    def heart_shapes(self) -> tuple[Shape, ...]:
        """What moves with the heart."""
        return (*self.organ.shapes, *heart_marks(self.marks, self.heart))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Everything in the order of painting, at end-expiration."""
        return (*self.body_shapes, *self.heart_shapes)

    @cached_property
    def signals(self) -> dict[str, float]:
        """Signal of each tissue, arterial blood 1."""
        raw = signals(self.tissues, self.sequence)
        return {name: value / raw["arterial blood"] for name, value in raw.items()}

    def parts(self, which: str) -> tuple[Shape, ...]:
        """Return the shapes of one of :data:`PARTS`: see :func:`rasterise`."""
        if which not in PARTS:
            raise ConfigError(f"'{which}' is no part of a patient", field="parts", hint=", ".join(PARTS))
        if which == "static":
            return self._still_shapes
        return {"all": self.shapes, "body": self.body_shapes, "heart": self.heart_shapes}[which]

    def packed(self, which: str, state: MotionState = _REST) -> Packed:
        """Return one of :data:`PARTS` where breathing has moved it, in the order of :meth:`parts`."""
        if which not in self._templates:
            self._templates[which] = Template.of(self.parts(which))
        maps = self.coupling.heart_map(state), self.coupling.liver_map(state)
        return self._templates[which].at(*maps)

    def paints(self, which: str) -> list[float]:
        """Return the signal of each shape of one of :data:`PARTS`."""
        return [self.signals[shape.tissue] for shape in self.parts(which)]

    @cached_property
    def _still_shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for shape in self.body_shapes if is_still(shape))

    @cached_property
    def _templates(self) -> dict[str, Template]:
        return {}


@lru_cache(maxsize=4)
def _patient_of(seed: int) -> Patient:
    return Patient.of(Person.from_seed(seed))


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

    @property
    def length(self) -> float:
        """Along the axis, mm."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


def rasterise(
    patient: Patient,
    grid: Grid,
    state: MotionState = _REST,
    *,
    parts: str = "all",
    threads: int | None = None,
    over: np.ndarray | None = None,
) -> np.ndarray:
    """Return the patient's image: signal without coils, arterial blood 1.

    What moves with the heart ends within 88 mm of the origin at rest along each axis, and is painted last:
    ``all`` equals ``heart`` painted over ``body``, to the bit, and differs from ``body`` only there.

    Parameters
    ----------
    grid : Grid
        Voxels should be about as long on all axes: the share a shape has of a voxel is that of a cube.
    state : MotionState
    parts : str
        ``all``; ``body``, all but what moves with the heart; ``static``, what of the body never moves; or
        ``heart``, what moves with the heart, alone.
    threads : int, optional
        The result does not depend on it.
    over : float32 array, ``grid.shape``, optional
        An image to paint on; it is copied.

    Returns
    -------
    float32 array, ``grid.shape``

    Raises
    ------
    ConfigError
        If there is no such part.
    ShapeError
        If ``over`` is not of the grid's shape.
    """
    return paint(patient.packed(parts, state), patient.paints(parts), grid, threads=threads, over=over)


def heart_mask(patient: Patient, grid: Grid, state: MotionState = _REST) -> np.ndarray:
    """Return where the heart is, its fat and coronaries included.

    Returns
    -------
    bool array, ``grid.shape``
    """
    fat = patient.organ.fat
    share = paint(packed(patient, fat, state), [1.0] * len(fat), grid)
    return np.asarray(share > 0.5)


def blood_mask(patient: Patient, grid: Grid, state: MotionState = _REST) -> np.ndarray:
    """Return the share of blood in each voxel, of heart and vessels.

    Returns
    -------
    float32 array, ``grid.shape``
    """
    values = [float("blood" in shape.tissue) for shape in patient.shapes]
    return paint(patient.packed("all", state), values, grid)


def coronary_centrelines(patient: Patient, state: MotionState = _REST) -> dict[str, Centreline]:
    """Return the axes of the coronary arteries: RCA, LAD, LCX, LM, and then branches.

    LAD and LCX begin where the left main (LM) divides. Branches are D1 to D3 (diagonals), OM1 to OM3 (obtuse
    marginals), AM (acute marginal), PDA (posterior descending) and PL (left posterolateral); which there
    are differs from heart to heart.
    """
    heart, liver = patient.coupling.heart_map(state), patient.coupling.liver_map(state)
    return {
        tube.name: Centreline(displaced(tube, heart, liver), tube.radius) for tube in patient.organ.arteries
    }


def chamber_volumes(patient: Patient) -> dict[str, float]:
    """Return the blood in ``LV``, ``RV``, ``LA`` and ``RA`` at rest in diastole, ml.

    Papillary muscles, trabeculae and leaflets are not blood; orifices and mouths of veins belong to atria.
    """
    return dict(patient.heart.volumes)


def packed(patient: Patient, shapes: tuple[Shape, ...], state: MotionState) -> Packed:
    """Return shapes of a patient where breathing has moved them."""
    return pack(shapes, patient.coupling.heart_map(state), patient.coupling.liver_map(state))
