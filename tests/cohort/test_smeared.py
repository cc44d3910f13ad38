"""Smeared volumes of a cohort: what a smear is, where it is, what it costs, and whose volumes there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from csiq.cohort import database, smeared
from csiq.cohort.cohort_folder import StudyConfig
from csiq.cohort.database import PatientImage
from csiq.cohort.following import Running
from csiq.cohort.manifest import read_manifest
from csiq.cohort.patients import CohortPatient, draw_patients
from csiq.cohort.smeared import WHERE, smear, smeared_images
from csiq.cohort.study import init_cohort, state_of
from csiq.quality.vessel_distance import coronary_distance
from tests.cohort import fake_images
from tests.cohort.test_iterates import contents, in_this_process, silent
from tests.trust.scanned_tubes import truth

CONFIG = StudyConfig(n_patients=8, matrix=16, raw=False, smeared=2)


def two_images(patient: CohortPatient) -> Iterator[tuple[str, PatientImage]]:
    """Return the same image twice."""
    for where in WHERE:
        yield where, fake_images.make_image(patient)


def test_a_smear_is_the_mean_of_all_shifts_along_a_line() -> None:
    rng = np.random.default_rng(0)
    frequencies = np.fft.fftfreq(24)[:, None, None], np.fft.fftfreq(26)[:, None], np.fft.fftfreq(22)
    low = sum((f / 0.15) ** 2 for f in frequencies) < 1
    volume = 2 + np.fft.ifftn(np.fft.fftn(rng.standard_normal((24, 26, 22))) * low).real
    direction, size = np.array([0.6, 0.0, 0.8]), np.array([1.5, 1.0, 2.0])
    shifts = (np.arange(400) + 0.5) / 400 * 5.0 - 2.5  # mm
    phase = sum(f * d / s for f, d, s in zip(frequencies, direction, size, strict=True))
    spectrum = np.fft.fftn(volume)
    expected = np.mean([np.fft.ifftn(spectrum * np.exp(2j * np.pi * phase * t)).real for t in shifts], axis=0)
    found = smear(volume, 5.0, direction, size)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=2e-5)


def test_each_volume_is_smeared_where_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    known = truth()
    made = SimpleNamespace(volume=known.volume, affine=np.eye(4), truth=known, details={"kind": "selfnav"})
    monkeypatch.setattr(smeared, "make_image", lambda patient: made)
    (first, vessels), (second, rest) = smeared_images(draw_patients(1)[0])
    assert (first, second) == WHERE
    away = coronary_distance(known.volume, known)
    far, near = away > 4, away < 2
    changed = [np.abs(image.volume - known.volume) > 1e-6 for image in (vessels, rest)]
    assert not changed[0][far].any()
    assert changed[0][near].mean() > 0.9
    assert not changed[1][near].any()
    assert changed[1][far].mean() > 0.5
    assert 2 <= vessels.details["length"] <= 8
    assert np.linalg.norm(vessels.details["direction"]) == pytest.approx(1)
    # the formula looks at coronaries: their smear costs them sharpness, that of everything else does not
    assert vessels.features.edge_sharpness < 0.8 * rest.features.edge_sharpness


def test_smeared_volumes_train_with_their_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "results_of", in_this_process)
    monkeypatch.setattr(smeared, "smeared_images", two_images)
    folder = tmp_path / "c"
    init_cohort(folder, replace(CONFIG, smeared=1), Running(), fake_images.make_image, silent)
    init_cohort(folder, CONFIG, Running(resume=True), fake_images.make_image, silent)
    scans = read_manifest(folder / "graded.tsv")
    own, further = scans[:8], scans[8:]
    able = [scan.patient for scan in own if scan.split != "test" and scan.reference > smeared.LEAST]
    assert len(able) > 2
    assert [scan.patient for scan in further] == [name for name in able[:2] for _ in WHERE]
    assert {scan.volume.parent.name for scan in further} == {"smeared"}
    split = {scan.patient: scan.split for scan in own}
    assert all(scan.split == split[scan.patient] for scan in further)
    assert json.loads((folder / "cohort.json").read_text())["smeared"]["volumes"] == 4
    assert state_of(folder)["smeared"] == {"done": 2, "of": 2}
    whole = contents(folder)
    (folder / "smeared" / f"{able[1]}-rest.json").unlink()
    assert state_of(folder)["smeared"] == {"done": 1, "of": 2}
    init_cohort(folder, CONFIG, Running(resume=True), fake_images.make_image, silent)
    assert contents(folder) == whole
