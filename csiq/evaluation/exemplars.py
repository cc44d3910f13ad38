"""One image for each grade, and two of grade 3 with an artefact beside the heart: which, and where to look.

Which: among all patients of the database whose grade by the main reader is the one wanted, the image on which
the readers agree best, then the one whose noise-free reference is nearest. Without artefacts where the
simulator knows of them; with metal wires or a flow void where such a case is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from csiq.cohort.manifest import GradedScan
from csiq.errors import CsiqError
from csiq.evaluation.cases import Cases
from csiq.evaluation.shown_volume import shown_volume
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
    oriented : bool
        Whether the file says how the patient lies.
    """

    grade: float
    scan: GradedScan
    artefact: str
    where: str
    focus: np.ndarray
    arrow: np.ndarray | None = None
    oriented: bool = True


def choose(cases: Cases) -> list[Exemplar]:
    """Return an exemplar for each whole grade, and of grade 3 one with metal and one with a flow void.

    A grade that nobody has, or artefacts of which nothing is known, are left out; volumes that cannot be
    read are passed over.
    """
    marks = {scan.patient: _marks_of(cases, scan) for scan in cases.database}
    found = []
    for grade in (0.0, 1.0, 2.0, 3.0, 4.0):
        of_grade = _ranked(cases, grade)
        clean = [scan for scan in of_grade if not _is_marked(marks[scan.patient])]
        shown = _first_readable(clean) or _first_readable(of_grade)
        if shown is not None:
            scan, oriented = shown
            found.append(Exemplar(grade, scan, "", "", _middle(cases, scan), oriented=oriented))
    ranked = _ranked(cases, HIGH)
    wired = _first_readable(s for s in ranked if (m := marks[s.patient]) is not None and m.wires)
    flowing = _first_readable(s for s in ranked if (m := marks[s.patient]) is not None and m.jet)
    if wired is not None:
        found.append(_with_wires(cases, wired[0]))
    if flowing is not None:
        found.append(_with_jet(cases, flowing[0]))
    return found


def _ranked(cases: Cases, grade: float) -> list[GradedScan]:
    """Return the images of a grade, the best exemplar first."""
    main = cases.roles.main
    of_grade = [scan for scan in cases.database if scan.grades[main] == grade]

    def order(scan: GradedScan) -> tuple[float, float, str]:
        """Return how far the other readers and the reference are from the grade, and the name for ties."""
        others = [abs(g - grade) for g in scan.grades.values() if math.isfinite(g)]
        away = abs(scan.reference - grade) if math.isfinite(scan.reference) else 0.0
        return sum(others), away, scan.patient

    return sorted(of_grade, key=order)


def _first_readable(scans: Iterable[GradedScan]) -> tuple[GradedScan, bool] | None:
    """Return the first image whose volume can be read, and whether that says how the patient lies."""
    for scan in scans:
        try:
            return scan, shown_volume(scan.volume).oriented
        except CsiqError:
            continue
    return None


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
