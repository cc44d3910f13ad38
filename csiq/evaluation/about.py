"""What the page and the record say around the parts of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from csiq.evaluation.cases import Cases
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.page import MEASURED, SIMULATED
from csiq.evaluation.paper import MAIN
from csiq.evaluation.section import Section, shown


def numbers(study: Comparison, sections: Sequence[Section]) -> dict[str, Any]:
    """Return all numbers of a study, for ``evaluation.json``."""
    cases = study.cases
    return {
        "use": use_of(cases),
        "n": len(cases),
        "n_patients": len(set(cases.patients)),
        "roles": cases.roles.as_dict(),
        "redraws": len(cases.draws[cases.roles.main]) if cases.draws else 0,
        "notes": notes(study),
        **{section.key: section.numbers for section in sections if section.key},
        "differences_from_paper": [sentence for section in sections for sentence in section.differences],
    }


def notes(study: Comparison) -> list[str]:
    """Return what has to be known to read the numbers."""
    found = list(study.cases.notes)
    failed = int((~np.isfinite(study.predicted)).sum())
    if failed:
        why = ", since too many of their patches had none" if study.predictions.has_patches else ""
        found.append(f"{failed} images got no grade{why}: left out.")
    if not study.predictions.has_patches:
        found.append(
            f"{study.network_name} grades images as a whole: what the paper says of patches is left out "
            "(Figures 3a and E2, the gain from patches to patients)."
        )
    found += _unknown_voxels(study)
    if study.predictions.scales and study.predictions.scales[0] is not None:
        found.append(
            "Grades of images are on the scale of the reader the model was calibrated to, patches are not; "
            "scans it was calibrated with should not be among these."
        )
    return found


def _unknown_voxels(study: Comparison) -> list[str]:
    """Return a sentence if images have voxels that the model was not trained on."""
    known = study.card.get("voxel_size_mm")
    if not known:
        return []
    low, high = 0.98 * float(known["min"]), 1.02 * float(known["max"])
    sizes = [image.voxel_size for image in study.cases.images]
    outside = sum(not all(low <= size <= high for size in three) for three in sizes)
    if not outside:
        return []
    return [
        f"{outside} of {len(sizes)} images have voxels outside what the model was trained on "
        f"({known['min']:g} to {known['max']:g} mm): its grades of them are not to be trusted."
    ]


def use_of(cases: Cases) -> str:
    """Return what stands on top: whether readers were simulated, and that it is for research only."""
    return SIMULATED if cases.cohort is not None else MEASURED


def _command(study: Comparison) -> str:
    """Return how to make the page again: a command, of a grader that has no name for it a line of Python."""
    from csiq.plugins import plugins_of

    cases, main = study.cases, study.predictions.models[0]
    manifest, reader = cases.manifest.name, cases.roles.main
    if study.predictions.has_patches or main in [plugin.name for plugin in plugins_of("grader")]:
        return f"csiq evaluate {manifest} --model {main} --split {cases.split} --reader {reader} -o DIR"
    return f'evaluate(Request(Path("{manifest}"), "{cases.split}", "{reader}"), [{main}], "DIR")'


def about(study: Comparison, config: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says around its parts."""
    cases, main = study.cases, study.predictions.models[0]
    found, label = study.patients, study.raters[MAIN].label
    what = "mean over redraws" if cases.draws else "single draw"
    tiles = [
        (shown(found[key].best), f"{name} with {label}, {what}")
        for key, name in (("r2", "R²"), ("kappa", "weighted κ"), ("anti_bias_l1", "anti-bias L1"))
    ]
    if study.reference is not None:
        tiles.append((shown(study.reference.sd), "SD of the error against the noise-free reference"))
    return {
        "title": f"{main} on {len(cases)} images of the {cases.split} set",
        "subject": cases.manifest.name,
        "use": use_of(cases),
        "tiles": tiles,
        "notes": notes(study),
        "command": _command(study),
        "provenance": [
            ("images", len(cases)),
            ("readers", ", ".join(cases.readers)),
            ("main reader", cases.roles.main),
            ("redraws of the readers", len(cases.draws[cases.roles.main]) if cases.draws else "none"),
            ("retrained networks", len(study.predictions.models) - 1),
            *([("the model", study.card["use"])] if "use" in study.card else []),
        ],
        "hashes": [
            (f"manifest {config['manifest']}, SHA-256", config["manifest_sha256"]),
            *((f"model {m['name']}, SHA-256", m["sha256"]) for m in config["models"]),
        ],
    }
