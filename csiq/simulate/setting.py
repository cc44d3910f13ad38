"""All that a configuration decides before anything is read out: who, where, when, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csiq.simulate.anatomy import Patient
from csiq.simulate.breathing import (
    Breathing,
    BreathingStyle,
    read_breathing,
    synthetic_breathing,
)
from csiq.simulate.cardiac import CardiacMotion
from csiq.simulate.coils import CoilArray
from csiq.simulate.imperfections import LinearField, delayed, lost_readouts
from csiq.simulate.protocol import READOUT, ScanConfig, Timeline, scan_length, timeline

_BELT_AMPLITUDE = 12.0  # mm, of a belt whose unit is arbitrary


@dataclass(frozen=True)
class Setting:
    """A patient in a scanner, ready to be read out.

    Attributes
    ----------
    config : ScanConfig
    patient : Patient
    breathing : Breathing
    coils : CoilArray
    played : Timeline
        Its trajectory is the nominal one, which files tell.
    field : LinearField
    heart_offset : float64 array, (n_readouts, 3)
        Where each readout finds the heart besides what the maps of its coupling make of the diaphragm's
        displacement, mm z y x: its own beat, and its lag behind the diaphragm.
    missing, zeroed : bool array, (n_readouts,)
        Readouts that the file does not hold, and those it holds without signal.
    """

    config: ScanConfig
    patient: Patient
    breathing: Breathing
    coils: CoilArray
    played: Timeline
    field: LinearField
    heart_offset: np.ndarray
    missing: np.ndarray
    zeroed: np.ndarray

    @classmethod
    def of(cls, config: ScanConfig) -> Setting:
        """Return the setting of a configuration.

        Each part has a generator of its own, so that one option does not change what others draw.
        """
        patient = Patient.from_seed(config.seed)
        tr, rr = patient.sequence.tr, patient.sequence.rr
        breathing = _breathing(config, scan_length(config, rr, tr))
        loops = CoilArray.around(patient.body, config.n_coils, np.random.default_rng([config.seed, 3]))
        coils = replace(loops, bias=patient.marks.bias)
        played = timeline(config, tr, rr, breathing, np.random.default_rng([config.seed, 4]))
        wrong, rng = config.imperfections, np.random.default_rng([config.seed, 7])
        field = LinearField.drawn(wrong.off_resonance, rng)
        imaging = np.flatnonzero(~played.is_navigator)
        missing, zeroed = np.zeros((2, len(played.times)), dtype=bool)
        missing[imaging] = lost_readouts(imaging.size, wrong.missing, rng)
        zeroed[imaging] = lost_readouts(imaging.size, wrong.zeroed, rng)
        offset = heart_offsets(config, patient, breathing, played)
        return cls(config, patient, breathing, coils, played, field, offset, missing, zeroed)

    @property
    def displacement(self) -> np.ndarray:
        """Displacement of the diaphragm at each readout, mm."""
        return self.breathing.at(self.played.times)

    @property
    def sampled(self) -> np.ndarray:
        """Where k-space is really sampled, as :attr:`played`'s ``coord`` says where it should be."""
        coord, config = self.played.coord, self.config
        wrong = config.imperfections
        if any(wrong.gradient_delay):
            coord = delayed(coord, wrong.gradient_delay, READOUT / config.n_samples)
        if wrong.off_resonance:
            coord = self.field.shifted(coord, config.since_echo, config.fov)
        return coord


def heart_offsets(config: ScanConfig, patient: Patient, breathing: Breathing, played: Timeline) -> np.ndarray:
    """Return how far each readout finds the heart from where its coupling to the diaphragm puts it.

    Returns
    -------
    float64 array, (n_readouts, 3)
        mm, z y x. The heart's own motion is that of triggered scans; in others it does not beat.
    """
    late = breathing.at(played.times - patient.coupling.lag) - breathing.at(played.times)
    offset = late[:, None] * patient.coupling.heart_direction
    if config.triggered:
        rng = np.random.default_rng([config.seed, 6])
        motion = CardiacMotion.drawn(rng, config.cardiac)
        offset = offset + motion.offsets(played.heartbeat, played.since, played.ectopic, rng)
    return np.asarray(offset)


def _breathing(config: ScanConfig, duration: float) -> Breathing:
    if config.breathing is not None:
        amplitude = _BELT_AMPLITUDE if config.amplitude is None else config.amplitude
        return read_breathing(config.breathing, amplitude=amplitude)
    rng = np.random.default_rng([config.seed, 2])
    style = BreathingStyle.drawn(rng, config.dwell, amplitude=config.amplitude, drift=config.drift)
    return synthetic_breathing(style, duration, rng)
