"""One image for each grade, and two of grade 3 with an artefact beside the heart: which, and where to look.

Which: among all patients of the database whose grade by the main reader is the one wanted, the image on which
the readers agree best, then the one whose noise-free reference is nearest. Without artefacts where the
simulator knows of them; with metal wires or a flow void where such a case is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from csiq.cohort.manifest import GradedScan
from csiq.evaluation.cases import Cases
from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.marks import Marks, heart_marks, wire_shapes
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.shapes import Ellipsoid, Tube

#: Grade of the two cases with an artefact, and the words for them.
HIGH, METAL, FLOW = 3.0, "metal wires", "flow void"
#: Middle of the left ventricle in the frame of the heart: along its axis from the base, mm.
_MIDDLE = np.array([22.0, 0.0, 0.0])


@dataclass(frozen=True)
class Exemplar:
    """One image of Figure 2b.

    Attributes
    ----------
    grade : float
        Wanted, and given by the main reader.
    scan : GradedScan
    artefact : str
        :data:`METAL`, :data:`FLOW` or nothing.
    where : str
        What the artefact is, in words.
    focus : float array, (3,)
        Where the two slices cross, mm from the middle of the volume, RAS z y x.
    arrow : float array, (3,), optional
        Where the artefact is, likewise.
    """

    grade: float
    scan: GradedScan
    artefact: str
    where: str
    focus: np.ndarray
    arrow: np.ndarray | None = None


def choose(cases: Cases) -> list[Exemplar]:
    """Return an exemplar for each whole grade, and of grade 3 one with metal and one with a flow void.

    A grade that nobody has, or artefacts of which nothing is known, are left out.
    """
    marks = {scan.patient: _marks_of(cases, scan) for scan in cases.database}
    found = []
    for grade in (0.0, 1.0, 2.0, 3.0, 4.0):
        of_grade = _ranked(cases, grade)
        clean = [scan for scan in of_grade if not _is_marked(marks[scan.patient])]
        if of_grade:
            scan = (clean or of_grade)[0]
            found.append(Exemplar(grade, scan, "", "", _middle(cases, scan)))
    ranked = _ranked(cases, HIGH)
    wired = [s for s in ranked if (m := marks[s.patient]) is not None and m.wires]
    flowing = [s for s in ranked if (m := marks[s.patient]) is not None and m.jet]
    found += [_with_wires(cases, scan) for scan in wired[:1]]
    found += [_with_jet(cases, scan) for scan in flowing[:1]]
    return found


def _ranked(cases: Cases, grade: float) -> list[GradedScan]:
    """Return the images of a grade that can be shown, the best exemplar first."""
    main = cases.roles.main
    of_grade = [scan for scan in cases.database if scan.grades[main] == grade and _can_be_shown(scan)]

    def order(scan: GradedScan) -> tuple[float, float, str]:
        """Return how far the other readers and the reference are from the grade, and the name for ties."""
        others = [abs(g - grade) for g in scan.grades.values() if math.isfinite(g)]
        away = abs(scan.reference - grade) if math.isfinite(scan.reference) else 0.0
        return sum(others), away, scan.patient

    return sorted(of_grade, key=order)


def _can_be_shown(scan: GradedScan) -> bool:
    return scan.volume.name.endswith((".nii", ".nii.gz", ".h5")) and scan.volume.is_file()


def _person(cases: Cases, scan: GradedScan) -> Person | None:
    facts = cases.facts(scan.patient)
    return Person.from_seed(int(facts["seed"]), age=int(facts["age"]), sex=facts["sex"]) if facts else None


def _marks_of(cases: Cases, scan: GradedScan) -> Marks | None:
    person = _person(cases, scan)
    return Marks.of(person) if person is not None else None


def _is_marked(marks: Marks | None) -> bool:
    return marks is not None and bool(marks.wires or marks.jet or marks.valve)


def _middle(cases: Cases, scan: GradedScan) -> np.ndarray:
    """Return the middle of the left ventricle, of the volume where that is not known."""
    person = _person(cases, scan)
    return HeartSize.of(person).place(_MIDDLE) if person is not None else np.zeros(3)


def _with_wires(cases: Cases, scan: GradedScan) -> Exemplar:
    """Return a case with wires in the breastbone, cut at the loop nearest to the middle of the heart."""
    person = _person(cases, scan)
    assert person is not None
    marks, focus = Marks.of(person), _middle(cases, scan)
    loops = [
        s.centre
        for s in wire_shapes(marks, BodySize.of(person))
        if isinstance(s, Ellipsoid) and s.tissue == "void"
    ]
    nearest = min(loops, key=lambda centre: abs(centre[0] - focus[0]))
    where = f"{marks.wires} wires in the breastbone"
    return Exemplar(HIGH, scan, METAL, where, np.array([nearest[0], focus[1], nearest[2]]), nearest)


def _with_jet(cases: Cases, scan: GradedScan) -> Exemplar:
    """Return a case with a jet, cut through its middle."""
    person = _person(cases, scan)
    assert person is not None
    marks, heart = Marks.of(person), HeartSize.of(person)
    voids: Sequence[Tube] = [
        s for s in heart_marks(marks, heart) if isinstance(s, Tube) and s.tissue == "flow void"
    ]
    middle = voids[0].points.mean(axis=0)
    return Exemplar(HIGH, scan, FLOW, f"flow void, {marks.jet}", middle, middle)
