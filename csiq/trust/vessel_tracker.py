"""The length of vessels that can be followed round the heart, by a tracker that does not know where they are.

Voxels whose contrast keeps a track going (:mod:`csiq.trust.vesselness`) make pieces; a piece counts if its
contrast starts a track somewhere. Through each piece runs the minimal path, cheap where contrast is high,
from one end to the other, then the branches of it: paths end where contrast-to-noise does. What is tracked is
whatever looks like a vessel of 1.5 to 5 mm near the heart: veins, too, and in noise what is none.

References
----------
Cohen LD, Kimmel R. Global minimum for active contour models: a minimal path approach. Int J Comput Vis
1997;24:57-78.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from csiq.errors import ShapeError
from csiq.quality.centreline import Vessel
from csiq.trust.vesselness import vesselness

#: Least length of a track and of a branch, and how far apart two tracks are, mm.
SHORTEST, SHORTEST_BRANCH, APART = 25.0, 10.0, 3.0
#: A track shows a vessel within this distance, mm.
WITHIN = 3.0
_STEPS = [np.array(o) - 1 for o in np.ndindex(3, 3, 3) if o > (1, 1, 1)]


@dataclass(frozen=True)
class TrackedVessels:
    """What a tracker followed.

    Attributes
    ----------
    tracks : tuple of float64 arrays, (n, 3)
        Points about 1 mm apart, in mm from the middle of voxel 0, 0, 0, z y x.
    """

    tracks: tuple[np.ndarray, ...]

    @property
    def length(self) -> float:
        """Of all tracks, mm."""
        return float(sum(_length(track) for track in self.tracks))


@dataclass(frozen=True)
class Agreement:
    """Tracks beside the truth.

    Attributes
    ----------
    found : dict of str to float
        Share of each vessel's length that has a track within :data:`WITHIN` mm.
    recall : float
        The same of all these vessels together.
    precision : float
        Share of the tracks' length that lies as near to any vessel that is known; NaN without a track.
    """

    found: dict[str, float]
    recall: float
    precision: float


def track_vessels(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> TrackedVessels:
    """Follow the vessels of 1.5 to 5 mm round the heart.

    Parameters
    ----------
    volume : real or complex array, (z, y, x)
        Its magnitude is looked at, the heart within 76 mm of the middle.
    voxel_size : (float, float, float)
        mm; other voxels than those of 1 mm are interpolated.

    Returns
    -------
    TrackedVessels
        Without tracks if the image shows no blood.

    Raises
    ------
    ShapeError
        If it is no volume.
    """
    x, size = np.abs(np.asarray(volume)).astype(np.float32), np.asarray(voxel_size, float)
    if x.ndim != 3 or size.shape != (3,) or not np.all(size > 0):
        raise ShapeError(f"expected a volume and three voxel sizes, got {x.shape} and {voxel_size}")
    even = np.allclose(size, 1.0, rtol=0.02)
    step = size if even else size * (np.array(x.shape) - 1) / np.maximum(_even_shape(x, size) - 1, 1)
    if not even:
        x = ndimage.zoom(x, _even_shape(x, size) / x.shape, order=1)
    seen = vesselness(x)
    pieces, count = ndimage.label(seen.goes_on >= 1, np.ones((3, 3, 3)))
    best = ndimage.maximum(seen.starts, pieces, np.arange(1, count + 1)) if count else []
    tracks: list[np.ndarray] = []
    for box, name in zip(ndimage.find_objects(pieces), range(1, count + 1), strict=True):
        if best[name - 1] >= 1:
            corner = np.array([span.start for span in box])
            inside = np.argwhere(pieces[box] == name)
            ways = _paths(inside, seen.goes_on[box][tuple(inside.T)])
            tracks += [(way + corner + seen.corner) * (1.0 if even else step) for way in ways]
    return TrackedVessels(tuple(tracks))


def compare_with_truth(
    tracked: TrackedVessels, vessels: Mapping[str, Vessel], known: Mapping[str, Vessel] | None = None
) -> Agreement:
    """Hold tracks against vessels whose course is known.

    Parameters
    ----------
    tracked : TrackedVessels
    vessels : mapping of str to Vessel
        Those that should be found.
    known : mapping of str to Vessel, optional
        All that may be found; ``vessels`` by default.
    """
    lines = {name: _even(vessel.points) for name, vessel in vessels.items()}
    every = np.concatenate([_even(vessel.points) for vessel in (known or vessels).values()])
    if not tracked.tracks:
        return Agreement(dict.fromkeys(lines, 0.0), 0.0, float("nan"))
    tree, truth = cKDTree(np.concatenate(tracked.tracks)), cKDTree(every)
    hits = {name: tree.query(line)[0] <= WITHIN for name, line in lines.items()}
    near = [float(np.mean(truth.query(track)[0] <= WITHIN)) for track in tracked.tracks]
    lengths = [_length(track) for track in tracked.tracks]
    recall = float(np.concatenate(list(hits.values())).mean())
    found = {name: float(hit.mean()) for name, hit in hits.items()}
    return Agreement(found, recall, float(np.average(near, weights=lengths)))


def _paths(points: np.ndarray, contrast: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the minimal path through a piece, end to end, then its branches, float64 (n, 3) in voxels."""
    if len(points) < SHORTEST / 2:
        return
    graph = _graph(points, contrast)
    from_best = dijkstra(graph, directed=False, indices=int(np.argmax(contrast)))
    root = int(np.argmax(from_best))
    cost, before = dijkstra(graph, directed=False, indices=root, return_predecessors=True)
    order = np.argsort(cost)[1:].tolist()
    steps = np.linalg.norm(points - points[np.maximum(before, 0)], axis=1).tolist()
    parents = before.tolist()
    covered, free, least = [False] * len(points), np.ones(len(points), bool), SHORTEST
    covered[root] = True
    while True:
        new = [0.0] * len(points)
        for i in order:
            if not covered[i]:
                new[i] = new[parents[i]] + steps[i]
        reach = np.where(free, new, 0.0)
        way = [int(np.argmax(reach))]
        if reach[way[0]] < least:
            return
        while not covered[way[-1]]:
            way.append(parents[way[-1]])
        for i in way:
            covered[i] = True
        free &= cKDTree(points[way]).query(points)[0] > APART
        least = SHORTEST_BRANCH
        yield points[way[::-1]].astype(np.float64)


def _graph(points: np.ndarray, contrast: np.ndarray) -> coo_matrix:
    """Return the cost between neighbouring voxels: their distance over the contrast."""
    corner = points.min(axis=0) - 1
    number = np.full(points.max(axis=0) - corner + 2, -1)
    number[tuple((points - corner).T)] = np.arange(len(points))
    rows, columns, costs = [], [], []
    for step in _STEPS:
        neighbour = number[tuple((points - corner + step).T)]
        i = np.flatnonzero(neighbour >= 0)
        j = neighbour[i]
        rows.append(i)
        columns.append(j)
        costs.append(np.linalg.norm(step) * (1 / contrast[i] + 1 / contrast[j]) / 2)
    shape = (len(points), len(points))
    return coo_matrix((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape).tocsr()


def _length(track: np.ndarray) -> float:
    """Return the length of a track, its steps from voxel to voxel smoothed."""
    smooth = ndimage.gaussian_filter1d(track, 2.0, axis=0, mode="nearest")
    ends = np.linalg.norm(track[[0, -1]] - smooth[[0, -1]], axis=1).sum()
    return float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum() + ends)


def _even(points: np.ndarray) -> np.ndarray:
    """Return a line in steps of about 1 mm."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, along[-1], max(int(np.ceil(along[-1])), 1) + 1)
    return np.stack([np.interp(at, along, points[:, axis]) for axis in range(3)], axis=1)


def _even_shape(x: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.maximum(np.rint(np.array(x.shape) * size), 1).astype(int)
