"""``csiq convert``: formats by name and content, what it refuses, what it never copies."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from csiq.acquisition import Acquisition
from csiq.cli import main
from csiq.io import read_acquisition
from csiq.io.dicom_write import write_dicom
from csiq.io.image_set import ImageSet
from csiq.io.ismrmrd import write_ismrmrd
from csiq.io.volumes import write_volumes
from csiq.trajectory import golden_means_3d, radial_coord
from tests.io.files import blobs, oblique_geometry

SHAPE = (4, 6, 8)


@pytest.fixture
def volumes(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return two complex phases on an oblique grid."""
    values = rng.standard_normal((2, *SHAPE)) + 1j * rng.standard_normal((2, *SHAPE))
    write_volumes(tmp_path / "volumes.h5", values.astype(np.complex64), oblique_geometry(SHAPE), 3)
    return tmp_path / "volumes.h5"


def test_json_and_the_record_say_the_same(volumes, tmp_path, capsys):
    assert main(["convert", str(volumes), str(tmp_path / "a.nii.gz"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.pop("output") == "a.nii.gz"
    assert shown == json.loads((tmp_path / "a.json").read_text())
    assert shown["source"]["name"] == "volumes.h5"
    assert len(shown["source"]["sha256"]) == 64
    assert shown["n_phases"] == 2
    assert shown["warnings"] == ["complex voxels: only their magnitude is written"]


def test_an_existing_output_stays(volumes, tmp_path, capsys):
    (tmp_path / "a.nii.gz").write_bytes(b"precious")
    assert main(["convert", str(volumes), str(tmp_path / "a.nii.gz")]) == 7
    assert "a.nii.gz: exists already; --overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "a.nii.gz").read_bytes() == b"precious"
    assert main(["convert", str(volumes), str(tmp_path / "a.nii.gz"), "--overwrite", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert nibabel.load(tmp_path / "a.nii.gz").shape == (8, 6, 4, 2)


def test_a_folder_of_others_is_not_touched(volumes, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "0001.dcm").write_bytes(b"precious")
    for more, said in (([], "is not empty"), (["--overwrite"], "csiq did not make it")):
        assert main(["convert", str(volumes), str(tmp_path / "mine"), *more]) == 7
        assert said in capsys.readouterr().err
    assert (tmp_path / "mine" / "0001.dcm").read_bytes() == b"precious"
    out = tmp_path / "series"
    assert main(["convert", str(volumes), str(out)]) == 0
    (out / "note.txt").write_text("kept")
    assert main(["convert", str(volumes), str(out), "--overwrite", "--phase", "2"]) == 0
    assert sorted(p.name for p in out.iterdir()) == [f"{i:04d}.dcm" for i in range(1, 5)] + [
        "csiq.json",
        "note.txt",
    ]
    assert not [p for p in tmp_path.iterdir() if "csiq-tmp" in p.name]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["volumes.h5", "a.xyz"], 2, "does not tell a format"),
        (["volumes.h5", "a.dat", "--to", "twix"], 2, "'twix' cannot be written"),
        (["volumes.h5", "no/a.nii"], 2, "its folder does not exist"),
        (["volumes.h5", "a.nii", "--phase", "3"], 2, "--phase: there is no phase 3; it holds 2"),
        (["nothing.h5", "a.nii"], 2, "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(volumes, arguments, code, said, monkeypatch, capsys):
    monkeypatch.chdir(volumes.parent)
    assert main(["convert", *arguments]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_slice_that_is_cut_short_is_not_left_out(volumes, tmp_path, capsys):
    """The last one above all: the others are a whole series without it."""
    series, out = tmp_path / "series", tmp_path / "out.nii"
    assert main(["convert", str(volumes), str(series), "--phase", "1", "-q"]) == 0
    last = series / "0004.dcm"
    whole = last.read_bytes()
    for length in (0, 100, 132, 200, 700, len(whole) - 1):
        last.write_bytes(whole[:length])
        assert main(["convert", str(series), str(out)]) == 3, length
        assert capsys.readouterr().err.count("\n") == 1
        assert not out.exists()
    # what is no image by its own word is passed over, and what is no DICOM file
    last.write_bytes(whole)
    report = pydicom.dcmread(last)
    del report.PixelData
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.save_as(series / "report.dcm")
    (series / "note.txt").write_text("seen")
    assert main(["convert", str(series), str(out), "-q"]) == 0
    assert nibabel.load(out).shape == (8, 6, 4)


def test_voxels_that_are_no_numbers_are_said(tmp_path, capsys):
    values = np.ones((8, 6, 4), np.float32)
    values[0, 0, :2] = np.nan
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "MASKED.NII.GZ")
    source = str(tmp_path / "MASKED.NII.GZ")
    assert main(["convert", source, str(tmp_path / "a.mrd")]) == 0
    assert "2 voxels are not finite: written as they are" in capsys.readouterr().err
    assert main(["convert", source, str(tmp_path / "series")]) == 3
    assert "voxels: 2 of 192 voxels are not finite; NIfTI can hold them" in capsys.readouterr().err
    nibabel.save(nibabel.Nifti1Image(values * np.nan, np.eye(4)), tmp_path / "b.nii")
    assert main(["convert", str(tmp_path / "b.nii"), str(tmp_path / "b.mrd")]) == 3


def test_voxels_of_bart_must_be_told(tmp_path, capsys):
    from csiq.io.cfl import write_cfl

    write_cfl(tmp_path / "x", np.ones(SHAPE))
    assert main(["convert", str(tmp_path / "x.cfl"), str(tmp_path / "a.nii")]) == 3
    assert "--voxel-size Z Y X" in capsys.readouterr().err
    assert (
        main(["convert", str(tmp_path / "x.cfl"), str(tmp_path / "a.nii"), "--voxel-size", "3", "2", "1"])
        == 0
    )
    image = nibabel.load(tmp_path / "a.nii")
    np.testing.assert_allclose(image.header.get_zooms(), (1.0, 2.0, 3.0))
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 0


def test_voxels_of_nifti_need_not_be_told(tmp_path, capsys):
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.float32), np.eye(4)), tmp_path / "x.nii")
    wrong = ["convert", str(tmp_path / "x.nii"), str(tmp_path / "a.mrd"), "--voxel-size", "3", "2", "1"]
    assert main(wrong) == 2
    assert "x.nii: --voxel-size: is for images that do not say it" in capsys.readouterr().err
    assert not (tmp_path / "a.mrd").exists()


@pytest.mark.parametrize("known", [True, False])
def test_viewers_accept_the_series(tmp_path, rng, known):
    """Every file passes the standard's checker; without an orientation it claims none."""
    geometry = replace(oblique_geometry(SHAPE), known=known)
    values = rng.random((2, *SHAPE)).astype(np.float32)
    write_dicom(tmp_path, ImageSet(values, geometry, system={"TR_s": 3.1e-3, "field_T": 1.5}))
    files = sorted(tmp_path.glob("phase-*/*.dcm"))
    assert len(files) == 8
    read = [pydicom.dcmread(file) for file in files]
    assert len({one.SOPInstanceUID for one in read}) == 8
    assert len({one.SeriesInstanceUID for one in read}) == 2
    assert len({one.StudyInstanceUID for one in read}) == 1
    assert all(("ImagePositionPatient" in one) == known for one in read)
    again = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in read]
    np.testing.assert_allclose(
        np.reshape(again, values.shape), values, atol=0.6 * float(values.max()) / 65535
    )
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy (Debian: dicom3tools)")
    for file in files[::3]:
        done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert not [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")]


def test_nothing_of_the_subject_is_copied(tmp_path, rng, capsys):
    secret = {"PatientName": "Zebra^Zoe", "PatientID": "Z4711", "PatientBirthDate": "19631122",
              "StudyDate": "20260130", "AccessionNumber": "ACC99817",
              "StudyInstanceUID": "1.2.3.99817"}  # fmt: skip
    values = rng.random((1, *SHAPE)).astype(np.float32)
    source = tmp_path / "in"
    write_dicom(source, ImageSet(values, oblique_geometry(SHAPE), identity=secret))
    assert pydicom.dcmread(source / "0001.dcm").PatientName == "Zebra^Zoe"
    for name in ("out", "a.nii", "b.mrd", "c.cfl"):
        assert main(["convert", str(source), str(tmp_path / name)]) == 0
    shown = capsys.readouterr()
    written = [p for p in tmp_path.rglob("*") if p.is_file() and source not in p.parents]
    assert len(written) == 5 + 2 + 2 + 3
    told = b"".join(p.read_bytes() for p in written) + (shown.out + shown.err).encode()
    for word in ("Zebra", "Zoe", "Z4711", "19631122", "20260130", "ACC99817", "1.2.3.99817"):
        assert word.encode() not in told
    assert main(["convert", str(source), str(tmp_path / "kept"), "--keep-identifiers"]) == 0
    kept = pydicom.dcmread(tmp_path / "kept" / "0001.dcm")
    assert (str(kept.PatientName), kept.PatientID) == ("Zebra^Zoe", "Z4711")
    assert kept.StudyInstanceUID == "1.2.3.99817"


def test_what_a_file_does_not_say_is_told_wherever_it_is_read(tmp_path, rng, capsys):
    coord = radial_coord(golden_means_3d(60), 16, 32)
    kspace = blobs(coord, 2)
    np.save(tmp_path / "k.npy", kspace)
    np.save(tmp_path / "t.npy", coord)
    np.save(tmp_path / "n.npy", (rng.standard_normal((2, 100, 2)) @ [1, 1j]).astype(np.complex64))
    raw, told = str(tmp_path / "k.npy"), ["--trajectory", str(tmp_path / "t.npy")]
    for command in ("info", "check", "recon"):
        assert main([command, raw, *told]) == 2
        said = "k.npy: --fov: it does not say its field of view; --fov Z Y X, in mm"
        assert said in capsys.readouterr().err
    told += ["--fov", "90", "100", "110", "--tr", "5", "--noise", str(tmp_path / "n.npy")]
    assert main(["info", raw, *told, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["n_noise_samples"] == 100
    assert shown["duration_s"] == pytest.approx(59 * 5e-3)
    assert main(["convert", raw, str(tmp_path / "a.h5"), *told]) == 0
    found = read_acquisition(tmp_path / "a.h5")
    assert found.geometry.fov == (90.0, 100.0, 110.0)
    np.testing.assert_allclose(np.diff(found.times), 5e-3, atol=1e-6)
    np.testing.assert_array_equal(found.noise, np.load(tmp_path / "n.npy"))


def test_delays_are_taken_out_of_what_is_written(tmp_path, capsys):
    coord = radial_coord(golden_means_3d(60), 16, 32)
    where = oblique_geometry()
    scan = Acquisition(
        kspace=blobs(coord, 2),
        coord=coord,
        times=np.arange(60.0),
        heartbeat=np.zeros(60, int),
        geometry=where,
    )
    write_ismrmrd(tmp_path / "a.h5", scan)
    files = [str(tmp_path / name) for name in ("a.h5", "b.cfl")]
    assert main(["convert", *files, "--delays", "0.5,-0.25,0.125", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["delays"]["applied"]
    assert record["delays"]["samples"]["x"] == 0.5
    # a sample is half a cycle: along x, a late gradient moves k back by delay x half a cycle x direction
    moved = read_acquisition(tmp_path / "b.cfl").coord - coord
    step = coord[:, 1] - coord[:, 0]
    expected = np.abs(step * [0.125, 0.25, 0.5])[:, None]
    np.testing.assert_allclose(np.abs(moved), np.broadcast_to(expected, moved.shape), atol=1e-5)
    assert main(["convert", *files, "--delays", "nonsense", "--overwrite"]) == 2
