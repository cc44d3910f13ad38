"""What people type wrongly, over all commands: one line that names what they gave, and the exit code."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.cli import main
from csiq.io.tables import write_json
from csiq.io.volumes import write_volumes
from csiq.simulate.scan import write_simulated
from tests.report.fake_run import write_run_folder
from tests.scans import TINIEST, scan_and_truth

#: Command, exit code, and the line after ``csiq: error: ``.
WRONG = {
    # missing files, folders instead of files, files instead of folders
    "recon empty": (2, "empty: is a folder, expected one raw file; name the file; csiq cohort run takes"),
    "recon gone.cfl": (2, "gone.cfl: no such file; check the path"),
    "recon run.csiq/volumes.h5": (3, "volumes.h5: /: no group 'dataset'; it holds images: csiq grade and"),
    "recon scan.h5 --config empty": (2, "empty: is a folder, expected a TOML file; name the file"),
    "recon scan.h5 --trajectory empty": (2, "empty: --trajectory: is a folder, expected a .npy or HDF5"),
    "recon scan.h5 --trajectory gone.npy": (2, "gone.npy: --trajectory: no such file; check the path"),
    "recon scan.h5 --noise empty": (2, "empty: --noise: is a folder, expected ISMRMRD or .npy"),
    "recon scan.h5 --truth empty": (2, "empty: --truth: is a folder, expected the truth of a simulated"),
    "recon scan.h5 --truth text.txt": (3, "text.txt: is a text file; expected HDF5"),
    "grade --run text.txt": (2, "text.txt: is a file; expected the folder of a run"),
    "rank run.csiq text.txt": (2, "text.txt: is a file, expected the folder of a run; --across compares"),
    "rank --across run.csiq -o gone/a.png": (2, "a.png: -o: its folder does not exist; make it first"),
    "report run.csiq --centrelines empty": (2, "empty: --centrelines: is a folder, expected a table or"),
    "simulate -o new.h5 --breathing gone.txt": (2, "gone.txt: --breathing: no such file; check the path"),
    "cohort run gone.tsv": (2, "gone.tsv: no such file; check the path"),
    "cohort run empty": (2, "empty: is a folder, expected a table; name the file"),
    "cohort status text.txt": (2, "text.txt: is a file, expected the folder of a cohort; csiq cohort init"),
    "cohort report gone": (2, "gone: no such folder; csiq cohort run MANIFEST.tsv makes one"),
    "cohort init text.txt": (7, "text.txt: exists and is no folder; choose another folder"),
    "train gone.tsv": (2, "gone.tsv: no such file; expected a manifest or a cohort's folder"),
    "heatmap run.csiq": (2, "run.csiq: is a folder, expected an image; name the file"),
    "heatmap scan.h5": (3, "scan.h5: /volumes: expected images, it holds a raw scan; csiq recon makes"),
    "model import gone.pt": (4, "gone.pt: no such file; check the path"),
    "model import text.txt --kind gone.json": (2, "gone.json: --kind: no such file; check the path"),
    "model calibrate gone.tsv": (2, "gone.tsv: no such file; expected a manifest or a cohort's folder"),
    "model calibrate empty": (2, "graded.tsv: no such file; csiq cohort init makes one"),
    "convert text.txt a.nii": (3, "text.txt: is a text file; expected a raw scan or images; docs/formats"),
    "convert run.csiq a.nii": (2, "run.csiq: IN: is the folder of a run, expected a file; run.csiq/volum"),
    # models that are none
    "model show empty": (4, "empty: is a folder, expected a .safetensors file; see csiq model list"),
    "model show table.tsv": (4, "table.tsv: truncated or not a safetensors file"),
    "model verify table.tsv": (4, "table.tsv: truncated or not a safetensors file"),
    "model verify gone": (4, "NAME: no model 'gone'; known: "),
    "config show gone": (2, "NAME: no preset 'gone'; known: "),
    # options out of range, named as they were typed
    "recon scan.h5 --band 0.5 0.1": (2, "--band: expected low < high in Hz, got [0.5, 0.1]"),
    "recon scan.h5 --preset whole-heart --lamda -1": (2, "--lamda: expected `float` >= 0.0"),
    "rank --across run.csiq --svg": (2, "--svg: belongs to one run; -o comparison.png draws all pairs"),
    "simulate -o new.h5 --missing 200": (2, "--missing: 200 % is not between 0 and 50 %"),
    "cohort init new.tsv scan.h5 --config gone": (2, "--config: no preset 'gone'; known: "),
    "train table.tsv --keep 7": (2, "--keep: keep probability 7.0 is not in (0, 1]"),
    "train table.tsv --set average=7": (2, "--set average: expected 0 to below 1, got 7.0"),
    "train table.tsv --first-kernel 200": (2, "--first-kernel: kernels leave nothing of a 128x128 patch"),
    "train table.tsv --set batch": (2, "--set: expected KEY=VALUE, got 'batch'"),
    "heatmap run.csiq/phase-1.nii.gz --stride 0": (2, "invalid value for '--stride': 0 is not in the"),
    # options that would do nothing
    "grade --run run.csiq --pattern *.x": (3, "run.csiq: --pattern: no file with a number in its name fits"),
    "convert scan.h5 b.cfl --phase 1": (2, "--phase: is for images, the input is a raw scan"),
    "convert run.csiq/volumes.h5 a.nii --matrix 16": (2, "--matrix: is for raw scans, the input is images"),
    "convert run.csiq/volumes.h5 a.nii --body-part HEART": (2, "--body-part: is for DICOM"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a raw scan, a run, a table and a text."""
    made = tmp_path_factory.mktemp("typed")
    write_simulated(made / "scan.h5", *scan_and_truth(TINIEST))
    write_run_folder(made / "run.csiq", n=8)
    ones = np.ones((2, 4, 4, 4), np.complex64)
    write_volumes(made / "run.csiq" / "volumes.h5", ones, Geometry((4, 4, 4), (8.0, 8.0, 8.0)), 0)
    (made / "empty").mkdir()
    (made / "text.txt").write_text("hello\n")
    (made / "table.tsv").write_text("volume\tpatient\tsplit\treader1\nrun.csiq:1\tp1\ttest\t2\n")
    return made


@pytest.mark.parametrize("typed", WRONG)
def test_what_is_wrong_is_one_line_that_names_it(typed, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = {path.name for path in folder.iterdir()}
    code, line = WRONG[typed]
    assert main(shlex.split(typed)) == code
    error = capsys.readouterr().err
    assert error.startswith(f"csiq: error: {line}")
    assert error.count("\n") == 1
    left = {path.name for path in folder.iterdir()} - before
    assert left <= {"scan.csiq", "volumes.csiq"}  # runs that failed: their logs say why


def test_options_that_change_nothing_are_warnings(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["info", "scan.h5", "--interleaves", "5", "--tr", "3", "--fov", "9", "9", "9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "warning: --interleaves has no effect: it is for --trajectory phyllotaxis" in lines
    assert "warning: --tr has no effect: the file says it" in lines
    assert "warning: --fov has no effect: the file says it" in lines
    assert main(["info", "scan.h5", "--trajectory", "golden3d", "--traj-units", "1/mm"]) == 0
    assert "warning: --traj-units has no effect: 'golden3d' is computed" in capsys.readouterr().out
    assert main(["info", "scan.h5"]) == 0
    assert "no effect" not in capsys.readouterr().out


def test_the_network_of_a_run_that_is_gone_is_the_run_s(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    write_run_folder(tmp_path / "old.csiq", n=8)
    content = (tmp_path / "old.csiq" / "run.json").read_text()
    old = {**json.loads(content), "model": {"name": "iq-dcnn-v0", "sha256": "ab" * 32}}
    write_json(tmp_path / "old.csiq" / "run.json", old)
    image = folder / "run.csiq" / "volumes.h5"
    assert main(["rank", "--across", "old.csiq", str(image)]) == 4
    assert capsys.readouterr().err == (
        "csiq: error: old.csiq: model: was graded by 'iq-dcnn-v0', which cannot be loaded "
        "(no model 'iq-dcnn-v0'); --model FILE, where that network lies, or --model default grades "
        "everything anew\n"
    )
    assert main(["rank", "--across", "old.csiq", str(image), "--model", "iq-dcnn-v0"]) == 4
    assert "csiq: error: --model: no model 'iq-dcnn-v0'" in capsys.readouterr().err


def test_a_training_that_was_refused_can_be_started_again(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(folder)
    out = str(tmp_path / "model")
    for reader in ("nobody", "nobody-else"):
        assert main(["train", "table.tsv", "--reader", reader, "-o", out]) == 2
        assert f"table.tsv: --reader: no reader '{reader}'" in capsys.readouterr().err
