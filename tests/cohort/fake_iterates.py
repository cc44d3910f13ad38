"""Iterates without a scan or a reconstruction: noise that falls from iteration to iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from csiq.cohort.database import PatientImage
from csiq.cohort.iterates import Kept, ScanSize, kept_of
from csiq.cohort.patients import CohortPatient
from tests.cohort import fake_images


def make_iterates(patient: CohortPatient, size: ScanSize) -> Iterator[tuple[Kept, PatientImage]]:
    """Yield what is kept of a patient."""
    plain = fake_images.make_image(replace(patient, matrix=size.matrix))
    for one in kept_of(patient):
        rng = np.random.default_rng([patient.seed, one.iteration, one.phase, size.n_coils])
        noise = 0.2 / (1 + one.iteration)
        volume = np.abs(plain.volume + noise * rng.standard_normal(plain.volume.shape)).astype(np.float32)
        features = replace(plain.features, noise=noise)
        details = {"kind": "cs", "phase": one.phase, "iteration": one.iteration}
        yield one, PatientImage(volume, plain.affine, features, details)
