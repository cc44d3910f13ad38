"""The patient: shapes, tissues, and their image at a breathing state.

Shapes are analytic, so that a patient can be painted at any resolution; :mod:`csiq.simulate.motion` says
how far organs have moved.
"""

from csiq.simulate.anatomy.patient import (
    Centreline,
    Patient,
    blood_mask,
    chamber_volumes,
    coronary_centrelines,
    heart_mask,
    rasterise,
)

__all__ = [
    "Centreline",
    "Patient",
    "blood_mask",
    "chamber_volumes",
    "coronary_centrelines",
    "heart_mask",
    "rasterise",
]
