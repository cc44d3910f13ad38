"""Does the grade mean more than the formula it was learned from? All experiments of docs/trust.md.

    python benchmarks/trust.py --cohort COHORT --anatomy ANATOMY --model MODEL -o trust [--patients 12]

COHORT is a folder of `csiq cohort init`, ANATOMY one with the files that csiq.trust.second_anatomy names;
either may be left out, with its experiments. What is finished is kept: the same command goes on where it was
stopped, and with `--keep-images` another model grades the same images without their being made again.
`--only` chooses experiments, `--shard 1/2` every second case. Writes summary.md and .json, a TSV and a
picture an experiment. Simulated scans and readers, research use only.

    manifests   writes shuffled/graded.tsv and without/graded.tsv, to be trained on with `csiq train`;
                --shuffled and --without name the networks that came of them
    ordering, second, held-out, held-out-second, conditions, observer, controls, controls-second, invariance,
    test, outside, shuffled, without
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from csiq.arrays import default_threads, use_threads
from csiq.cohort.cohort_folder import config_of
from csiq.cohort.manifest import read_manifest, write_manifest
from csiq.cohort.patients import draw_patients
from csiq.heatmap import Occlusion
from csiq.io.nifti import read_volume
from csiq.io.tables import read_json, read_table
from csiq.quality.grade import Grader
from csiq.training.graded_set import GradedImage, GradedSet
from csiq.trust import summary
from csiq.trust.anatomy_case import anatomy_cases
from csiq.trust.controls import control_rows, heat_row
from csiq.trust.held_out import shuffled, without
from csiq.trust.image_quality import QUALITIES
from csiq.trust.invariance import invariance_rows
from csiq.trust.mechanisms import HELD_OUT, IMPERFECT, MECHANISMS, ORDERING
from csiq.trust.ordering import grade_levels
from csiq.trust.outside_metrics import outside_row
from csiq.trust.radial_scan import Case
from csiq.trust.record import Record, Rows
from csiq.trust.simulated_case import SimulatedPatient, of_test_part
from csiq.trust.stenosis import StenosisTask, observer_rows

#: Sampling and SNR of scans under which motion is looked at once more: the middle and the hard end.
CONDITIONS = {"middle": {"sampling": 0.17, "snr": 22.0}, "hard": {"sampling": 0.12, "snr": 12.0}}
#: Slices whose heat maps are made, mm from the middle of the heart.
SLICES = (-24.0, -8.0, 8.0, 24.0)


@dataclass(frozen=True)
class Study:
    """What was asked for."""

    asked: argparse.Namespace
    record: Record
    grader: Any

    @property
    def sha256(self) -> str:
        """Of the network that grades."""
        return str(self.grader.sha256)

    @cached_property
    def people(self) -> list[dict[str, Any]]:
        """Rows of the cohort's patients; what was drawn of them need not stand in the table."""
        rows = read_table(self.asked.cohort / "patients.tsv")
        config = config_of(read_json(self.asked.cohort / "cohort.json"))
        drawn = {one.name: one.as_row() for one in draw_patients(config.n_patients, seed=config.seed)}
        return [{**drawn[row["patient"]], **row} for row in rows]

    def mine(self, items: Sequence[Any]) -> list[Any]:
        """Return the items of this shard."""
        part, parts = (int(number) for number in self.asked.shard.split("/"))
        return list(items)[part - 1 :: parts]

    def patients(self, n: int) -> list[dict[str, Any]]:
        """Return patients of the test part."""
        return self.mine(of_test_part(self.people, n))

    def anatomies(self) -> Iterator[Case]:
        """Yield the second anatomy's cases."""
        chosen = set(self.mine(range(9)))
        for number, case in enumerate(anatomy_cases(self.asked.anatomy, self.asked.matrix)):
            if number in chosen:
                yield case

    def levels(self, experiment: str, name: str, case: Callable[[], Case], kinds: Sequence[str]) -> None:
        """Grade a case at all levels of some mechanisms."""
        for kind in kinds:
            levels = self.record.levels(name, case, MECHANISMS[kind])
            make = partial(grade_levels, self.grader, levels)
            self.keep(experiment, f"{name}-{kind}", make)

    def keep(self, experiment: str, item: str, make: Callable[[], Rows]) -> None:
        """Have an item's rows made, unless they are there."""
        self.record.rows(experiment, item, self.sha256, make)
        print(f"{experiment}: {item}", flush=True)


def ordering(study: Study, kinds: Sequence[str] = ORDERING, experiment: str = "ordering") -> None:
    """Levels of one patient's scan, made worse one thing at a time."""
    n = study.asked.patients if experiment == "ordering" else study.asked.held_out_patients
    for row in study.patients(n):
        case = OneCase(partial(SimulatedPatient.of, row, study.asked.matrix))
        study.levels(experiment, str(row["patient"]), case, kinds)


def second(study: Study, kinds: Sequence[str] = ORDERING, experiment: str = "second") -> None:
    """The same of a heart that the simulator did not make."""
    for case in study.anatomies():
        study.levels(experiment, case.name, lambda case=case: case, kinds)


def conditions(study: Study) -> None:
    """Motion at equal SNR and spokes, other than the best."""
    for row in study.patients(study.asked.held_out_patients):
        for name, numbers in CONDITIONS.items():
            case = OneCase(partial(SimulatedPatient.of, row, study.asked.matrix, **numbers))
            study.levels(f"conditions-{name}", f"{row['patient']}-{name}", case, ("motion",))


def controls(study: Study) -> None:
    """What must not change a grade, what must, and where the heat map points."""
    for row in study.patients(study.asked.patients):
        _controls(study, "controls", OneCase(partial(SimulatedPatient.of, row, study.asked.matrix)))


def controls_second(study: Study) -> None:
    """The same of the second anatomy, where there is a chest to change."""
    for case in study.anatomies():
        if not case.name.startswith("fat"):
            _controls(study, "controls-second", lambda case=case: case)


def _controls(study: Study, experiment: str, case: Callable[[], Case]) -> None:
    def rows(make: Callable[..., Any]) -> Rows:
        scan = case().base
        return make(case().name, np.abs(scan.grid(scan.received())), scan.truth)

    def heat(*image: Any) -> Rows:
        fills = ("blur", "zero")
        return [heat_row(study.grader, *image, Occlusion(offsets=SLICES, fill=fill)) for fill in fills]

    name = case().name
    study.keep(experiment, name, lambda: rows(partial(control_rows, study.grader)))
    study.keep(f"{experiment}-heat", name, lambda: rows(heat))


def observer(study: Study) -> None:
    """A model observer's task at several qualities, and the grade of the same qualities."""
    for row in study.patients(study.asked.patients):
        make = partial(_observed, study, StenosisTask(int(row["seed"])), str(row["patient"]))
        study.keep("observer", str(row["patient"]), make)


def _observed(study: Study, task: StenosisTask, name: str) -> Rows:
    signal = task.whole(study.asked.matrix)
    rows: Rows = []
    for found, quality in zip(observer_rows(task), QUALITIES, strict=True):
        image = np.abs(quality.image(signal, 1.0, 0)).astype(np.float32)
        grade = float(study.grader.grade(image, (1.0, 1.0, 1.0)).grade)
        rows.append({"case": name, **found, "grade": grade})
    return rows


def invariance(study: Study) -> None:
    """Changes of images of the cohort's test part that change no quality."""
    for scan in study.mine(_test_scans(study)[: study.asked.patients]):
        make = partial(_of_volume, study, scan, partial(invariance_rows, study.grader, scan.patient))
        study.keep("invariance", scan.patient, make)


def whole_test(study: Study, experiment: str = "test") -> None:
    """Grades of the whole test part, beside what is known of each scan."""
    people = {row["patient"]: row for row in study.people}
    for scan in study.mine(_test_scans(study)):

        def row(volume: np.ndarray, size: Any, scan: Any = scan) -> Rows:
            known = {k: v for k, v in people[scan.patient].items() if k not in ("age", "sex", "seed")}
            return [{"case": scan.patient, "grade": float(study.grader.grade(volume, size).grade), **known}]

        study.keep(experiment, scan.patient, partial(_of_volume, study, scan, row))


def outside(study: Study) -> None:
    """Metrics that formula and network do not know, of the whole test part."""
    people = {row["patient"]: row for row in study.people}
    for image in study.mine(GradedSet.open(study.asked.cohort / "graded.tsv", splits=["test"]).images):

        def row(image: GradedImage = image) -> Rows:
            grade = study.grader.grade(np.asarray(image.volume), image.voxel_size).grade
            return [{**outside_row(image, people[image.patient]), "grade": float(grade)}]

        study.keep("outside", image.patient, row)


def manifests(study: Study) -> None:
    """Write what networks for the controls are trained on."""
    scans = read_manifest(study.asked.cohort / "graded.tsv")
    for name, rows in (("shuffled", shuffled(scans)), ("without", without(scans, study.people, IMPERFECT))):
        folder = study.record.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(folder / "graded.tsv", rows)
        print(f"csiq train {folder / 'graded.tsv'} -o {folder / 'model'} --name {name}")


def other_network(study: Study, name: str) -> None:
    """The test part, and for ``without`` what it never saw, graded by a network trained otherwise."""
    model = getattr(study.asked, name)
    if model is None:
        return
    other = Study(study.asked, study.record, Grader.load(model))
    whole_test(other, f"{name}-test")
    if name == "without":
        ordering(other, IMPERFECT, "without-levels")


class OneCase:
    """A case that is made when it is first asked for."""

    def __init__(self, make: Callable[[], Case]) -> None:
        self._make = make

    def __call__(self) -> Case:
        """Return it."""
        return self._case

    @cached_property
    def _case(self) -> Case:
        return self._make()


def _test_scans(study: Study) -> list[Any]:
    return [scan for scan in read_manifest(study.asked.cohort / "graded.tsv") if scan.split == "test"]


def _of_volume(study: Study, scan: Any, make: Callable[..., Rows]) -> Rows:
    volume, voxel_size, _ = read_volume(scan.volume)
    return make(np.abs(np.asarray(volume)).astype(np.float32), voxel_size)


COHORT: dict[str, Callable[[Study], None]] = {
    "manifests": manifests,
    "test": whole_test,
    "ordering": ordering,
    "held-out": partial(ordering, kinds=(*HELD_OUT, *IMPERFECT), experiment="held-out"),
    "conditions": conditions,
    "observer": observer,
    "controls": controls,
    "invariance": invariance,
    "outside": outside,
    "shuffled": partial(other_network, name="shuffled"),
    "without": partial(other_network, name="without"),
}
ANATOMY: dict[str, Callable[[Study], None]] = {
    "second": second,
    "held-out-second": partial(second, kinds=(*HELD_OUT, *IMPERFECT), experiment="held-out-second"),
    "controls-second": controls_second,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for and write the summary of all that is there."""
    asked = options(arguments)
    use_threads(asked.threads)
    study = Study(asked, Record(asked.out, asked.keep_images), Grader.load(asked.model))
    known = (COHORT if asked.cohort else {}) | (ANATOMY if asked.anatomy else {})
    for name in asked.only or known:
        known[name](study)
    others = {name: getattr(asked, name) for name in ("shuffled", "without")}
    shas = {name: Grader.load(model).sha256 for name, model in others.items() if model}
    summary.write(asked.out, study.record, study.grader, shas)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cohort", type=Path, help="folder of csiq cohort init")
    parser.add_argument("--anatomy", type=Path, help="folder of the second anatomy")
    parser.add_argument("--model", default="default")
    parser.add_argument("--shuffled", help="network trained on OUT/shuffled/graded.tsv")
    parser.add_argument("--without", help="network trained on OUT/without/graded.tsv")
    parser.add_argument("-o", "--out", type=Path, default=Path("trust"))
    parser.add_argument("--only", nargs="+", choices=[*COHORT, *ANATOMY])
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--held-out-patients", type=int, default=6)
    parser.add_argument("--matrix", type=int, default=208)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--keep-images", action="store_true")
    parser.add_argument("--threads", type=int, default=default_threads())
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
