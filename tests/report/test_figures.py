"""Figures and slices: what is drawn where, and that nothing global is touched."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import numpy as np
import pytest

from csiq.history import History
from csiq.ranking import rank_numbers
from csiq.report.breathing import Breathing, breathing_figure
from csiq.report.figures import COLOURS, Marks, curves_figure, ranking_figure, save
from csiq.report.slices import Volume, read_iterate, read_volume, slices_of, window_of
from tests.report.fake_run import breathing_rows, history, write_run_folder


def bytes_of(figure, kind: str = "png") -> bytes:
    buffer = io.BytesIO()
    save(figure, buffer, kind)
    return buffer.getvalue()


def lines_of(axes) -> dict[str, object]:
    return {line.get_label(): line for line in axes.get_lines()}


# ---------------------------------------------------------------- curves


def test_curves_show_each_phase_on_the_readers_scale():
    made = history(4)
    figure = curves_figure(made, Marks(plateau=8, returned=(7, 7, 7, 7)))
    grades, cost = figure.axes
    assert grades.get_ylim() == (-0.08, 4.08)
    for phase in (1, 2, 3, 4):
        line = lines_of(grades)[f"phase {phase}"]
        assert list(line.get_ydata()) == [step.grades[phase - 1] for step in made.steps]
        assert line.get_color() == COLOURS[phase - 1]
    black = cost.get_lines()[0]
    assert black.get_color() == "black"
    assert list(black.get_ydata()) == [step.cost for step in made.steps]
    assert list(lines_of(grades)["plateau: 8"].get_xdata()) == [8, 8]
    rings = [line for line in grades.get_lines() if line.get_markersize() == 11]
    assert [(r.get_xdata()[0], r.get_ydata()[0]) for r in rings] == [(7, g) for g in made.steps[7].grades]


def test_curves_of_a_shadow_run_say_that_it_went_on():
    figure = curves_figure(history(2, n_iterations=12), Marks(plateau=8, returned=(12, 12), stopped=False))
    assert "plateau (run went on): 8" in lines_of(figure.axes[0])


def test_grades_outside_the_scale_are_seen():
    figure = curves_figure(history(1, final=(5.0,)), Marks())
    assert figure.axes[0].get_ylim()[1] > 4.9


@pytest.mark.parametrize("n_iterations", [0, 1])
def test_short_and_ungraded_histories_are_drawn(n_iterations):
    made = history(2, n_iterations=n_iterations)
    assert bytes_of(curves_figure(made, Marks())).startswith(b"\x89PNG")
    blank = History([type(s)(**{**vars(s), "grades": (math.nan,) * 2}) for s in made.steps])
    figure = curves_figure(blank, Marks())
    assert figure.axes[0].get_ylabel() == "not graded"
    assert bytes_of(figure)


def test_figures_leave_pyplot_alone_and_are_equal_each_time():
    code = (
        "import sys, io\n"
        "from csiq.report.figures import curves_figure, Marks, save\n"
        "from tests.report.fake_run import history\n"
        "save(curves_figure(history(2), Marks()), io.BytesIO(), 'png')\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
    twice = [bytes_of(curves_figure(history(2), Marks()), kind) for kind in ("svg", "svg")]
    assert twice[0] == twice[1]


# ---------------------------------------------------------------- ranking, breathing


def test_ranking_shades_what_cannot_be_told_from_the_best():
    figure = ranking_figure(rank_numbers([1.0, 2.0, 1.9], [0.1] * 3), [0.05] * 3)
    span = figure.axes[0].patches[0]
    assert span.get_x() == pytest.approx(1.75)
    assert span.get_width() == pytest.approx(0.25)
    assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]  # phase 1 on top


def test_ranking_with_a_missing_grade_is_drawn():
    assert bytes_of(ranking_figure(rank_numbers([math.nan, 2.0], [math.nan, 0.1]), [0.0, 0.1]))


def made_breathing(n_phases: int = 4) -> Breathing:
    rows = breathing_rows(n_phases)
    return Breathing(*(np.array([row[k] for row in rows]) for k in ("time_s", "signal", "phase")))


def test_bin_edges_lie_between_the_phases():
    breathing = made_breathing()
    assert sum(breathing.counts) == breathing.signal.size
    low, middle, high = breathing.edges
    assert (breathing.signal[breathing.phase == 1] > high).all()
    assert (breathing.signal[breathing.phase == 4] < low).all()
    assert ((breathing.signal > middle) == (breathing.phase <= 2)).all()
    drawn = breathing_figure(breathing, "displacement").axes[0]
    horizontal = [line.get_ydata()[0] for line in drawn.get_lines() if line.get_linestyle() == "--"]
    assert sorted(horizontal) == pytest.approx([low, middle, high])


def test_a_heartbeat_is_drawn_once_and_long_scans_are_thinned():
    breathing = made_breathing()
    assert breathing.thinned().signal.size == 234
    wave = np.sin(np.arange(20000) / 30)
    free = Breathing(np.arange(20000) / 100, wave, np.where(wave > 0, 1, 2))
    assert 700 < free.thinned().signal.size <= 1500
    assert len(bytes_of(breathing_figure(free, "signal"), "svg")) < 400_000


def test_spokes_that_are_not_used_are_grey_and_counted():
    breathing = Breathing(np.arange(4.0), np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 2, 1, 1]))
    assert breathing.counts == [2, 1]
    assert breathing.edges == [1.5]
    assert bytes_of(breathing_figure(breathing, "signal"))


# ---------------------------------------------------------------- slices


def decoded(uri: str) -> np.ndarray:
    import base64

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_a_marker_appears_on_the_side_its_letter_says():
    # x to the right, y to the front, z to the head: a bright corner there
    values = np.zeros((32, 32, 32), np.float32)
    values[24:, 24:, 16] = values[24:, 16, 24:] = values[16, 24:, 24:] = 1.0
    pictures = {s.plane: s for s in slices_of(Volume(values, (2.0, 2.0, 2.0), True), 1.0)}
    for plane, corner in {"axial": "AR", "coronal": "SR", "sagittal": "SA"}.items():
        shown = decoded(pictures[plane].uri)
        half = shown.shape[0] // 2
        quadrants = {
            pictures[plane].letters[v] + pictures[plane].letters[h]: shown[rows, columns].mean()
            for v, rows in (("top", slice(0, half)), ("bottom", slice(half, None)))
            for h, columns in (("left", slice(0, half)), ("right", slice(half, None)))
        }
        assert max(quadrants, key=quadrants.get) == corner


def test_a_file_in_another_orientation_is_shown_the_same(tmp_path):
    import nibabel

    rng = np.random.default_rng(5)
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


def test_unknown_orientation_has_no_letters(tmp_path):
    import nibabel

    image = nibabel.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4))
    image.set_sform(np.eye(4), code=0)
    image.set_qform(np.eye(4), code=0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert not volume.oriented
    assert set(slices_of(volume, 1.0)[0].letters.values()) == {""}
    assert [s.plane for s in slices_of(volume, 1.0)] == ["xy plane", "xz plane", "yz plane"]


def test_voxels_that_are_not_cubes_keep_their_proportions():
    pictures = slices_of(Volume(np.ones((10, 20, 40), np.float32), (4.0, 2.0, 2.0), True), 1.0, side=200)
    assert [(s.plane, s.width, s.height) for s in pictures] == [
        ("axial", 200, 200),
        ("coronal", 100, 200),
        ("sagittal", 100, 200),
    ]


def test_a_single_slice_has_one_picture():
    assert [
        s.plane for s in slices_of(Volume(np.ones((16, 16, 1), np.float32), (1.0, 1.0, 8.0), True), 1.0)
    ] == ["axial"]


def test_one_window_for_all_phases_ignores_the_chest_wall():
    heart = np.zeros((32, 32, 32), np.float32)
    heart[12:20, 12:20, 12:20] = 1.0
    wall = heart.copy()
    wall[:, 30:] = 50.0
    assert window_of([Volume(wall, (1.0, 1.0, 1.0), True)]) == 1.0
    assert window_of([Volume(heart, (1.0, 1.0, 1.0), True), Volume(3 * heart, (1.0, 1.0, 1.0), True)]) == 3.0
    assert window_of([Volume(0 * heart, (1.0, 1.0, 1.0), True)]) == 1.0


def test_the_gridded_image_is_shown_where_iterates_were_saved(tmp_path):
    from csiq.acquisition import Geometry
    from csiq.io.volumes import write_volumes
    from csiq.report.page import render
    from csiq.report.record import read_record

    folder = write_run_folder(tmp_path / "run", n=8)
    (folder / "iterates").mkdir()
    volumes = np.arange(4 * 6 * 7 * 8).reshape(4, 6, 7, 8).astype(np.complex64)
    geometry = Geometry((6, 7, 8), (12.0, 14.0, 16.0), np.diag([2.0, 2.0, 2.0, 1.0]))
    write_volumes(folder / "iterates" / "iter-000.h5", volumes, geometry, 0)
    volume = read_iterate(folder / "iterates" / "iter-000.h5", 1)
    np.testing.assert_array_equal(volume.values, volumes[1].real.transpose(2, 1, 0))
    assert "Before: phase 2 at iteration 0, the gridded image" in render(read_record(folder))
