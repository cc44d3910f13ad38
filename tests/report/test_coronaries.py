"""Coronary reformats: a vessel of known shape is straight, in its place, on its side; files are checked."""

from __future__ import annotations

import h5py
import nibabel
import numpy as np
import pytest

from csiq.errors import ConfigError, RawDataError
from csiq.quality.centreline import Vessel
from csiq.report import ReportOptions
from csiq.report.bubble import MARGIN, bubble, viewpoint
from csiq.report.bubble import SAMPLE as BUBBLE
from csiq.report.centrelines import Centrelines, read_centrelines
from csiq.report.page import render
from csiq.report.record import read_record
from csiq.report.reformat import HALF_WIDTH, SAMPLE, Scene, straightened
from tests.report.fake_run import write_run_folder

SIZE, N = 2.0, 64
#: Voxels to RAS mm: an LPS file, its middle at 0.
AFFINE = np.diag([-SIZE, -SIZE, SIZE, 1.0])
AFFINE[:3, 3] = [SIZE * N / 2, SIZE * N / 2, -SIZE * N / 2]


def helix() -> np.ndarray:
    """Points round a heart of 35 mm, z y x in RAS mm: from the front over the right to the back."""
    angle = np.linspace(-0.5, 2.0, 120)
    return np.stack([20 - 14 * angle, 35 * np.cos(angle), 35 * np.sin(angle)], axis=1)


def painted(lines: dict[str, np.ndarray], radius: float = 2.5) -> np.ndarray:
    """A volume (z, y, x) with bright tubes on a dim ground."""
    index = np.stack(np.meshgrid(*[np.arange(N)] * 3, indexing="ij"), axis=-1)[..., ::-1]
    world = (index @ AFFINE[:3, :3].T + AFFINE[:3, 3])[..., ::-1].reshape(-1, 3)
    image = np.full(len(world), 0.2, np.float32)
    from scipy.spatial import cKDTree

    for points in lines.values():
        away, _ = cKDTree(points).query(world, distance_upper_bound=radius + 2)
        image = np.maximum(image, np.clip(radius + 0.5 - away, 0.2, 1))
    return image.reshape(N, N, N)


@pytest.fixture(scope="module")
def tube() -> tuple[Scene, Vessel]:
    points = helix()
    vessel = Vessel(points, np.full(len(points), 2.5))
    return Scene.around(painted({"RCA": points}), AFFINE, points), vessel


def test_places_of_the_patient_are_found_in_the_volume(tube):
    scene, vessel = tube
    assert scene.field.values.size < N**3  # a part of it
    assert scene.at(vessel.points[5:-5]).min() > 0.9
    assert abs(scene.at(vessel.points + np.array([0.0, 0.0, 8.0])).mean() - 0.2) < 0.05
    assert scene.at(np.array([[500.0, 0.0, 0.0]])) == 0


def test_a_straightened_vessel_is_straight_and_as_long_and_wide_as_it_is(tube):
    scene, vessel = tube
    flat = straightened(scene, vessel)
    columns = flat.pixels.shape[1]
    assert columns * SAMPLE == pytest.approx(vessel.length, abs=1.5)
    half = round(HALF_WIDTH / SAMPLE)
    for cut in (flat.pixels[: 2 * half + 1], flat.pixels[-2 * half - 1 :]):
        inner = cut[:, 10:-10]
        centre = (inner - 0.2).clip(0).T @ np.arange(len(cut)) / (inner - 0.2).clip(0).sum(axis=0)
        assert np.abs(centre - half).max() * SAMPLE < 1.0  # corners of the polygon are rounded
        width = (inner > 0.6).sum(axis=0) * SAMPLE
        assert width.mean() == pytest.approx(2 * 2.6, abs=0.8)  # down to 0.6 at 2.6 mm


def test_the_soap_bubble_shows_the_whole_vessel(tube):
    scene, vessel = tube
    flat = bubble(scene, {"RCA": vessel}, viewpoint({"RCA": vessel}))
    bright = np.argwhere(flat.pixels > 0.7) * BUBBLE
    # as one curve of the vessel's width: its area over its width is its length
    assert len(bright) * BUBBLE**2 / 5.0 == pytest.approx(vessel.length, rel=0.25)
    size = np.array(flat.pixels.shape) * BUBBLE
    assert (bright.min(axis=0) > MARGIN - 5).all()
    assert (bright.max(axis=0) < size - MARGIN + 5).all()
    assert (flat.pixels[0] == 0).all()  # faded out far from it
    down, right = flat.marks["RCA"]
    assert flat.pixels[round(down) - 2 : round(down) + 3, round(right) - 2 : round(right) + 3].max() > 0.6


def test_the_patients_right_is_on_the_left_and_the_head_is_up():
    """Three short vessels in front: to the right of the patient, to the left, and toward the head."""
    angle = np.linspace(0.25, 0.9, 30)
    lines = {
        "RCA": np.stack([0 * angle, 35 * np.cos(angle), 35 * np.sin(angle)], axis=1),
        "LAD": np.stack([0 * angle, 35 * np.cos(angle), -35 * np.sin(angle)], axis=1),
        "up": np.stack([35 * np.sin(angle), 35 * np.cos(angle), 0 * angle], axis=1),
        "down": np.stack([-35 * np.sin(angle), 35 * np.cos(angle), 0 * angle], axis=1),
    }
    vessels = {name: Vessel(points, np.full(30, 2.5)) for name, points in lines.items()}
    every = np.concatenate(list(lines.values()))
    flat = bubble(Scene.around(painted(lines), AFFINE, every), vessels, viewpoint(vessels))
    assert set(flat.marks) == set(lines)
    assert flat.marks["RCA"][1] < flat.marks["up"][1] < flat.marks["LAD"][1]
    assert flat.marks["up"][0] < flat.marks["RCA"][0] < flat.marks["down"][0]
    for down, right in flat.marks.values():  # each tip is where the picture is bright
        assert flat.pixels[round(down) - 2 : round(down) + 3, round(right) - 2 : round(right) + 3].max() > 0.6


def test_a_vessel_round_the_back_is_left_out():
    way, still = np.linspace(-1.6, 1.6, 60), np.zeros(60)
    across = np.stack([still, 35 * np.cos(way), 35 * np.sin(way)], axis=1)
    back = np.stack([still[:20], still[:20] - 35, np.linspace(-9, 9, 20)], axis=1)
    lines = {"RCA": across, "LAD": across[:, [2, 1, 0]], "PDA": back}
    view = viewpoint({name: Vessel(points, np.ones(len(points))) for name, points in lines.items()})
    assert view.names == ("RCA", "LAD")
    assert view.frame[:, 2] @ np.array([0.0, 1.0, 0.0]) > 0.9  # seen from the front


# ---------------------------------------------------------------- files


def write_table(path, rows, header="vessel\tx_mm\ty_mm\tz_mm"):
    path.write_text("\n".join([header, *("\t".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_a_table_is_read_in_ras(tmp_path):
    path = write_table(
        tmp_path / "c.tsv", [("RCA", 1, 2, 3), ("RCA", 4, 5, 6), ("LAD", 0, 0, 0), ("LAD", 0, 0, 9)]
    )
    lines = read_centrelines(path)
    assert set(lines.of(3, 4)) == {"RCA", "LAD"}
    np.testing.assert_array_equal(lines.of(1, 4)["RCA"].points, [[3, 2, 1], [6, 5, 4]])
    assert (lines.of(1, 4)["RCA"].radius == 1.5).all()


def test_a_table_may_have_phases_and_radii(tmp_path):
    rows = [("RCA", x, 0, 0, p, 2.0) for p in (1, 2) for x in (10 * p, 10 * p + 5)]
    header = "vessel\tx_mm\ty_mm\tz_mm\tphase\tradius_mm"
    lines = read_centrelines(write_table(tmp_path / "c.tsv", rows, header))
    assert lines.of(2, 2)["RCA"].points[0, 2] == 20
    assert (lines.of(2, 2)["RCA"].radius == 2.0).all()


@pytest.mark.parametrize(("phase", "n", "taken"), [(1, 2, 1), (2, 2, 4), (1, 1, 1), (5, 6, 3), (3, 4, 3)])
def test_another_number_of_phases_takes_the_nearest(phase, n, taken):
    vessel = {p: {str(p): Vessel(np.eye(3), np.ones(3))} for p in (1, 2, 3, 4)}
    assert list(Centrelines(vessel).of(phase, n)) == [str(taken)]


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        ([("RCA", 1, 2)], "vessel\tx_mm\ty_mm", "lacks the columns z_mm"),
        ([("RCA", 1, 2, 3)], "vessel\tx_mm\ty_mm\tz_mm", "make no vessel"),
        ([("RCA", 1, 2, "far")] * 2, "vessel\tx_mm\ty_mm\tz_mm", "expected a number"),
        ([], "vessel\tx_mm\ty_mm\tz_mm", "no centrelines"),
        (
            [("R", i, 2, 3, i // 2) for i in range(4)],
            "vessel\tx_mm\ty_mm\tz_mm\tphase",
            "some rows have a phase",
        ),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, rows, header, words):
    with pytest.raises(RawDataError, match=words):
        read_centrelines(write_table(tmp_path / "c.tsv", rows, header))


def test_the_truth_of_a_simulated_scan_is_read(tmp_path):
    with h5py.File(tmp_path / "scan.truth.h5", "w") as file:
        file["centrelines/phase-1/RCA"] = np.array([[3.0, 2.0, 1.0, 1.4], [6.0, 5.0, 4.0, 1.2]])
    lines = read_centrelines(tmp_path / "scan.truth.h5")
    np.testing.assert_array_equal(lines.of(1, 1)["RCA"].points, [[3, 2, 1], [6, 5, 4]])
    with h5py.File(tmp_path / "old.truth.h5", "w") as file:
        file["bins"] = [1, 2]
    with pytest.raises(RawDataError, match="no centrelines"):
        read_centrelines(tmp_path / "old.truth.h5")


def test_links_out_of_a_truth_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["centrelines/phase-1/RCA"] = np.ones((3, 4))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["centrelines"] = h5py.ExternalLink("a.h5", "/centrelines")
    with pytest.raises(RawDataError, match="link"):
        read_centrelines(tmp_path / "b.h5")


# ---------------------------------------------------------------- on the page


def run_with(tmp_path, points):
    folder = write_run_folder(tmp_path / "run", n=8, n_phases=2)
    volume = painted({"RCA": points})
    for phase in (1, 2):
        image = nibabel.Nifti1Image(volume.transpose(2, 1, 0), AFFINE)
        image.set_qform(AFFINE, 1)
        nibabel.save(image, folder / f"phase-{phase}.nii.gz")
    return folder


def test_the_page_shows_each_vessel_in_each_phase(tmp_path):
    points = helix()
    folder = run_with(tmp_path, points)
    path = write_table(tmp_path / "mine.tsv", [("RCA", *p[::-1]) for p in points])
    page = render(read_record(folder), ReportOptions(centrelines=path))
    assert "Along the centrelines of mine.tsv" in page
    assert str(tmp_path) not in page
    assert page.count("RCA straightened, phase") == 2
    assert page.count("coronary arteries on one surface, phase") == 2
    assert "Coronary arteries" not in render(read_record(folder))


def test_lines_that_miss_the_image_are_told(tmp_path):
    folder = run_with(tmp_path, helix())
    path = write_table(tmp_path / "far.tsv", [("RCA", 900 + i, 900, 900) for i in range(5)])
    with pytest.raises(RawDataError, match="no centreline runs through the image"):
        render(read_record(folder), ReportOptions(centrelines=path))
    with pytest.raises(ConfigError):
        render(read_record(folder), ReportOptions(centrelines=tmp_path / "nothing.tsv"))
