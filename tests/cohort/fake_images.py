"""Images of a cohort's patients without anatomy or scan: what the rest of the cohort is tested with."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.database import PatientImage
from csiq.cohort.patients import CohortPatient
from csiq.errors import ShapeError
from csiq.quality.features import Features
from csiq.quality.sharpness import VesselSharpness


def make_image(patient: CohortPatient) -> PatientImage:
    """Return noise of the patient's seed, with features that follow from how hard the scan is."""
    rng = np.random.default_rng(patient.seed)
    n, hard = patient.matrix, patient.difficulty
    noise = 1 / hard.snr
    blur = hard.amplitude / 20
    volume = np.abs(1 + noise * rng.standard_normal((n, n, n))).astype(np.float32)
    return PatientImage(volume, np.eye(4), _features(noise, blur, hard.sampling), {"kind": hard.kind})


def _features(noise: float, blur: float, sampling: float) -> Features:
    share = 1 - 0.8 * blur
    streaks = 0.3 * (0.35 - sampling)
    sharp = {"edge_width": 0.8 + 4 * blur, "edge_sharpness": 60 / (0.8 + 4 * blur), "deriche": 70 * share}
    seen = {"visible_length": 100 * share, "visible_share": share}
    rest = {"cnr": 0.7 / (noise + streaks), "noise": noise, "streaks": streaks}
    vessel = VesselSharpness(**_filled(VesselSharpness, {**sharp, **seen}))
    numbers = _filled(Features, {**sharp, **seen, **rest})
    return Features(**{**numbers, "vessels": {"RCA": vessel, "LAD": vessel}})  # type: ignore[arg-type]


def _filled(kind: Any, numbers: dict[str, float]) -> dict[str, float]:
    """Return a number for each field, 1 for those that no grade depends on."""
    return {field.name: numbers.get(field.name, 1.0) for field in fields(kind)}


def make_slowly(patient: CohortPatient) -> PatientImage:
    """Take half a second."""
    time.sleep(0.5)
    return make_image(patient)


def fail_at_three(patient: CohortPatient) -> PatientImage:
    """Refuse the third patient."""
    if patient.number == 3:
        raise ShapeError("no heart")
    return make_image(patient)


def die_once_at_three(patient: CohortPatient) -> PatientImage:
    """Kill the process at the third patient, as a lack of memory would; the second time it works."""
    mark = Path(os.environ["CSIQ_TEST_MARK"])
    if patient.number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return make_image(patient)
