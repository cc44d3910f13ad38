"""Volumes of a cohort: the same bytes however they were made, and nothing lost when something dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from csiq.cohort.database import make_volume, make_volumes, missing_volumes, read_features
from csiq.cohort.patients import draw_patients
from csiq.cohort.volume_file import bytes_of_volume, write_int16
from csiq.errors import RawDataError, ResourceError, ShapeError
from csiq.io.nifti import read_volume
from tests.cohort import fake_images

PATIENTS = draw_patients(6, matrix=12)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((folder / "volumes").iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return a folder whose volumes one process made, this one."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "volumes").mkdir()
    for patient in PATIENTS:
        make_volume(folder / "volumes", fake_images.make_image, patient)
    return folder


def test_bytes_do_not_depend_on_the_number_of_workers(made, tmp_path):
    steps = list(make_volumes(tmp_path, PATIENTS, fake_images.make_image, 2))
    assert contents(tmp_path) == contents(made)
    assert sorted(step.name for step in steps) == [p.name for p in PATIENTS]
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[2].seconds_left == pytest.approx(steps[2].seconds)
    assert steps[-1].seconds_left == 0


def test_a_volume_is_read_as_it_was(made):
    expected = fake_images.make_image(PATIENTS[0]).volume
    values, voxel_size, _ = read_volume(made / "volumes" / "p001.nii")
    assert np.abs(values - expected).max() <= expected.max() / 32767 / 2 * 1.01
    assert voxel_size == (1.0, 1.0, 1.0)
    image = nibabel.load(made / "volumes" / "p001.nii")
    assert image.get_data_dtype() == np.int16
    assert read_features(made, PATIENTS[0]) == fake_images.make_image(PATIENTS[0]).features
    assert bytes_of_volume(12) == (made / "volumes" / "p001.nii").stat().st_size


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_that_was_finished(made, tmp_path, monkeypatch):
    monkeypatch.setenv("CSIQ_TEST_MARK", str(tmp_path / "mark"))
    with pytest.raises(ResourceError, match="worker process died") as caught:
        list(make_volumes(tmp_path, PATIENTS, fake_images.die_once_at_three, 1))
    assert caught.value.exit_code == 5
    left = missing_volumes(tmp_path, PATIENTS)
    assert [p.number for p in left] == [3, 4, 5, 6]
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "volumes").iterdir()}
    list(make_volumes(tmp_path, left, fake_images.die_once_at_three, 2))
    assert contents(tmp_path) == contents(made)
    assert before == {name: (tmp_path / "volumes" / name).stat().st_mtime_ns for name in before}


@pytest.mark.slow
def test_workers_end_with_a_killed_program(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from csiq.cohort.database import make_volumes\n"
        "from csiq.cohort.patients import draw_patients\n"
        "from tests.cohort import fake_images\n"
        "if __name__ == '__main__':\n"
        "    people = draw_patients(40, matrix=12)\n"
        "    for step in make_volumes(Path('out'), people, fake_images.make_slowly, 1):\n"
        "        print(step.name, flush=True)\n"
    )
    root = Path(__file__).parents[2]
    (tmp_path / "out").mkdir()
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(root)}
    program = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "p001\n"
    program.send_signal(signal.SIGKILL)
    program.wait(10)
    program.stdout.close()
    time.sleep(1.6)  # the look of a worker, 0.5 s, and a volume
    count = len(list((tmp_path / "out" / "volumes").iterdir()))
    time.sleep(1.2)  # two more volumes, if it were alive
    assert len(list((tmp_path / "out" / "volumes").iterdir())) == count < 12


def test_what_counts_as_finished(made, tmp_path):
    folder = tmp_path / "volumes"
    folder.mkdir()
    for name, content in contents(made).items():
        (folder / name).write_bytes(content)
    assert missing_volumes(tmp_path, PATIENTS) == []
    (folder / "p001.nii").write_bytes(b"short")
    (folder / "p002.json").write_text("{")
    (folder / "p003.json").unlink()
    other = json.loads((folder / "p004.json").read_text())
    (folder / "p004.json").write_text(json.dumps({**other, "patient": {**other["patient"], "seed": 1}}))
    assert [p.number for p in missing_volumes(tmp_path, PATIENTS)] == [1, 2, 3, 4]
    other = json.loads((folder / "p005.json").read_text())
    (folder / "p005.json").write_text(json.dumps({**other, "measured_by": "1" * 64}))
    assert [p.number for p in missing_volumes(tmp_path, PATIENTS)] == [1, 2, 3, 4, 5]
    larger = [replace(p, matrix=13) for p in PATIENTS]
    assert len(missing_volumes(tmp_path, larger)) == 6
    (folder / "p005.json").write_text('{"features": 3}')
    with pytest.raises(RawDataError, match="has no features"):
        read_features(tmp_path, PATIENTS[4])


@pytest.mark.parametrize(
    "volume",
    [np.ones((3, 3)), np.full((3, 3, 3), np.nan), -np.ones((3, 3, 3)), np.ones((3, 3, 3), complex)],
)
def test_only_magnitudes_are_written(tmp_path, volume):
    with pytest.raises(ShapeError):
        write_int16(tmp_path / "a.nii", volume, np.eye(4))
    assert not list(tmp_path.iterdir())


def test_an_empty_volume_stays_empty(tmp_path):
    write_int16(tmp_path / "a.nii", np.zeros((3, 4, 5), np.float32), np.eye(4))
    values, _, _ = read_volume(tmp_path / "a.nii")
    assert values.shape == (3, 4, 5)
    assert not values.any()
