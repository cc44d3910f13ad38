"""Draw the gallery of simulated patients, patients.jpg, beside this file.

    python docs/gallery.py

Each patient is painted at 1 mm at end-expiration, as the scan's contrast has it but without coils, noise or
motion: an axial, a coronal and a sagittal slice of the heart's field of view. Seeds were chosen to show how
people differ; any other seed gives another patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.marks import heart_marks, wire_shapes
from csiq.simulate.anatomy.shapes import Ellipsoid, Grid, Tube

HERE = Path(__file__).resolve().parent
N = 208  # voxels of 1 mm
GAP, CAPTION = 6, 44  # pixels between tiles, and above each
COLUMNS = 2
SCALE = 50  # mm of the bar


@dataclass(frozen=True)
class Tile:
    """A patient and where it is cut: ``heart``, its ``jet``, ``valve`` or ``wire``."""

    seed: int
    title: str
    cut: str = "heart"


TILES = (
    Tile(58, "young woman"),
    Tile(44, "young man"),
    Tile(73, "small woman, left-dominant coronaries"),
    Tile(10, "thin woman"),
    Tile(0, "tall man"),
    Tile(64, "heavy man"),
    Tile(76, "heavy old woman"),
    Tile(17, "jet of mitral regurgitation", "jet"),
    Tile(46, "jet of aortic stenosis, left-dominant", "jet"),
    Tile(20, "sternal wires", "wire"),
    Tile(96, "aortic prosthesis, sternal wires", "valve"),
    Tile(116, "mitral prosthesis, sternal wires", "valve"),
)


def middle(patient: Patient, cut: str) -> np.ndarray:
    """Return where a patient is cut, mm z y x."""
    heart = np.array([-2.0, 8.0, -12.0])
    if cut == "heart":
        return heart
    if cut == "wire":
        wires = wire_shapes(patient.marks, patient.body)
        voids = [s for s in wires if isinstance(s, Ellipsoid) and s.tissue == "void"]
        wire = min(voids, key=lambda void: abs(void.centre[0] - 40))
        return np.array([wire.centre[0], heart[1], wire.centre[2]])
    dark = {"jet": "flow void", "valve": "void"}[cut]
    marks = heart_marks(patient.marks, patient.heart)
    tube = next(s for s in marks if isinstance(s, Tube) and s.tissue == dark)
    return np.asarray(tube.points.mean(axis=0))


def planes(image: np.ndarray, cut: np.ndarray) -> list[np.ndarray]:
    """Return the three slices as they are looked at: from the feet, from the front, from the left."""
    at = N // 2 + np.rint(cut).astype(int)
    return [np.take(image, index, axis=axis)[::-1, ::-1] for axis, index in enumerate(at)]


def facts(patient: Patient) -> str:
    """Return who the patient is, in one line."""
    person, heart = patient.person, patient.heart
    sex = "woman" if person.is_woman else "man"
    return (
        f"{sex}, {person.age} y, {person.height_m:.2f} m, {person.weight_kg:.0f} kg, "
        f"{person.heart_rate:.0f}/min; chest {patient.body.width:.0f} mm; "
        f"LV {heart.volumes['LV']:.0f} ml, wall {heart.wall:.0f} mm; {heart.dominance} dominance"
    )


def letters() -> list[dict[str, str]]:
    """Return what lies left, right, above and below in each slice."""
    return [
        {"left": "R", "right": "L", "top": "A", "bottom": "P"},
        {"left": "R", "right": "L", "top": "H", "bottom": "F"},
        {"left": "A", "right": "P", "top": "H", "bottom": "F"},
    ]


def place(column: int, row: int) -> tuple[int, int]:
    """Return the upper left pixel of a patient's first slice: x, y."""
    return GAP + column * (3 * N + 3 * GAP), CAPTION + row * (N + CAPTION + GAP)


def main() -> None:
    """Paint all patients and write the picture."""
    rows = -(-len(TILES) // COLUMNS)
    width, height = COLUMNS * (3 * N + 3 * GAP) + GAP, rows * (N + CAPTION + GAP)
    canvas = np.zeros((height, width))
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for number, tile in enumerate(TILES):
        patient = Patient.from_seed(tile.seed)
        image = rasterise(patient, Grid.cube(N, float(N)))
        x, y = place(number % COLUMNS, number // COLUMNS)
        axes.text(x, y - 26, f"{number + 1}. {tile.title} (seed {tile.seed})", color="w", fontsize=9.5)
        axes.text(x, y - 9, facts(patient), color="0.8", fontsize=7.6)
        for panel, (plane, marks) in enumerate(
            zip(planes(image, middle(patient, tile.cut)), letters(), strict=True)
        ):
            left = x + panel * (N + 2)
            canvas[y : y + N, left : left + N] = np.clip(plane / 1.05, 0, 1) ** 0.8
            write_letters(axes, left, y, marks)
    axes.plot([GAP + 8, GAP + 8 + SCALE], [CAPTION + N - 8] * 2, color="w", lw=2)
    axes.text(GAP + 8, CAPTION + N - 13, f"{SCALE} mm", color="w", fontsize=7)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="none", extent=(0, width, height, 0))
    figure.savefig(
        HERE / "patients.jpg", dpi=100, facecolor="k", pil_kwargs={"quality": 82, "optimize": True}
    )


def write_letters(axes: Axes, left: int, top: int, marks: Mapping[str, str]) -> None:
    """Write the anatomical directions at the edges of a slice."""
    spots = {
        "left": (left + 3, top + N / 2), "right": (left + N - 10, top + N / 2),
        "top": (left + N / 2, top + 11), "bottom": (left + N / 2, top + N - 4),
    }  # fmt: skip
    for side, letter in marks.items():
        axes.text(*spots[side], letter, color="#ffd34d", fontsize=7)


if __name__ == "__main__":
    main()
