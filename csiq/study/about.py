"""What the page says around its parts: the bars in one table, notes, how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csiq.evaluation.section import Section, shown
from csiq.study.bar import Bar, bars_table
from csiq.study.compared import RULE
from csiq.study.material import Material
from csiq.study.overhead import LABEL
from csiq.study.published import N_SCANS, calibrated_table
from csiq.study.scans import TESTING, TUNING
from csiq.study.times import outside_share

#: What stands on top of the page and goes with every figure.
USE = "Simulated patients and simulated readers, research use only: no human was imaged or graded an image."

#: Share of images outside the network's domain from which on the page warns of its grades.
_OUTSIDE = 0.1
#: What is different by design, for whoever compares numbers.
_BY_DESIGN = (
    "Patients are simulated: regular anatomy, breathing of drawn depth and drift, motion of the heart as "
    "stated in docs/patients.md. The paper's 69 scans are of referred patients.",
    "The network is csiq's, trained on simulated images and readers; the paper's was trained on 324 human "
    "scans.",
    "Iteration 0 is the density-compensated image combined with coil maps; how the paper gridded is not "
    "stated.",
    "lambda, gating and maps are csiq's; the paper's pipeline is published elsewhere and is not copied.",
)


def bars_of(sections: Sequence[Section]) -> list[Bar]:
    """Return the bars of all parts, in their order."""
    return [one for section in sections for one in section.numbers.get("bars", ())]


def summary_section(study: Material, bars: Sequence[Bar]) -> Section:
    """Return the part with all bars."""
    met, said = sum(one.met is True for one in bars), sum(one.met is not None for one in bars)
    open_ = len(bars) - said
    lead = f"{met} of {said} bars that can be judged are met" + (
        f"; {open_} cannot be judged." if open_ else "."
    )
    note = (
        "Loss is measured by reference quality and NRMSE, never by the network's own grade. Unless an "
        "interval is asked for, met is said of the value, whatever its interval. Where every case is right, "
        "the interval is the exact one of so many scans."
    )
    if len(study.main) < N_SCANS:
        note += f" Bars are set for {N_SCANS} scans; with {len(study.main)} they are a first look."
    of_solvers = [one for one in bars if one.solver != LABEL]
    items = [bars_table("bars", "What the study is asked to show", of_solvers, note)]
    if others := [one for one in bars if one.solver == LABEL]:
        items.append(bars_table("bars-others", "What does not depend on the scans", others))
    return Section("Bars", (lead,), items)


def calibrated_section(study: Material) -> Section:
    """Return the part on what was set from the paper, and on what differs by design."""
    table = calibrated_table(len(study.main), study.main.last, study.main.n_phases)
    return Section("Calibrated, and different by design", _BY_DESIGN, [table])


def notes(study: Material) -> list[str]:
    """Return what has to be known to read the numbers."""
    found = []
    for solver in study.config["solvers"]:
        for role, what in ((TESTING, "scans"), (TUNING, "scans to tune on")):
            missing = study.missing(solver, role)
            if missing:
                more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
                names = ", ".join(missing[:5]) + more
                found.append(f"{study.label(solver)}, {what} that are not finished: {names}.")
    n = len(study.main)
    if n < N_SCANS:
        found.append(
            f"{n} scans instead of the paper's {N_SCANS}: intervals are wide, and bars a first look. A study "
            "that is asked for fewer scans takes those that differ most in difficulty, so that SDs, ranges "
            "and R² may be larger than of scans at random."
        )
    for solver, curves in study.test.items():
        outside = outside_share(curves)
        if outside >= _OUTSIDE:
            found.append(
                f"{study.label(solver)}: {shown(100 * outside, 0)} % of the graded images lie outside the "
                "network's training domain; their grades, and what follows from them, are not to be relied "
                "on."
            )
    if int(study.config["matrix"]) < 208:
        found.append(
            f"Matrix {study.config['matrix']}: voxels of {shown(study.voxel_size)} mm, the paper's have 1 "
            "mm. At 208 the whole study takes some 16 hours and 7 GB a process on two cores; it is meant "
            "for a GPU. The sampling ratio is the same. Larger voxels blur fine vessels, which lowers "
            "grades and reference."
        )
    return found


def about(study: Material, bars: Sequence[Bar]) -> dict[str, Any]:
    """Return what the page says around its parts."""
    config, main = study.config, study.main
    met, said = sum(one.met is True for one in bars), sum(one.met is not None for one in bars)
    model = config["model"]
    solvers = ",".join(config["solvers"])
    return {
        "program": "csiq study",
        "record": "study.json",
        "rule": RULE,
        "title": f"Quality evolution in compressed sensing: {len(main)} scans, {main.n_phases} phases",
        "subject": str(config["cohort"]),
        "use": USE,
        "tiles": [
            (str(len(main)), "scans, every phase and iterate graded"),
            (f"{met} of {said}", "bars met"),
        ],
        "notes": notes(study),
        "command": f"csiq study {config['cohort']} -o DIR --scans {config['scans']} --tuning "
        f"{config['tuning']} --solvers {solvers} --matrix {config['matrix']} "
        f"--max-iter {config['max_iter']} --model {model['name']}",
        "provenance": [
            ("matrix", config["matrix"]),
            ("iterations", config["max_iter"]),
            ("solvers", solvers),
            ("scans", len(main)),
            ("scans to tune on", max((len(c) for c in study.tuning.values()), default=0)),
            ("network", model["name"]),
            ("cohort's seed", study.seed),
        ],
        "hashes": [
            ("network, SHA-256", model["sha256"]),
            ("reference formula, SHA-256", config["formula_sha256"]),
            *((f"configuration of {s}, SHA-256", h) for s, h in config["config_sha256"].items()),
        ],
    }
