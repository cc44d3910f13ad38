"""Sharpness of a vessel: 20-80 % edge widths, Etienne's percentage, the length that is seen.

Profiles run from the centreline outwards, in eight directions across the vessel. Those of ``WINDOW`` mm along
the vessel are averaged direction by direction: noise averages out, a blur in one direction stays. Only
directions count in which the truth has an edge of its own: where a chamber touches the vessel there is none.

- Within the profile, ``hi`` is the highest signal up to the wall and ``lo`` the lowest in the dark beyond it:
  up to 4 mm, or to where the truth has the next structure. **Edge width** is the way from
  ``lo + 80 % (hi - lo)`` to ``lo + 20 %``.
- **Edge sharpness** is the mean slope between these two, in % of the vessel's signal per mm:
  ``60 / width * (hi - lo) / hi``; 60 / width for a vessel in the dark. Without the second factor, a vessel
  that fades into its surroundings would keep its sharpness: its width is bounded by its diameter.
- **Deriche**: the largest response within 1.5 mm of the wall to the filter ``alpha^2 x exp(-alpha |x|)``,
  alpha = 2 / mm, over the signal in the middle of the vessel. A step from that signal to nothing is 100 %.
- A window is **seen**, with soft thresholds, where the vessel stands out from its surroundings by a fifth of
  the blood's signal, and by five standard deviations of what the image shows there and the truth does not:
  Rose's criterion, voxel by voxel.

References
----------
Etienne A, et al. Soap-bubble visualization and quantitative analysis of 3D coronary magnetic resonance
angiograms. Magn Reson Med 2002;48:658-666. Deriche R. Using Canny's criteria to derive a recursively
implemented optimal edge detector. Int J Comput Vis 1987;1:167-187. Rose A. The sensitivity performance of the
human eye on an absolute scale. J Opt Soc Am 1948;38:196-208.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.quality.centreline import N_DIRECTIONS, STEP, Centreline, Field

#: Length along a vessel over which profiles are averaged, mm.
WINDOW = 8.0
#: Inverse width of Deriche's filter, 1 / mm.
ALPHA = 2.0
#: Contrast to blood and to local noise at which a window is half seen.
SEEN_CONTRAST = 0.2
SEEN_NOISE = 5.0
#: Width of an edge that is not there, mm.
WIDEST = 8.0
_SPACING = 0.2
#: Distances from the centreline at which a profile is sampled, mm.
REACH = np.arange(0.0, 8.0 + _SPACING / 2, _SPACING)
# the truth's signal must fall by this share within so many mm of the wall
_OWN_EDGE = 0.4
_AROUND = 4.0
_NEAR_WALL = 1.5
# the dark ends where the truth rises by this share of the contrast; voxels near the wall straddle it
_NEXT = 0.1
_SPILL = 1.0
# unseen windows of this weight keep the averages over what is seen defined
_FLOOR = 0.02


@dataclass(frozen=True)
class VesselSharpness:
    """How sharp a vessel is, over the part of it that is seen.

    Attributes
    ----------
    edge_width : float
        Way between 80 and 20 % of an edge, mm; ``WIDEST`` where nothing is seen.
    edge_sharpness : float
        % of the vessel's signal per mm.
    deriche : float
        %.
    diameter : float
        Twice the way from the centreline to half the edge's height, mm; 0 where nothing is seen.
    visible_length, visible_share : float
        mm, and as a share of the length that the truth shows.
    """

    edge_width: float
    edge_sharpness: float
    deriche: float
    diameter: float
    visible_length: float
    visible_share: float


@dataclass(frozen=True)
class Windows:
    """Averaged profiles of a vessel.

    Attributes
    ----------
    profiles : float64 array, (n_windows, N_DIRECTIONS, n_samples)
    radius : float64 array, (n_windows,)
        mm.
    inside : bool array, (n_windows,)
        Windows whose centreline lies within the volume.
    """

    profiles: np.ndarray
    radius: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, field: Field, line: Centreline) -> Windows:
        """Sample a field across a centreline and average along it."""
        spots = line.points[:, None, None] + line.directions[:, :, None] * REACH[:, None]
        inside = _averaged(field.inside(line.points).astype(np.float64)) == 1
        return cls(_averaged(field.at(spots).astype(np.float64)), _averaged(line.radius), inside)

    @property
    def middle(self) -> np.ndarray:
        """Signal within half the radius, (n_windows,)."""
        inner = 0.5 * self.radius[:, None] >= REACH
        return np.sum(self.profiles.mean(axis=1) * inner, axis=1) / inner.sum(axis=1)


def local_noise(unexplained: Field, line: Centreline) -> np.ndarray:
    """Return the RMS of what the truth does not show within 5 mm of a vessel, (n_windows,)."""
    spots = line.points[:, None, None] + line.directions[:, :, None] * np.arange(0.0, 5.5)[:, None]
    return np.sqrt(_averaged(np.mean(unexplained.at(spots).astype(np.float64) ** 2, axis=(1, 2))))


def _averaged(values: np.ndarray) -> np.ndarray:
    """Return means over windows of the first axis; what is left over at the end joins the last."""
    n = round(WINDOW / STEP)
    starts = np.arange(0, max(len(values) - n, 0) + 1, n)
    counts = np.diff(np.append(starts, len(values)))
    sums = np.add.reduceat(values, starts, axis=0)
    return sums / counts.reshape(-1, *[1] * (values.ndim - 1))


@dataclass(frozen=True)
class Surroundings:
    """What the truth says of a vessel's edges.

    Attributes
    ----------
    own : bool array, (n_windows, N_DIRECTIONS)
        Directions in which the vessel has an edge of its own.
    beyond : bool array, (n_windows, N_DIRECTIONS, n_samples)
        The dark beyond the wall: from there to 4 mm on, or to where the next structure begins.
    """

    own: np.ndarray
    beyond: np.ndarray

    @classmethod
    def of(cls, truth: Windows) -> Surroundings:
        """Find the edges in the truth's profiles."""
        wall, middle = truth.radius[:, None, None], truth.middle[:, None, None]
        near = (wall < REACH) & (wall + _AROUND >= REACH)
        outside = np.where(near, truth.profiles, np.inf)
        lowest = outside.min(axis=-1, keepdims=True)
        own = (lowest < (1 - _OWN_EDGE) * middle)[..., 0] & truth.inside[:, None]
        past = np.arange(len(REACH)) > outside.argmin(axis=-1)[..., None]
        bright = past & (outside > lowest + _NEXT * (middle - lowest))
        return cls(own, near & ~np.logical_or.accumulate(bright, axis=-1))


def vessel_sharpness(
    image: Windows, edges: Surroundings, blood: float, noise: np.ndarray
) -> VesselSharpness | None:
    """Return the sharpness of one vessel; None if its truth has no edge of its own.

    Parameters
    ----------
    image : Windows
        Of the image's magnitude.
    edges : Surroundings
        From the truth.
    blood : float
        Signal of blood in the image.
    noise : float64 array, (n_windows,)
        SD round the vessel of what the truth does not show.
    """
    counts = edges.own.sum(axis=1)
    kept = counts >= 2
    if not kept.any():
        return None
    found = edges_of(image, edges)
    seen = _seen(image, edges, blood, noise)[kept]
    total = seen.sum() + _FLOOR

    def mean(values: np.ndarray, unseen: float) -> float:
        windows = np.sum(values * edges.own, axis=1)[kept] / counts[kept]
        return float((windows @ seen + _FLOOR * unseen) / total)

    return VesselSharpness(
        edge_width=mean(found.width, WIDEST),
        edge_sharpness=mean(found.sharpness, 0.0),
        deriche=mean(deriche(image), 0.0),
        diameter=mean(2 * found.place, 0.0),
        visible_length=float(seen.sum() * WINDOW),
        visible_share=float(seen.mean()),
    )


@dataclass(frozen=True)
class Edges:
    """Edges of averaged profiles, (n_windows, N_DIRECTIONS) each.

    Attributes
    ----------
    width : float64 array
        20-80 %, mm; ``WIDEST`` where there is none.
    sharpness : float64 array
        %/mm; 0 where there is none.
    place : float64 array
        Where the edge is half down, mm from the centreline; 0 where there is none.
    """

    width: np.ndarray
    sharpness: np.ndarray
    place: np.ndarray


def edges_of(image: Windows, edges: Surroundings) -> Edges:
    """Return the edges of a vessel's averaged profiles."""
    p, wall = image.profiles, image.radius[:, None, None]
    index = np.arange(len(REACH))
    top = np.where(wall >= REACH, p, -np.inf).argmax(axis=-1)[..., None]
    bottom = np.where(edges.beyond, p, np.inf).argmin(axis=-1)[..., None]
    hi, lo = (np.take_along_axis(p, i, axis=-1) for i in (top, bottom))
    span = hi - lo
    high, middle, low = (lo + share * span for share in (0.8, 0.5, 0.2))
    half = np.argmax((index > top) & (p <= middle), axis=-1)[..., None]
    before = np.where((index >= top) & (index < half) & (p >= high), index, -1).max(axis=-1)[..., None]
    after = np.argmax((index >= half) & (p <= low), axis=-1)[..., None]
    found = ((span > 0) & (hi > 0) & (half > 0) & (before >= 0) & (after > 0))[..., 0]
    width = _crossing(p, after - 1, low) - _crossing(p, before, high)
    width = np.where(found, np.clip(width, _SPACING, WIDEST), WIDEST)
    depth = np.where(found[..., None], span / np.where(hi > 0, hi, 1.0), 0.0)[..., 0]
    place = np.where(found, _crossing(p, half - 1, middle), 0.0)
    return Edges(width, 60.0 / width * np.clip(depth, 0.0, 1.0), place)


def _crossing(p: np.ndarray, first: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return where profiles pass a level between samples ``first`` and ``first + 1``, mm."""
    first = np.clip(first, 0, len(REACH) - 2)
    a, b = (np.take_along_axis(p, i, axis=-1) for i in (first, first + 1))
    drop = np.where(a == b, 1.0, a - b)
    return ((first + np.clip((a - level) / drop, 0, 1)) * _SPACING)[..., 0]


def deriche(image: Windows) -> np.ndarray:
    """Return Etienne's percentage of each edge, (n_windows, N_DIRECTIONS)."""
    across = np.roll(image.profiles, N_DIRECTIONS // 2, axis=1)[..., :0:-1]
    whole = np.concatenate([across, image.profiles], axis=-1)
    away = REACH[:, None] - np.concatenate([-REACH[:0:-1], REACH])
    kernel = away * np.exp(-ALPHA * np.abs(away))
    kernel /= np.maximum(kernel, 0).sum(axis=1, keepdims=True)
    response = np.einsum("wks,rs->wkr", whole, kernel)
    near = np.abs(REACH - image.radius[:, None, None]) <= _NEAR_WALL
    largest = np.where(near, response, 0.0).max(axis=-1)
    middle = image.middle[:, None]
    return 100.0 * np.clip(largest / np.where(middle > 0, middle, np.inf), 0.0, 1.0)


def _seen(image: Windows, edges: Surroundings, blood: float, noise: np.ndarray) -> np.ndarray:
    """Return how far each window is seen, 0 to 1; fourth powers make the soft thresholds."""
    dark = edges.beyond & edges.own[..., None] & (image.radius[:, None, None] + _SPILL < REACH)
    around = np.sum(image.profiles * dark, axis=(1, 2)) / np.maximum(dark.sum(axis=(1, 2)), 1)
    contrast = np.maximum(image.middle - around, 1e-9 * blood)
    return 1 / (1 + (SEEN_CONTRAST * blood / contrast) ** 4) / (1 + (SEEN_NOISE * noise / contrast) ** 4)
