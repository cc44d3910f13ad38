"""Slices as radiologists look at them: letters by the affine, one window, one encoding, below the limit."""

from __future__ import annotations

import base64
import io

import nibabel
import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.io.tables import write_json
from csiq.io.volumes import write_volumes
from csiq.report.encoding import BUDGET, Encoding, encoding_of
from csiq.report.images import images_of
from csiq.report.iterates import slices_of_iterate, slices_of_volumes
from csiq.report.record import read_record
from csiq.report.slices import Slice, Volume, read_volume, slices_of, volume_of, window_of
from tests.report.fake_run import write_run_folder


def decoded(uri: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L")).astype(float)


def corners(shown: Slice) -> dict[str, float]:
    """Mean brightness of the quarters of a slice, by the letters of their sides."""
    rows, columns = (n // 2 for n in shown.pixels.shape)
    return {
        shown.letters[v] + shown.letters[h]: float(shown.pixels[down, right].mean())
        for v, down in (("top", slice(0, rows)), ("bottom", slice(rows, None)))
        for h, right in (("left", slice(0, columns)), ("right", slice(columns, None)))
    }


# ---------------------------------------------------------------- letters


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_a_marker_appears_on_the_side_its_letter_says(order, signs):
    # a bright place at the right, front and head of the patient, in a file of any order of axes
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for world, axis in enumerate(order):
        affine[world, axis] = 2.0 * signs[world]
        affine[world, 3] = -31.0 * signs[world]
    index = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"), axis=-1)
    place = index @ affine[:3, :3].T + affine[:3, 3]
    bright = (place > 12).sum(axis=-1) >= 2
    found = {
        s.plane: corners(s) for s in slices_of(volume_of(bright.astype(np.float32), affine, oriented=True))
    }
    assert {plane: max(c, key=c.get) for plane, c in found.items()} == {
        "axial": "AR",
        "coronal": "HR",
        "sagittal": "HA",
    }


def test_an_oblique_slice_has_two_letters():
    turn = np.deg2rad(30)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    axial = slices_of(volume_of(np.ones((8, 8, 8), np.float32), affine, oriented=True))[0]
    assert axial.letters == {"top": "AL", "bottom": "PR", "left": "RA", "right": "LP"}
    affine[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    axial = slices_of(volume_of(np.ones((8, 8, 8), np.float32), affine, oriented=True))[0]
    assert axial.letters == {"top": "A", "bottom": "P", "left": "R", "right": "L"}


def test_a_file_in_another_orientation_is_shown_the_same(tmp_path, rng):
    values = rng.random((12, 14, 16)).astype(np.float32)
    plain = nibabel.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0]))
    turned = nibabel.Nifti1Image(values[::-1].transpose(2, 0, 1), np.array(
        [[0.0, -2, 0, 22], [0, 0, 2, 0], [2, 0, 0, 0], [0, 0, 0, 1]]
    ))  # fmt: skip
    for name, image in (("a", plain), ("b", turned)):
        nibabel.save(image, tmp_path / f"{name}.nii")
    a, b = read_volume(tmp_path / "a.nii"), read_volume(tmp_path / "b.nii")
    assert a.oriented
    np.testing.assert_array_equal(a.values, b.values)


def test_unknown_orientation_has_question_marks(tmp_path):
    image = nibabel.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4))
    image.set_sform(np.eye(4), code=0)
    image.set_qform(np.eye(4), code=0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert not volume.oriented
    found = slices_of(volume)
    assert {letter for s in found for letter in s.letters.values()} == {"?"}
    assert [s.plane for s in found] == ["xy plane", "xz plane", "yz plane"]


def test_a_single_slice_has_one_picture():
    volume = Volume(np.ones((16, 16, 1), np.float32), (1.0, 1.0, 8.0), True)
    assert [s.plane for s in slices_of(volume)] == ["axial"]


# ---------------------------------------------------------------- window, encoding


def test_voxels_that_are_not_cubes_keep_their_proportions():
    found = slices_of(Volume(np.ones((10, 20, 40), np.float32), (4.0, 2.0, 2.0), True))
    encoding = Encoding(1.0, 200, 80)
    assert [(s.plane, *encoding.size(s)) for s in found] == [
        ("axial", 200, 200),
        ("coronal", 100, 200),
        ("sagittal", 100, 200),
    ]


def test_one_window_for_all_phases_ignores_the_chest_wall():
    heart = np.zeros((32, 32, 32), np.float32)
    heart[12:20, 12:20, 12:20] = 1.0
    wall = heart.copy()
    wall[:, 30:] = 50.0
    assert window_of([Volume(wall, (1.0, 1.0, 1.0), True)]) == 1.0
    assert window_of([Volume(heart, (1.0, 1.0, 1.0), True), Volume(3 * heart, (1.0, 1.0, 1.0), True)]) == 3.0
    assert window_of([Volume(0 * heart, (1.0, 1.0, 1.0), True)]) == 1.0


def test_what_is_decoded_is_what_was_shown(rng):
    from scipy.ndimage import gaussian_filter

    pixels = gaussian_filter(rng.random((96, 96)), 3).astype(np.float32)
    shown = Slice("axial", pixels, (96.0, 96.0), {})
    top = float(pixels.max())
    back = decoded(Encoding(top, 96, 85).uri(shown)) / 255 * top
    # 8 bits, of which WebP uses 219 grey levels (0.2 %), and its compression
    assert np.abs(back - pixels).max() < 0.05 * top
    assert np.abs(back - pixels).mean() < 0.01 * top


def test_an_encoding_is_chosen_that_fits_even_pure_noise(rng):
    noise = [Slice("axial", rng.random((208, 208)).astype(np.float32), (208.0, 208.0), {}) for _ in range(6)]
    many = noise * 42  # 20 iterations and the gridded image, 4 phases, 3 orientations: 252
    encoding = encoding_of(many, 1.0)
    assert sum(len(encoding.uri(s)) for s in noise) * 42 <= BUDGET
    few = encoding_of(noise[:3], 1.0)
    assert (few.side, few.quality) > (encoding.side, encoding.quality)


# ---------------------------------------------------------------- iterates


def save_iterate(folder, k: int, volumes: np.ndarray, *, known: bool = True) -> None:
    (folder / "iterates").mkdir(exist_ok=True)
    shape = volumes.shape[1:]
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    geometry = Geometry(shape, tuple(2.0 * n for n in shape), affine, known)
    write_volumes(folder / "iterates" / f"iter-{k:03d}.h5", volumes, geometry, k)


def test_iterates_are_shown_as_the_image_files_are(tmp_path):
    volumes = (np.arange(2 * 6 * 7 * 8).reshape(2, 6, 7, 8) * (1 + 1j)).astype(np.complex64)
    save_iterate(tmp_path, 3, volumes)
    magnitude = np.abs(volumes[1]).transpose(2, 1, 0)
    image = nibabel.Nifti1Image(magnitude, np.diag([-2.0, -2.0, 2.0, 1.0]))
    nibabel.save(image, tmp_path / "a.nii")
    expected = slices_of(read_volume(tmp_path / "a.nii"))
    found = slices_of_iterate(tmp_path / "iterates" / "iter-003.h5")[1]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.pixels, b.pixels, rtol=1e-6)
        assert (a.plane, a.mm, a.letters) == (b.plane, b.mm, b.letters)


def test_an_iterate_that_has_changed_is_read_again(tmp_path):
    save_iterate(tmp_path, 0, np.ones((1, 6, 6, 6), np.complex64))
    path = tmp_path / "iterates" / "iter-000.h5"
    assert slices_of_iterate(path)[0][0].pixels.max() == 1
    save_iterate(tmp_path, 0, np.full((1, 6, 6, 6), 5, np.complex64))
    assert slices_of_iterate(path)[0][0].pixels.max() == 5


def test_the_slider_has_every_saved_iterate_in_the_units_of_the_files(tmp_path, rng):
    folder = write_run_folder(tmp_path / "run", n=12)
    for k in (0, 1, 2):
        save_iterate(folder, k, (rng.random((4, 12, 12, 12)) / 50).astype(np.complex64))
    write_json(folder / "phase-1.json", {"scale": 50.0})
    images = images_of(read_record(folder), None)
    assert images["iterations"] == [0, 1, 2]
    assert set(images["frames"]) == {f"{p}-{plane}" for p in (1, 2, 3, 4) for plane in (0, 1, 2)}
    assert all(len(uris) == 3 for uris in images["frames"].values())
    bright = decoded(images["frames"]["1-0"][0]).mean()
    assert 90 < bright < 160  # uniform from 0 to 1, where the phantom's heart is 1


def test_without_a_scale_iterates_are_left_out(tmp_path):
    folder = write_run_folder(tmp_path / "run", n=12)
    for k in (0, 1):
        save_iterate(folder, k, np.ones((4, 12, 12, 12), np.complex64))
    assert images_of(read_record(folder), None)["iterations"] == []


def test_a_run_that_goes_on_shows_its_latest_iterate(tmp_path):
    folder = write_run_folder(tmp_path / "run", n=12, status="running", returned_iteration=None, stop=None)
    for path in folder.glob("phase-*"):
        path.unlink()
    assert images_of(read_record(folder), None) is None
    for k in (0, 1):
        save_iterate(folder, k, np.full((4, 12, 12, 12), 1 + k, np.complex64), known=False)
    images = images_of(read_record(folder), None)
    assert (images["running"], images["latest"]) == (True, 1)
    assert images["phases"][0]["slices"][0]["uri"] == images["frames"]["1-0"][1]
    assert not images["oriented"]


def test_a_damaged_iterate_is_named(tmp_path):
    save_iterate(tmp_path, 0, np.ones((1, 6, 6, 6), np.complex64))
    path = tmp_path / "iterates" / "iter-000.h5"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(RawDataError, match="iter-000"):
        slices_of_iterate(path)


def test_a_run_that_saves_no_iterates_shows_what_it_has_in_memory(tmp_path, rng):
    folder = write_run_folder(tmp_path / "run", n=12, status="running", returned_iteration=None, stop=None)
    for path in folder.glob("phase-*"):
        path.unlink()
    volumes = rng.random((4, 12, 12, 12)).astype(np.complex64)
    latest = slices_of_volumes(volumes, np.diag([-2.0, -2.0, 2.0, 1.0]))
    # x to the left and y to the back, as files from scanners mostly are: shown as it lies
    np.testing.assert_array_equal(latest[2][0].pixels, np.abs(volumes[2, 6]))
    images = images_of(read_record(folder), None, latest=latest)
    assert len(images["phases"]) == 4
    assert images["iterations"] == []
    assert images["latest"] == 8
