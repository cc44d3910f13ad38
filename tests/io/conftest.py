"""Small radial scans, made in the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Navigators
from csiq.io.ismrmrd import write_ismrmrd
from csiq.trajectory import phyllotaxis, radial_coord
from tests.io.files import edit_xml, oblique_geometry, random_kspace

N_BEATS, PER_BEAT, MATRIX, COILS = 13, 6, 16, 3
TR, RR = 3.1e-3, 0.83


@pytest.fixture
def scan(rng: np.random.Generator) -> Acquisition:
    """Return a triggered phyllotaxis with SI spokes and noise, on an oblique volume."""
    directions = phyllotaxis(N_BEATS, PER_BEAT)
    coord = radial_coord(directions, MATRIX, 2 * MATRIX)
    beat = np.repeat(np.arange(N_BEATS), PER_BEAT)
    si = radial_coord(np.tile([[1.0, 0.0, 0.0]], (N_BEATS, 1)), MATRIX, 2 * MATRIX)
    return Acquisition(
        kspace=random_kspace(rng, (COILS, *coord.shape[:2])),
        coord=coord,
        times=beat * RR + (1 + np.tile(np.arange(PER_BEAT), N_BEATS)) * TR,
        heartbeat=beat,
        geometry=oblique_geometry(),
        navigators=Navigators(
            random_kspace(rng, (COILS, *si.shape[:2])), np.arange(N_BEATS) * RR, np.arange(N_BEATS), si
        ),
        noise=0.01 * random_kspace(rng, (COILS, 1, 70))[:, 0],
        triggered=True,
        system={"field_T": 1.5, "TR_s": TR, "dwell_s": 2e-6, "vendor": "none", "flip_deg": 100.0},
    )


@pytest.fixture
def raw(scan: Acquisition, tmp_path: Path) -> Path:
    """Return the scan's file, with everything csiq writes."""
    path = tmp_path / "scan.h5"
    write_ismrmrd(path, scan)
    return path


@pytest.fixture
def foreign(raw: Path) -> Path:
    """Return the scan's file as another program would write it: no user parameters."""
    edit_xml(raw, lambda xml: xml[: xml.index("<userParameters>")] + "</ismrmrdHeader>")
    return raw
