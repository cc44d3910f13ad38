"""Figure 2b: artefacts that still grade 3 are found and pointed at; volumes of every format can be shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.cohort.manifest import GradedScan
from csiq.convert import ConvertOptions, convert
from csiq.errors import CsiqError
from csiq.evaluation import exemplar_figure
from csiq.evaluation.cases import Cases, read_cases
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.exemplars import FLOW, METAL, choose
from csiq.evaluation.predictions import predict
from csiq.evaluation.shown_volume import shown_volume
from csiq.io.tables import write_json
from csiq.io.volumes import write_volumes
from csiq.simulate.anatomy.patient import Patient, rasterise
from csiq.simulate.anatomy.people import Person
from csiq.simulate.anatomy.shapes import Grid
from tests.evaluation.small_cohort import Brightness, make_cohort

#: Of the small cohort: wires alone, a jet alone, wires with a prosthesis, and wires with a jet.
WIRED, FLOWING, VALVE, BOTH = "p010", "p009", "p012", "p014"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return read_cases(make_cohort(tmp_path_factory.mktemp("cohort") / "cohort"))


def _regraded(cases: Cases, grades: dict[str, float]) -> Cases:
    """Return the cases with other grades of all readers for some patients."""
    database = tuple(
        replace(scan, grades=dict.fromkeys(scan.grades, grades[scan.patient]), reference=grades[scan.patient])
        if scan.patient in grades
        else scan
        for scan in cases.database
    )
    return replace(cases, database=database)


def _around(cases: Cases, patient: str, place: np.ndarray) -> tuple[float, float]:
    """Return the signal of the simulated patient at a place, and the median within 21 mm of it."""
    facts = cases.facts(patient)
    assert facts is not None
    person = Person.from_seed(int(facts["seed"]), age=int(facts["age"]), sex=facts["sex"])
    z, y, x = (float(v) for v in place)
    signal = np.abs(rasterise(Patient.of(person), Grid.cube(21, 42.0, (z, y, x))))
    return float(signal[10, 10, 10]), float(np.median(signal))


def test_wires_and_a_jet_that_still_grade_3_are_shown(cases: Cases) -> None:
    """As in the paper's Figure 2b: a metal and a flow artefact, each with its arrow on the signal void."""
    found = choose(_regraded(cases, {WIRED: 3.0, FLOWING: 3.0}))
    marked = {exemplar.artefact: exemplar for exemplar in found if exemplar.artefact}
    assert {name: (e.grade, e.scan.patient) for name, e in marked.items()} == {
        METAL: (3.0, WIRED),
        FLOW: (3.0, FLOWING),
    }
    for exemplar in marked.values():
        assert exemplar.arrow is not None
        there, around = _around(cases, exemplar.scan.patient, exemplar.arrow)
        assert there < around / 2
    metal, flow = marked[METAL], marked[FLOW]
    assert metal.where == "5 wires in the breastbone"
    assert metal.arrow is not None
    assert metal.arrow[1] > 60, "mm in front of the middle of the volume"
    assert flow.where == "flow void, aortic regurgitation"
    # both slices run through the artefact
    for exemplar in (metal, flow):
        assert exemplar.arrow is not None
        assert exemplar.focus[[0, 2]] == pytest.approx(exemplar.arrow[[0, 2]])
    # the plain image of grade 3 has no artefact
    (plain,) = [exemplar for exemplar in found if exemplar.grade == 3 and not exemplar.artefact]
    assert plain.scan.patient not in (WIRED, FLOWING, VALVE, BOTH)


def test_the_best_of_several_is_taken(cases: Cases) -> None:
    """Readers agree on both; the reference of the second is nearer."""
    again = _regraded(cases, {WIRED: 3.0, VALVE: 3.0})
    far = tuple(replace(s, reference=2.6) if s.patient == WIRED else s for s in again.database)
    (found,) = [e for e in choose(replace(again, database=far)) if e.artefact]
    assert (found.artefact, found.scan.patient) == (METAL, VALVE)


def test_the_page_names_artefacts_and_says_which_are_missing(cases: Cases, tmp_path: Path) -> None:
    both = _regraded(cases, {WIRED: 3.0, FLOWING: 3.0})
    predictions = predict(cases, [Brightness()], tmp_path)
    part = exemplar_figure.section(Comparison(both, predictions))
    assert f"{WIRED}, 5 wires in the breastbone; {FLOWING}, flow void" in part.items[0].caption
    assert part.differences == ()
    rows = [row for row in part.items[0].data if row["artefact"] != "none"]
    assert [(row["patient"], row["reader1a"]) for row in rows] == [(WIRED, 3.0), (FLOWING, 3.0)]
    without = exemplar_figure.section(Comparison(_regraded(cases, {WIRED: 3.0}), predictions))
    assert without.differences == (
        "No image of grade 3 here has flow void, as one of the paper's Figure 2b.",
    )


# -- volumes of every format

SHAPE, MARKER = (7, 11, 8), (4, 9, 2)  # z y x


def _geometry() -> Geometry:
    """Return coronal slices of 1 x 2 x 3 mm (x y z): x to the right, y to the feet, z to the front."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) * [1.0, 2.0, 3.0]
    return Geometry(SHAPE, (21.0, 22.0, 8.0), affine)


def _volumes() -> np.ndarray:
    """Return two phases; only the second has a marker, its brightest voxel."""
    z, y, x = np.indices(SHAPE)
    ramp = (1 + x + 2 * y + 3 * z).astype(np.complex64)
    volumes = np.stack([ramp, 1j * ramp])
    volumes[1][MARKER] = 500
    return volumes


def _run(folder: Path, source: Path) -> Path:
    (folder / "scan.csiq").mkdir()
    shutil.copy(source, folder / "scan.csiq" / "volumes.h5")
    write_json(folder / "scan.csiq" / "ranking.json", {"best_phase": 2})
    return folder / "scan.csiq"


def _converted(name: str, cell: str, phase: int | None = None) -> Callable[[Path, Path], Path]:
    def write(folder: Path, source: Path) -> Path:
        """Write the source in another format."""
        convert(source, folder / name, ConvertOptions(phase=phase))
        return folder / cell

    return write


FORMATS: dict[str, Callable[[Path, Path], Path]] = {
    "HDF5": lambda folder, source: folder / f"{source.name}:2",
    "run folder": _run,
    "phase of a run": lambda folder, source: _run(folder, source).with_name("scan.csiq:2"),
    "NIfTI": _converted("a.nii", "a.nii", 2),
    "NIfTI of phases": _converted("a.nii.gz", "a.nii.gz:2"),
    "DICOM series": _converted("series", "series", 2),
    "ISMRMRD images": _converted("a.mrd", "a.mrd:2"),
    "BART": _converted("a.cfl", "a.cfl:2"),
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_shown_the_same_way_round(tmp_path: Path, name: str) -> None:
    write_volumes(tmp_path / "source.h5", _volumes(), _geometry(), iteration=3)
    shown = shown_volume(FORMATS[name](tmp_path, tmp_path / "source.h5"))
    assert shown.oriented
    assert shown.voxel_size == pytest.approx((1.0, 3.0, 2.0))
    # to the right: x; to the front: z; to the head: y, which grows to the feet
    expected = np.abs(_volumes()[1]).transpose(2, 0, 1)[:, :, ::-1]
    np.testing.assert_allclose(shown.values / shown.values.max(), expected / 500, atol=1e-4)


def test_an_array_is_shown_as_it_lies(tmp_path: Path) -> None:
    volume = np.abs(_volumes()[1])
    np.save(tmp_path / "a.npy", volume)
    write_json(tmp_path / "a.json", {"voxel_size_mm": [3.0, 2.0, 1.0]})
    shown = shown_volume(tmp_path / "a.npy")
    assert not shown.oriented
    assert shown.voxel_size == (1.0, 2.0, 3.0)
    np.testing.assert_array_equal(shown.values, volume.transpose(2, 1, 0))


def test_one_of_several_has_to_be_named(tmp_path: Path) -> None:
    write_volumes(tmp_path / "source.h5", _volumes(), _geometry(), iteration=3)
    with pytest.raises(CsiqError, match=r"holds 2 volumes; name one: source.h5:1"):
        shown_volume(tmp_path / "source.h5")
    with pytest.raises(CsiqError, match="there is no phase 3"):
        shown_volume(tmp_path / "source.h5:3")


def test_what_cannot_be_read_is_passed_over_and_what_lies_unknown_is_said(tmp_path: Path) -> None:
    folder = make_cohort(tmp_path / "clinic", 6, known=False)
    cases = read_cases(folder)
    np.save(folder / "plain.npy", np.ones((16, 16, 16), np.float32))
    write_json(folder / "plain.json", {"voxel_size_mm": [13.0, 13.0, 13.0]})
    (folder / "cut.nii").write_bytes(b"\0" * 400)
    grades = dict.fromkeys(cases.readers, 2.0)
    # the readers agree best on those that are not there, or cut short
    scans = [
        GradedScan(folder / "gone.nii", "q1", "train", grades),
        GradedScan(folder / "cut.nii", "q2", "train", grades),
        GradedScan(folder / "plain.npy", "q3", "train", {**grades, "reader2": 2.5}),
    ]
    (found,) = choose(replace(cases, database=tuple(scans)))
    assert (found.scan.patient, found.oriented) == ("q3", False)
    predictions = predict(cases, [Brightness()], tmp_path)
    part = exemplar_figure.section(Comparison(replace(cases, database=tuple(scans)), predictions))
    assert "How the patient lies is not said by the files of q3" in part.lead[0]
    nothing = exemplar_figure.section(Comparison(replace(cases, database=tuple(scans[:2])), predictions))
    assert nothing.lead == ("No volume of a whole grade can be read.",)
    assert not nothing.items
