"""What a manifest may name, what is learned from it, and everything that is wrong with it at once."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.cohort.manifest import ManifestError
from csiq.errors import ConfigError
from csiq.io.tables import write_json
from csiq.io.volumes import write_volumes
from csiq.training import GradedSet
from csiq.training.graded_set import consensus
from csiq.training.mapped_volume import write_mapped
from tests.training.graded_folder import ball, write_nii


def _table(folder: Path, *rows: str, header: str = "volume\tpatient\tsplit\treader1a") -> Path:
    path = folder / "graded.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_images_of_a_manifest(manifest: Path) -> None:
    data = GradedSet.open(manifest)
    assert len(data.images) == 16
    image = data.images[2]
    assert (image.name, image.patient, image.split, image.grade) == (
        "train1-2.nii",
        "train1-2",
        "train1",
        2.5,
    )
    assert image.grades == {"reader1a": 2.5, "reader1b": 3.0, "reader2": 2.5}
    assert image.reference == pytest.approx(2.6)
    assert image.voxel_size == (4.0, 4.0, 4.0)
    assert data.warnings == ()
    assert [len(data.of(*splits)) for splits in (("train",), ("train1", "train3"), ("test",), ())] == [
        12,
        8,
        4,
        16,
    ]


def test_targets(manifest: Path) -> None:
    # 1a 2.5 and 1b 3.0 are one observer, who says 2.75; observer 2 says 2.5
    assert GradedSet.open(manifest, "consensus").images[2].grade == pytest.approx(2.625)
    assert GradedSet.open(manifest, "reference").images[2].grade == pytest.approx(2.6)
    assert GradedSet.open(manifest, "reader2").images[2].grade == 2.5
    with pytest.raises(ConfigError, match="no reader 'reader3'; did you mean 'reader2'"):
        GradedSet.open(manifest, "reader3")


def test_consensus_leaves_missing_readings_out() -> None:
    assert consensus({"reader1a": 1.0, "reader1b": math.nan, "reader2": 2.0}) == 1.5
    assert math.isnan(consensus({"reader1": math.nan}))


def test_voxels_are_read_from_disk_and_scaled(manifest: Path) -> None:
    image = GradedSet.open(manifest).images[0]
    volume = ball(3.5 / 3, 0)
    np.testing.assert_allclose(np.asarray(image.volume), volume, atol=6e-4)
    np.testing.assert_allclose(image.volume[3, 5:7, ::9], volume[3, 5:7, ::9], atol=6e-4)
    np.testing.assert_allclose(np.take(image.volume, [4, 9], axis=2), volume[:, :, [4, 9]], atol=6e-4)
    assert image.volume.mapped().dtype == np.int16


def test_the_grader_takes_a_mapped_volume(manifest: Path) -> None:
    from csiq.quality.patches import volume_slices

    image = GradedSet.open(manifest).images[0]
    mapped = volume_slices(image.volume, image.voxel_size)
    plain = volume_slices(np.asarray(image.volume), image.voxel_size)
    np.testing.assert_allclose(mapped.values, plain.values, rtol=1e-5, atol=1e-6)


def test_only_the_parts_that_are_asked_for_are_opened(tmp_path: Path) -> None:
    write_nii(tmp_path / "a.nii", ball(0, 0))
    path = _table(tmp_path, "a.nii\ta\ttrain\t1", "gone.nii\tb\ttest\t1")
    assert len(GradedSet.open(path, splits=("train",)).images) == 1
    with pytest.raises(ManifestError, match=r"line 3: volume 'gone.nii' is not there"):
        GradedSet.open(path)
    with pytest.raises(ConfigError, match="no scan is in validation"):
        GradedSet.open(path, splits=("validation",))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    good = ball(0.1, 0)
    for name in ("good", "off", "twice", "unread"):
        write_nii(tmp_path / f"{name}.nii", good)
    write_nii(tmp_path / "small.nii", good[:20])
    write_nii(tmp_path / "four.nii", np.stack([good, good]))
    write_nii(tmp_path / "nan.nii", np.where(good > 1.2, np.nan, good))
    (tmp_path / "text.nii").write_text("no image")
    (tmp_path / "cut.nii").write_bytes((tmp_path / "good.nii").read_bytes()[:5000])
    path = _table(
        tmp_path,
        "good.nii\tp1\ttrain\t1",
        "off.nii\tp2\ttrain\t4.5",
        "twice.nii\tp1\ttest\t1",
        "gone.nii\tp3\ttrain\t1",
        "small.nii\tp4\ttrain\t1",
        "four.nii\tp5\ttrain\t1",
        "nan.nii\tp6\ttrain\t1",
        "text.nii\tp7\ttrain\t1",
        "cut.nii\tp8\ttrain\t1",
        "unread.nii\tp9\ttrain\tnan",
    )
    with pytest.raises(ManifestError) as caught:
        GradedSet.open(path)
    expected = (
        "line 3: reader1a 4.5 is off the scale",
        "line 4: patient p1 is in 'test', in line 2 in 'train'",
        "line 5: volume 'gone.nii' is not there",
        "line 6: volume 'small.nii' of 80 x 208 x 208 mm is smaller than a patch",
        "line 7: four.nii: holds 2 volumes; name one: four.nii:1",
        "line 8: volume 'nan.nii' is not finite",
        "line 9: text.nii: no readable NIfTI",
        "line 10: cut.nii: is cut short",
        "line 11: no grade of reader1a",
    )
    assert len(caught.value.problems) == len(expected)
    for problem, start in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(start), problem


def test_a_row_without_a_grade_stands_beside_one_that_is_wrong(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_nii(tmp_path / f"{name}.nii", ball(0, 0))
    header = "volume\tpatient\tsplit\treader1\treader2"
    rows = ("a.nii\ta\ttrain\t1\t", "b.nii\tb\ttrain\t\t2", "c.nii\tc\ttrain\t9\t2")
    with pytest.raises(ManifestError) as caught:
        GradedSet.open(_table(tmp_path, *rows, header=header), "reader1")
    assert caught.value.problems == (
        "line 3: no grade of reader1",
        "line 4: reader1 9 is off the scale 0 to 4",
    )
    both = GradedSet.open(_table(tmp_path, *rows[:2], header=header), "consensus")
    assert [image.grade for image in both.images] == [1.0, 2.0]


def test_patients_a_cohort_does_not_know(tmp_path: Path) -> None:
    write_nii(tmp_path / "a.nii", ball(0, 0))
    (tmp_path / "patients.tsv").write_text("patient\tage\np2\t50\n")
    with pytest.raises(ManifestError, match=r"line 2: patient p1 is not in patients.tsv"):
        GradedSet.open(_table(tmp_path, "a.nii\tp1\ttrain\t1"))


def test_volumes_beside_that_nobody_lists_are_a_warning(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_nii(tmp_path / f"{name}.nii", ball(0, 0))
    (warning,) = GradedSet.open(_table(tmp_path, "a.nii\tp1\ttrain\t1")).warnings
    assert "does not list 1 volume" in warning
    assert "b.nii" in warning


def _geometry() -> Geometry:
    return Geometry(fov=(208.0,) * 3, shape=(52, 52, 52), affine=np.diag([4.0, 4.0, 4.0, 1.0]), known=True)


def test_formats(tmp_path: Path) -> None:
    one, other = ball(0.1, 0), ball(0.3, 1)
    write_nii(tmp_path / "a.nii", one)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    write_mapped(tmp_path / "c.npy", one, (4.0, 4.0, 4.0))
    phases = np.stack([other, one * np.exp(1j)]).astype(np.complex64)
    write_volumes(tmp_path / "d.h5", phases, _geometry(), 3)
    for name in ("run.csiq", "alone.csiq"):
        (tmp_path / name).mkdir()
    write_volumes(tmp_path / "run.csiq" / "volumes.h5", phases, _geometry(), 3)
    write_json(tmp_path / "run.csiq" / "ranking.json", {"best_phase": 2})
    write_volumes(tmp_path / "alone.csiq" / "volumes.h5", phases[1:], _geometry(), 3)
    names = ("a.nii", "b.nii.gz", "c.npy", "d.h5:2", "run.csiq", "run.csiq:1", "alone.csiq")
    rows = [f"{name}\tp{i}\ttrain\t1" for i, name in enumerate(names)]
    cache = tmp_path / "cache"
    data = GradedSet.open(_table(tmp_path, *rows), cache=cache)
    for image in data.images:
        expected = other if image.name == "run.csiq:1" else one
        np.testing.assert_allclose(np.asarray(image.volume), expected, atol=2e-4 * expected.max())
        assert image.voxel_size == pytest.approx((4.0, 4.0, 4.0))
    # what was unpacked is not unpacked again
    before = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert len([file for file in before if file.suffix == ".npy"]) == 5
    GradedSet.open(tmp_path / "graded.tsv", cache=cache)
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == before


def test_volumes_that_are_not_meant_clearly(tmp_path: Path) -> None:
    phases = np.stack([ball(0, 0)] * 2).astype(np.complex64)
    write_volumes(tmp_path / "d.h5", phases, _geometry(), 3)
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["other"] = 1
    (tmp_path / "empty").mkdir()
    rows = ("d.h5\ta\ttrain\t1", "d.h5:3\tb\ttrain\t1", "e.h5\tc\ttrain\t1", "empty\td\ttrain\t1")
    with pytest.raises(ManifestError) as caught:
        GradedSet.open(_table(tmp_path, *rows))
    found = caught.value.problems
    assert found[0] == "line 2: d.h5: holds 2 volumes; name one: d.h5:1"
    assert found[1] == "line 3: d.h5: has no volume 3, only 2"
    assert found[2].startswith("line 4: e.h5")
    assert found[3] == "line 5: empty: holds no DICOM image"


def test_dicom_series(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    volume = ball(0.2, 2)[:50, :48, :]
    stored = np.rint(volume * 1000).astype(np.uint16)
    folder = tmp_path / "series"
    folder.mkdir()
    # coronal slices from back to front: rows from head to feet
    for number in range(48):
        _write_slice(pydicom, folder / f"{97 - number}.dcm", stored[::-1, number], number)
    (folder / "notes.txt").write_text("not an image")
    data = GradedSet.open(_table(tmp_path, "series\tp1\ttrain\t1"))
    np.testing.assert_allclose(np.asarray(data.images[0].volume), volume, atol=2e-3)
    assert data.images[0].voxel_size == (4.0, 4.5, 3.5)
    (folder / "60.dcm").unlink()
    with pytest.raises(ManifestError, match="slices are missing"):
        GradedSet.open(tmp_path / "graded.tsv")


def _write_slice(pydicom: object, path: Path, pixels: np.ndarray, number: int) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
    one = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    one.SeriesInstanceUID = "1.2.3"
    one.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    one.ImagePositionPatient = [-80, -100 + 4.5 * number, 90]
    one.PixelSpacing = [4.0, 3.5]
    one.Rows, one.Columns = pixels.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation = 15, 0
    one.RescaleSlope, one.RescaleIntercept = "0.001", "0"
    one.PixelData = np.ascontiguousarray(pixels).tobytes()
    one.save_as(path, enforce_file_format=True)
