"""``csiq heatmap``: what it writes, where the overlays lie, and how it fails."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import colormaps
from PIL import Image

from csiq.cli import main
from csiq.cli.heatmap import heatmap, occlusion_of
from csiq.errors import ResourceError
from csiq.heatmap.animation import check_kind, write_animation
from csiq.heatmap.figure import HEAT, OPACITY
from csiq.heatmap.view import array_orientation, view_of
from csiq.quality.model_file import DEFAULT_MODEL

#: Few large masks in the six graded slices: seconds become a fraction of one.
_QUICK = ("--slices", "graded", "--mask", "52", "--stride", "52", "-q")
#: 4 mm voxels as of a scan, the patient's axes in another order, one turned: array z is right to left.
_SAGITTAL = np.array([[0, 0, -4.0, 90], [4.0, 0, 0, -100], [0, 4.0, 0, -110], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def volume(tmp_path_factory) -> Path:
    """Return a file of noise, 52 x 50 x 48 (x y z) voxels of 4 mm, stored as sagittal slices."""
    values = np.random.default_rng(3).random((52, 50, 48)).astype(np.float32)
    image = nibabel.Nifti1Image(values, _SAGITTAL)
    path = tmp_path_factory.mktemp("volume") / "heart.nii.gz"
    nibabel.save(image, path)
    return path


@pytest.fixture(scope="module")
def written(volume, tmp_path_factory) -> Path:
    """Return the folder of a heat map of axial slices."""
    folder = tmp_path_factory.mktemp("map") / "out"
    assert main(["heatmap", str(volume), "-o", str(folder), *_QUICK]) == 0
    return folder


def test_files_and_sidecar(written):
    names = {path.name for path in written.iterdir()}
    assert names == {
        *(f"{kind}.{end}" for kind in ("heatmap", "relevance") for end in ("nii.gz", "json")),
        *(f"heatmap.{end}" for end in ("png", "svg", "gif")),
    }
    said = json.loads((written / "heatmap.json").read_text())
    assert (said["mask"], said["stride"], said["fill"]) == (52, 52, "zero")
    assert said["model"]["name"] == DEFAULT_MODEL
    assert len(said["model"]["sha256"]) == 64
    assert said["use"].startswith("Research use only")
    assert said["volume"] == "heart.nii.gz"
    assert said["uncalibrated"] is True
    # axial slices of the patient lie across array axis y of this file
    assert said["axes"] == ["coronal"]
    assert said["offsets_mm"] == [-40, -24, -8, 8, 24, 40]
    other = json.loads((written / "relevance.json").read_text())
    assert "csiq's own" in other["what"]


def test_overlays_have_shape_and_affine_of_the_volume(written, volume):
    image = nibabel.load(volume)
    for name in ("heatmap", "relevance"):
        overlay = nibabel.load(written / f"{name}.nii.gz")
        assert overlay.shape == image.shape
        np.testing.assert_allclose(overlay.affine, image.affine, atol=1e-5)
        assert overlay.header["sform_code"] > 0
    heat = nibabel.load(written / "heatmap.nii.gz").get_fdata()
    # along the patient's head-foot axis (y of the array, 4 mm) there are maps from -40 to 40 mm only
    known = np.flatnonzero(heat.any(axis=(0, 2)))
    assert (known.min(), known.max()) == (25 - 10, 25 + 10)
    assert 0 <= heat.min() < heat.max() <= 1


def test_an_overlay_without_orientation_claims_none(tmp_path):
    values = np.random.default_rng(3).random((52, 50, 48)).astype(np.float32)
    image = nibabel.Nifti1Image(values, None)
    image.header.set_zooms((4, 4, 4))
    nibabel.save(image, tmp_path / "bare.nii")
    args = [
        "heatmap",
        str(tmp_path / "bare.nii"),
        "-o",
        str(tmp_path / "out"),
        "--animation",
        "none",
        *_QUICK,
    ]
    assert main(args) == 0
    overlay = nibabel.load(tmp_path / "out" / "heatmap.nii.gz")
    assert (int(overlay.header["sform_code"]), int(overlay.header["qform_code"])) == (0, 0)
    np.testing.assert_array_equal(overlay.affine, nibabel.load(tmp_path / "bare.nii").affine)


def test_pictures(written):
    with Image.open(written / "heatmap.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10
    with Image.open(written / "heatmap.gif") as film:
        assert film.n_frames == 21
        first = np.asarray(film.convert("RGB"), float)
        film.seek(10)
        assert np.abs(np.asarray(film.convert("RGB"), float) - first).mean() > 1


def test_a_folder_in_use_is_kept(written, volume, tmp_path, capsys):
    before = (written / "heatmap.nii.gz").read_bytes()
    again = ["heatmap", str(volume), "-o", str(written), "--animation", "none", *_QUICK]
    assert main(again) == 7
    assert "--overwrite" in capsys.readouterr().err
    assert main([*again, "--overwrite", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["folder"] == "out"
    assert (written / "heatmap.nii.gz").read_bytes() == before
    assert not (written / "heatmap.gif").exists()
    (tmp_path / "mine.txt").write_text("keep")
    assert main(["heatmap", str(volume), "-o", str(tmp_path), "--overwrite", *_QUICK]) == 7
    assert (tmp_path / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--mask", "0"], 2),
        (["--mask", "8", "--stride", "9"], 2),
        (["--mask", "208"], 2),
        (["--model", "no-such"], 4),
        (["--axis", "oblique"], 2),
    ],
)
def test_what_cannot_be_done_has_an_exit_code(volume, tmp_path, more, code):
    folder = tmp_path / "out"
    assert main(["heatmap", str(volume), "-o", str(folder), *_QUICK, *more]) == code
    assert not folder.exists() or not any(folder.iterdir())


def test_a_missing_volume(tmp_path):
    assert main(["heatmap", str(tmp_path / "none.nii"), "-o", str(tmp_path / "out")]) == 2


def test_mp4_needs_ffmpeg(volume, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["heatmap", str(volume), "-o", str(tmp_path / "out"), "--animation", "mp4", *_QUICK]) == 5
    assert "ffmpeg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _fake_ffmpeg(folder: Path, line: str) -> None:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_mp4_by_ffmpeg(tmp_path, monkeypatch):
    # a stand-in that keeps the frames it is given under the name it is given
    _fake_ffmpeg(tmp_path, 'for last; do :; done; echo "$@" > "$0.args"; cat > "$last"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    check_kind("mp4")
    values = np.random.default_rng(1).random((20, 31, 40)).astype(np.float32)
    view = view_of(values, values, values, np.eye(4))
    write_animation(tmp_path / "film.mp4", view, "axial", [3, 9])
    said = (tmp_path / "ffmpeg.args").read_text()
    width, height = (int(n) for n in said.split("-s ")[1].split()[0].split("x"))
    assert width % 2 == height % 2 == 0
    assert (tmp_path / "film.mp4").stat().st_size == 2 * 3 * width * height
    _fake_ffmpeg(tmp_path, "echo no such codec >&2; cat > /dev/null; exit 1")
    with pytest.raises(ResourceError, match="no such codec"):
        write_animation(tmp_path / "other.mp4", view, "axial", [3])
    assert not (tmp_path / "other.mp4").exists()


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def _decoded(path: Path, width: int, height: int) -> np.ndarray:
    """Return the frames of a film as ffmpeg shows them, (n, height, width, 3)."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3).astype(float)


@needs_ffmpeg
def test_ffmpeg_films_the_slices_and_the_map(tmp_path):
    image = np.empty((20, 31, 41), np.float32)  # z y x
    image[:] = np.linspace(0.1, 1, 20)[:, None, None]
    heat = np.zeros_like(image)
    heat[:, 16:] = 1  # in front
    places = [2, 7, 11]
    write_animation(tmp_path / "film.mp4", view_of(image, heat, heat, np.eye(4)), "axial", places)
    # 2 x 41 voxels beside each other, 31 high, on 312 lines, an even number of columns
    frames = _decoded(tmp_path / "film.mp4", 826, 312)
    assert len(frames) == 3
    left, right = frames[:, 20:-20, 20:393], frames[:, :, 433:-20]
    greys = image[places, 0, 0] / view_of(image, heat, heat, np.eye(4)).top * 255
    np.testing.assert_allclose(left.mean(axis=(1, 2, 3)), greys, atol=4)  # lossy, and limited range
    assert left.std(axis=(1, 2)).max() < 4
    # the front is on top: the hottest colour half over it, nothing over the back
    hot, cold = right[:, 20:140], right[:, 180:-20]
    np.testing.assert_allclose(cold.mean(axis=(1, 2)), _blended(greys, 0), atol=6)
    np.testing.assert_allclose(hot.mean(axis=(1, 2)), _blended(greys, 255), atol=6)
    assert np.abs(hot.mean(axis=(1, 2)) - cold.mean(axis=(1, 2))).max(axis=1).min() > 40


def _blended(greys: np.ndarray, level: int) -> np.ndarray:
    """Return the colours of a map's level over greys, (n, 3)."""
    colour = 255 * np.array(colormaps[HEAT](level)[:3])
    return (1 - OPACITY) * greys[:, None] + OPACITY * colour


@needs_ffmpeg
def test_the_command_writes_an_mp4(volume, tmp_path):
    folder = tmp_path / "out"
    assert main(["heatmap", str(volume), "-o", str(folder), *_QUICK, "--animation", "mp4"]) == 0
    assert not (folder / "heatmap.gif").exists()
    # 48 voxels from right to left, twice, 52 from front to back on 312 lines; as many slices as the GIF
    assert len(_decoded(folder / "heatmap.mp4", 576, 312)) == 21


def test_orientations_of_the_patient():
    assert [array_orientation(name, np.eye(4)) for name in ("axial", "coronal", "sagittal")] == [
        "axial",
        "coronal",
        "sagittal",
    ]
    assert [array_orientation(name, _SAGITTAL) for name in ("axial", "coronal", "sagittal")] == [
        "coronal",
        "sagittal",
        "axial",
    ]


def test_slices_are_shown_as_radiologists_do():
    values = np.zeros((4, 4, 4), np.float32)  # z y x
    values[1, 3, 0] = 1  # low, anterior, and left of the patient's left-right axis: x is small
    view = view_of(values, values, values, np.diag([1.0, 2.0, 3.0, 1.0]))
    axial = view.plane(view.image, "axial", 1)
    # x rises to the patient's right... shown on the left: small x is on the right; anterior on top
    assert np.unravel_index(axial.argmax(), axial.shape) == (0, 3)
    assert view.voxel_size == (1, 2, 3)
    assert view.aspect("axial") == 2
    assert view.aspect("sagittal") == 1.5
    assert view.places("axial", (-3.0, 0.0, 300.0)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("slices", "every", "expected"),
    [
        ("all", 1, (-104, 103, 208)),
        ("all", 4, (-104, 100, 52)),
        ("cube", 1, (-40, 40, 81)),
        ("cube", 3, (-39, 39, 27)),
        ("graded", 1, (-40, 40, 6)),
    ],
)
def test_which_slices(slices, every, expected):
    given = {
        "mask": 8,
        "stride": None,
        "slices": slices,
        "every": every,
        "fill": "zero",
        "normalise": "slice",
    }
    offsets = occlusion_of(given, ("axial",), object()).places
    assert (offsets[0], offsets[-1], len(offsets)) == expected


def test_help_says_what_it_is_for():
    text = CliRunner().invoke(heatmap, ["--help"]).output
    assert "Research use only" in text
    assert "csiq heatmap volume.nii.gz" in text
