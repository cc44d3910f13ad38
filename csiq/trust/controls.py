"""Negative controls: what must not change a grade, what must, and where its heat map has to point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.agreement import pearson_r2, spearman
from csiq.agreement.columns import midranks
from csiq.io.tables import Cell
from csiq.quality.assessor import as_assessor
from csiq.quality.features import HeartTruth
from csiq.quality.patches import ORIENTATIONS, SIDE
from csiq.quality.vessel_distance import coronary_distance
from csiq.trust.degradations import blurred_coronaries, blurred_outside, with_wires

if TYPE_CHECKING:
    from csiq.heatmap import HeatMap, Occlusion

#: What is changed, and whether the grade may follow.
CHANGES = {
    "blur-outside": (blurred_outside, False),
    "wires-outside": (with_wires, False),
    "blur-coronaries": (blurred_coronaries, True),
}
#: A grade may change by less than this, or has to fall by more.
LIMIT = 0.25
#: Area under the ROC curve of a heat map that points at the coronaries; ours, the issue names none.
POINTS = 0.6
_NEAR, _FAR = 2.5, 8.0  # mm beyond the lumen: within, a pixel shows a coronary; beyond, none of the three


def control_rows(grader: Any, name: str, volume: np.ndarray, truth: HeartTruth) -> list[dict[str, Cell]]:
    """Grade an image before and after each of :data:`CHANGES`.

    Parameters
    ----------
    grader : Assessor, torch.nn.Module or callable
    name : str
        Of the case.
    volume : float32 array, (z, y, x)
        Magnitude.
    truth : HeartTruth

    Returns
    -------
    list of dict
        ``case control before after change passed``.
    """
    assessor = as_assessor(grader)
    z, y, x = (float(v) for v in truth.voxel_size)
    before = float(assessor.grade(volume, (z, y, x)).grade)
    rows: list[dict[str, Cell]] = []
    for control, (changed, follows) in CHANGES.items():
        after = float(assessor.grade(changed(volume, truth), (z, y, x)).grade)
        passed = before - after > LIMIT if follows else abs(after - before) < LIMIT
        rows.append(
            {
                "case": name,
                "control": control,
                "before": before,
                "after": after,
                "change": after - before,
                "passed": int(passed),
            }
        )
    return rows


def heat_row(
    grader: Any, name: str, volume: np.ndarray, truth: HeartTruth, occlusion: Occlusion
) -> dict[str, Cell]:
    """Return how far a heat map points at the coronaries rather than at the rest of the heart.

    Parameters
    ----------
    grader : Grader or torch module
    name : str
        Of the case.
    volume : float32 array, (z, y, x)
        Magnitude, intact: its coronaries are what the map should point at. Voxels of 1 mm, as the map has: on
        others no slice of the map lies in a plane of voxels, and the answer is NaN.
    truth : HeartTruth
    occlusion : Occlusion
        Slices of one orientation at whole millimetres, and the mask. One that blurs asks where sharpness
        matters.

    Returns
    -------
    dict
        ``case fill auc enriched``: the chance that a pixel of a coronary is hotter than another one of the
        heart, and how many times as many of the hottest tenth are coronary as of all.
    """
    from csiq.heatmap import occlusion_map

    z, y, x = (float(v) for v in truth.voxel_size)
    heat = occlusion_map(grader, volume, (z, y, x), occlusion)
    shape = truth.volume.shape
    on_grid = heat.on_grid(heat.relevance, shape, (z, y, x))
    known = heat.on_grid(_mapped(heat), shape, (z, y, x)) > 0.99
    away = coronary_distance(volume, truth)
    return {"case": name, "fill": occlusion.fill, **pointing(on_grid, away, known & truth.heart)}


def _mapped(heat: HeatMap) -> np.ndarray:
    """Return 1 in voxels of 1 mm that lie in a slice with a map of its own, not between two; 0 elsewhere."""
    found = np.zeros((SIDE, SIDE, SIDE), np.float32)
    for stack in heat.stacks:
        planes = np.moveaxis(found, ORIENTATIONS.index(stack.axis), 0)
        planes[np.rint(stack.offsets).astype(int) + SIDE // 2, heat.window, heat.window] = 1
    return found


def pointing(heat: np.ndarray, distance: np.ndarray, asked: np.ndarray) -> dict[str, Cell]:
    """Return whether heat is where coronaries are.

    Parameters
    ----------
    heat : float array, (z, y, x)
    distance : float array, (z, y, x)
        mm beyond the lumen of the nearest coronary; voxels from 2.5 to 8 mm count for neither side.
    asked : bool array, (z, y, x)
        Voxels that count: those of the heart in slices that have a map.

    Returns
    -------
    dict
        ``auc enriched``; NaN where there is nothing to compare.
    """
    near, far = heat[asked & (distance <= _NEAR)], heat[asked & (distance > _FAR)]
    if not near.size or not far.size:
        return {"auc": float("nan"), "enriched": float("nan")}
    ranks = midranks(np.concatenate([near, far]))
    above = ranks[: near.size].sum() - near.size * (near.size + 1) / 2
    hot = np.quantile(np.concatenate([near, far]), 0.9)
    share = near.size / (near.size + far.size)
    hottest = (near > hot).sum() + (far > hot).sum()
    enriched = (near > hot).sum() / hottest / share if hottest else float("nan")
    return {"auc": float(above / near.size / far.size), "enriched": float(enriched)}


def partial_rank(grades: Sequence[float], motion: Sequence[float], given: Sequence[Sequence[float]]) -> float:
    """Return Spearman's correlation of grade and motion at equal other conditions.

    Ranks of all columns; what is linear in the ranks of ``given`` is taken out of both.

    Parameters
    ----------
    grades, motion : sequence of float, (n,)
    given : sequence of sequences of float
        Columns, such as SNR and spokes.
    """
    columns = [midranks(np.asarray(column, float)) for column in (grades, motion, *given)]
    design = np.column_stack([np.ones(len(columns[0])), *columns[2:]])
    left = [c - design @ np.linalg.lstsq(design, c, rcond=None)[0] for c in columns[:2]]
    sizes = [float(np.linalg.norm(x)) for x in left]
    if min(sizes) < 1e-9 * len(grades):
        return float("nan")
    return float(left[0] @ left[1] / (sizes[0] * sizes[1]))


@dataclass(frozen=True)
class Conclusion:
    """What a formula other than the reference makes of the same test.

    Attributes
    ----------
    formula : str
    n : int
        Images.
    rho : float
        Spearman between grade and this formula.
    rho_formulas : float
        Between the reference formula and this one.
    pairs : float
        Share of the pairs of images that both formulas order alike, and by at least a tenth of the spread of
        this one, which the grades order in the same way.
    disputed : float
        Share of all pairs that the two formulas order differently.
    with_reference : float
        Share of these that the grades order as the reference does.
    """

    formula: str
    n: int
    rho: float
    rho_formulas: float
    pairs: float
    disputed: float
    with_reference: float


def conclusions(rows: Sequence[Mapping[str, Any]], formulas: Sequence[str]) -> list[Conclusion]:
    """Return what would be concluded if another formula were the truth.

    Parameters
    ----------
    rows : sequence of mappings
        With ``grade``, ``latent`` (of the reference) and one column a formula.
    formulas : sequence of str
        Columns, such as ``latent_no_deriche``.
    """
    grade, own = (np.array([float(row[name]) for row in rows]) for name in ("grade", "latent"))
    return [_conclusion(name, grade, own, np.array([float(row[name]) for row in rows])) for name in formulas]


def _conclusion(name: str, grade: np.ndarray, own: np.ndarray, other: np.ndarray) -> Conclusion:
    first, second = np.triu_indices(len(grade), 1)
    by_grade, by_own, by_other = (np.sign(x[first] - x[second]) for x in (grade, own, other))
    clear = np.abs(other[first] - other[second]) >= 0.1 * np.ptp(other)
    agreed, disputed = clear & (by_own == by_other), by_own * by_other < 0
    return Conclusion(
        name,
        len(grade),
        float(spearman(grade, other)),
        float(spearman(own, other)),
        _share(by_grade[agreed] == by_other[agreed]),
        _share(disputed),
        _share(by_grade[disputed] == by_own[disputed]),
    )


def explained(grades: Sequence[float], reference: Sequence[float]) -> float:
    """Return R2 of grades and reference, of a network trained on shuffled labels near 0."""
    return float(pearson_r2(grades, reference))


def _share(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
