"""Short ways to write down shapes that stand still or move with the diaphragm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Plane, Tube, smooth_curve

UP, FRONT, RIGHT = np.eye(3)


def at(z: float, y: float, x: float) -> np.ndarray:
    """Return a place, or an offset, in mm."""
    return np.array([z, y, x], dtype=float)


def egg(
    tissue: str,
    centre: ArrayLike,
    semi: Sequence[float] | np.ndarray,
    *,
    axes: np.ndarray | None = None,
    follow_liver: float = 0.0,
) -> Ellipsoid:
    """Return an ellipsoid from its centre (z, y, x) and its semi-axes (three, or four with the backward one).

    Axes are z, y, x unless others are given.
    """
    lengths = np.array([*semi, semi[0]][:4], dtype=float)
    turned = np.eye(3) if axes is None else np.asarray(axes, dtype=float)
    return Ellipsoid(tissue, np.array(centre, dtype=float), lengths, turned, follow_liver=follow_liver)


def tube(
    tissue: str,
    knots: ArrayLike,
    radius: float | Sequence[float],
    *,
    follow_liver: float | np.ndarray = 0.0,
    step: float = 5.0,
) -> Tube:
    """Return a smooth tube through knots (n, 3); radius and weight may change from knot to knot."""
    way = np.asarray(knots, dtype=float)
    ones = np.ones(len(way))
    curve = smooth_curve(np.column_stack([way, radius * ones, follow_liver * ones]), step)
    return Tube(tissue, curve[:, :3], curve[:, 3], np.zeros(len(curve)), curve[:, 4])


def hollow(shell: Tube, inner: str, wall: float) -> list[Tube]:
    """Return a tube and what is inside of its wall."""
    inside = np.maximum(shell.radius - wall, 0.3)
    return [shell, Tube(inner, shell.points, inside, shell.follow_heart, shell.follow_liver)]


def cut(body: Ellipsoid, point: ArrayLike, normal: ArrayLike, *, rounding: float = 0.0) -> Envelope:
    """Return an ellipsoid without what lies beyond a plane."""
    along = np.asarray(normal, dtype=float)
    plane = Plane(np.asarray(point, dtype=float), along / np.linalg.norm(along))
    return Envelope(body.tissue, (body,), planes=(plane,), rounding=rounding)


def tilted(angle: float, plane: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Return axes turned by an angle (degrees) from the first axis of a plane to the second."""
    one, two = plane
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    axes = np.eye(3)
    axes[one, one], axes[one, two], axes[two, one], axes[two, two] = c, s, -s, c
    return axes


def tangent(angle: float) -> np.ndarray:
    """Return axes up, outward and along the chest wall at an angle (degrees) from the side to the front."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[1.0, 0, 0], [0, s, c], [0, c, -s]])


def mirrored(axes: np.ndarray, side: float) -> np.ndarray:
    """Return axes on the other side of the body where ``side`` is negative."""
    return axes * np.array([1.0, 1.0, side])
