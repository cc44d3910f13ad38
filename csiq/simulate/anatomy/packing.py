"""Shapes as plain numbers, for compiled loops; what breathing does not move is worked out once.

A patient has a thousand shapes and is painted dozens of times a scan. Only some shapes move, and all that
can be done for many at a time is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from csiq.simulate.anatomy.kernels import COLUMN, ELLIPSOID, ENVELOPE, ROW, TUBE
from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Envelope, Plane, Shape, Tube
from csiq.simulate.motion import Affine

_STILL = Affine.identity()


@dataclass(frozen=True)
class Packed:
    """Shapes as plain numbers, displaced.

    Attributes
    ----------
    kinds : int64 array, (n_shapes,)
    spans : int64 array, (n_shapes, 2)
        First row and number of rows of each shape.
    rows : float64 array, (n_rows, 18)
        Column: centre, semi, power. Tube: one row a point. Ellipsoid and envelope: thickness, blend,
        rounding, sheet and number of parts; then a row a part (centre, the matrix that makes it the unit
        ball, what its backward half is shorter by, half extents, smallest and largest semi-axis); then a
        row a plane (point, normal).
    """

    kinds: np.ndarray
    spans: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Template:
    """Shapes as plain numbers before breathing moves some of them.

    Attributes
    ----------
    kinds, spans, rows
        As in :class:`Packed`; where shapes move, rows hold only what does not depend on where they are.
    moving : Pieces
        What moves, and the rows it belongs in.
    """

    kinds: np.ndarray
    spans: np.ndarray
    rows: np.ndarray
    moving: Pieces

    @classmethod
    def of(cls, shapes: Sequence[Shape]) -> Template:
        """Return the template of shapes."""
        kinds, spans, blocks = [], [], []
        still, moving = Pieces([], [], []), Pieces([], [], [])
        start = 0
        for shape in shapes:
            kind, block = (still if is_still(shape) else moving).take(shape, start)
            kinds.append(kind)
            spans.append((start, len(block)))
            blocks.append(block)
            start += len(block)
        rows = np.concatenate(blocks) if blocks else np.zeros((0, ROW))
        still.fill(rows, _STILL, _STILL)
        return cls(np.array(kinds, np.int64), np.array(spans, np.int64).reshape(-1, 2), rows, moving)

    def at(self, heart: Affine = _STILL, liver: Affine = _STILL) -> Packed:
        """Return the shapes where heart and diaphragm have gone."""
        rows = self.rows.copy()
        self.moving.fill(rows, heart, liver)
        return Packed(self.kinds, self.spans, rows)


@dataclass(frozen=True)
class Pieces:
    """Pieces of shapes, each with the row it belongs in.

    Attributes
    ----------
    eggs : list of (int, Ellipsoid)
    planes : list of (int, Plane, Ellipsoid)
        A plane follows breathing as an ellipsoid does, the first of its envelope.
    tubes : list of (int, Tube)
        The row is that of the first point.
    """

    eggs: list[tuple[int, Ellipsoid]]
    planes: list[tuple[int, Plane, Ellipsoid]]
    tubes: list[tuple[int, Tube]]

    def take(self, shape: Shape, start: int) -> tuple[int, np.ndarray]:
        """Add a shape; return its kind, and its rows with all that does not depend on where it is."""
        if isinstance(shape, Column):
            return COLUMN, _block(1, [*shape.centre, *shape.semi, shape.power])
        if isinstance(shape, Tube):
            self.tubes.append((start, shape))
            block = _block(len(shape.points))
            block[:, 3] = shape.radius
            return TUBE, block
        if isinstance(shape, Ellipsoid):
            self.eggs.append((start + 1, shape))
            return ELLIPSOID, _block(2, [0.0, 0.0, 0.0, 0.0, 1.0])
        n, first = len(shape.parts), start + 1
        self.eggs.extend((first + number, part) for number, part in enumerate(shape.parts))
        self.planes.extend((first + n + k, cut, shape.parts[0]) for k, cut in enumerate(shape.planes))
        numbers = [shape.thickness, shape.blend, shape.rounding, shape.sheet, n]
        return ENVELOPE, _block(1 + n + len(shape.planes), numbers)

    def fill(self, rows: np.ndarray, heart: Affine, liver: Affine) -> None:
        """Write where everything has gone."""
        moves = {weights: _moved(*weights, heart, liver) for weights in {_weights(e) for _, e in self.eggs}}
        for number, plane, part in self.planes:
            _put_plane(rows[number], plane, moves[_weights(part)])
        if self.eggs:
            eggs = [egg for _, egg in self.eggs]
            rows[[number for number, _ in self.eggs]] = _egg_rows(eggs, moves)
        if self.tubes:
            where, joined = self._joined
            rows[where, :3] = displaced(joined, heart, liver)

    @cached_property
    def _joined(self) -> tuple[np.ndarray, Tube]:
        """All tubes end to end, and the row of each point."""
        where = [start + np.arange(len(tube.points)) for start, tube in self.tubes]
        points, radius, heart, liver = (
            np.concatenate([getattr(tube, name) for _, tube in self.tubes])
            for name in ("points", "radius", "follow_heart", "follow_liver")
        )
        return np.concatenate(where), Tube("", points, radius, heart, liver)


def pack(shapes: Sequence[Shape], heart: Affine = _STILL, liver: Affine = _STILL) -> Packed:
    """Return the shapes where breathing has moved them, for :func:`csiq.simulate.anatomy.raster.paint`.

    Parameters
    ----------
    heart, liver : Affine
        Where heart and diaphragm have gone.
    """
    return Template.of(shapes).at(heart, liver)


def displaced(tube: Tube, heart: Affine, liver: Affine) -> np.ndarray:
    """Return where the points of a tube have gone, mm z y x."""
    still = tube.points
    by_heart = tube.follow_heart[:, None] * (heart(still) - still)
    return np.asarray(still + by_heart + tube.follow_liver[:, None] * (liver(still) - still))


def is_still(shape: Shape) -> bool:
    """Return whether breathing does not move a shape at all."""
    parts = shape.parts if isinstance(shape, Envelope) else (shape,)
    weights = [getattr(p, name, 0.0) for p in parts for name in ("follow_heart", "follow_liver")]
    return not any(np.any(weight) for weight in weights)


def _block(count: int, first: Sequence[float] = ()) -> np.ndarray:
    block = np.zeros((count, ROW))
    block[0, : len(first)] = first
    return block


def _weights(shape: Ellipsoid) -> tuple[float, float]:
    return shape.follow_heart, shape.follow_liver


def _moved(follow_heart: float, follow_liver: float, heart: Affine, liver: Affine) -> Affine:
    """Return the map of something that follows the heart in part and the diaphragm in part."""
    one, two = heart.shared(follow_heart), liver.shared(follow_liver)
    return Affine(two.matrix @ one.matrix, two(one.shift))


def _egg_rows(eggs: Sequence[Ellipsoid], moves: dict[tuple[float, float], Affine]) -> np.ndarray:
    back_to_rest = {weights: np.linalg.inv(move.matrix) for weights, move in moves.items()}
    to_ball = np.stack([(egg.axes / egg.semi[:3, None]) @ back_to_rest[_weights(egg)] for egg in eggs])
    backward = np.array([egg.semi[0] / egg.semi[3] for egg in eggs])
    stretch = np.zeros_like(to_ball)
    stretch[:, [0, 1, 2], [0, 1, 2]] = np.column_stack([backward, np.ones((len(eggs), 2))])
    both = np.stack([to_ball, stretch @ to_ball])
    halves = np.linalg.inv(both)
    rows = np.zeros((len(eggs), ROW))
    rows[:, :3] = [moves[_weights(egg)](egg.centre) for egg in eggs]
    rows[:, 3:12] = to_ball.reshape(-1, 9)
    rows[:, 12] = backward
    rows[:, 13:16] = np.linalg.norm(halves, axis=-1).max(axis=0)
    # the ball's radius changes by no more than 1 / shortest per mm, and by no less than 1 / longest
    rows[:, 16] = 1 / np.linalg.norm(both, 2, axis=(-2, -1)).max(axis=0)
    rows[:, 17] = np.linalg.norm(halves, 2, axis=(-2, -1)).max(axis=0)
    return rows


def _put_plane(row: np.ndarray, plane: Plane, move: Affine) -> None:
    normal = np.linalg.inv(move.matrix).T @ plane.normal
    row[:3] = move(plane.point)
    row[3:6] = normal / np.linalg.norm(normal)
