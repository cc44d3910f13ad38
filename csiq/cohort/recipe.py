"""How the graded image of one patient is made: all that decides it, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.cohort.patients import CohortPatient
from csiq.errors import ConfigError, nearest

#: Kinds of images. ``selfnav``: gridded over all spokes, the heart's head-foot motion taken out of k-space by
#: one-dimensional self-navigation. ``uncorrected``: the same with the motion left in. ``phase``: one of four
#: breathing phases, gridded. ``cs``: a phase of an iterate of the compressed-sensing reconstruction of four.
KINDS = ("selfnav", "uncorrected", "phase", "cs")
N_PHASES = 4


@dataclass(frozen=True)
class ImageRecipe:
    """One image to grade.

    Attributes
    ----------
    seed : int
        Anatomy, heart rate, breathing, coils and noise follow from it, as in
        :class:`csiq.simulate.protocol.ScanConfig`.
    matrix : int
        Voxels along each axis of the 208 mm field of view.
    kind : str
        One of :data:`KINDS`.
    phase : int
        1 (end-expiration) .. 4, of the kinds ``phase`` and ``cs``.
    iteration : int
        Of the kind ``cs``; 0 is the gridded image.
    sampling : float
        Imaging spokes over Nyquist's, (pi / 2) N^2.
    heartbeats : int
        Interleaves of the scan.
    snr : float
        Blood in the heart over the noise of a k-space sample, as ``ScanConfig.snr``.
    amplitude : float
        Mean breathing excursion of the diaphragm, mm.
    drift : float
        How far the resting position wanders, mm.
    dwell : str
        ``end-expiration`` or ``end-inspiration``.
    residual : float
        SD of the heart's place from beat to beat, mm: what triggering leaves of its own motion.
    imperfections : tuple of str
        Keys of :data:`csiq.cohort.patients.IMPERFECTIONS`.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    seed: int
    matrix: int = 208
    kind: str = "selfnav"
    phase: int = 1
    iteration: int = 20
    sampling: float = 0.2
    heartbeats: int = 377
    snr: float = 30.0
    amplitude: float = 12.0
    drift: float = 0.0
    dwell: str = "end-expiration"
    residual: float = 0.5
    imperfections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"no image is a '{self.kind}'", field="kind", hint=nearest(self.kind, KINDS))
        for name, fits, range_ in (
            ("seed", self.seed >= 0, "0 or more"),
            ("matrix", self.matrix >= 16, "16 or more"),
            ("phase", 1 <= self.phase <= N_PHASES, f"1 to {N_PHASES}"),
            ("iteration", self.iteration >= 0, "0 or more"),
            ("sampling", 0 < self.sampling <= 4, "up to 4"),
            ("heartbeats", self.heartbeats >= 8, "8 or more"),
            ("snr", self.snr > 0, "positive"),
            ("amplitude", self.amplitude >= 0, "0 or more"),
            ("residual", self.residual >= 0, "0 or more"),
        ):
            if not fits:
                raise ConfigError(f"{getattr(self, name)} is out of range", field=name, hint=range_)

    @property
    def n_spokes(self) -> int:
        """Imaging spokes of the scan."""
        return max(round(self.sampling * np.pi / 2 * self.matrix**2), self.heartbeats)

    @classmethod
    def of(cls, patient: CohortPatient) -> ImageRecipe:
        """Return the recipe of a cohort's patient."""
        hard = patient.difficulty
        return cls(
            seed=patient.seed,
            matrix=patient.matrix,
            kind=hard.kind,
            sampling=hard.sampling,
            heartbeats=hard.heartbeats,
            snr=hard.snr,
            amplitude=hard.amplitude,
            drift=hard.drift,
            residual=hard.residual,
            imperfections=hard.imperfections,
        )
