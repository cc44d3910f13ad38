"""The image of a cohort's patient as it is graded: made by csiq's operators, measured against its truth."""

from __future__ import annotations

from csiq.cohort.database import PatientImage
from csiq.cohort.images import make_image
from csiq.cohort.patients import CohortPatient
from csiq.quality.features import measure


def graded_image(patient: CohortPatient) -> PatientImage:
    """Make and measure the image of a patient.

    Raises
    ------
    QualityError
        If the image shows nothing.
    """
    made = make_image(patient)
    return PatientImage(made.volume, made.affine, measure(made.volume, made.truth), made.details)
