"""The shapes a patient is made of, and the grids they are painted on. All in mm, axes z y x.

Patient space is RAS: +z head, +y front, +x the patient's right; its origin is the middle of the heart.
Organs follow breathing by two weights: 1 in ``follow_heart`` moves with the heart, 1 in
``follow_liver`` with the diaphragm; both 0 is static.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from csiq.errors import ShapeError


@dataclass(frozen=True)
class Grid:
    """A regular grid in patient space.

    Attributes
    ----------
    shape : (int, int, int)
    voxel_size : (float, float, float)
        mm; a single number is meant for all axes.
    centre : (float, float, float)
        Position in mm of voxel ``n // 2``, where k-space has its origin too.
    """

    shape: tuple[int, int, int]
    voxel_size: tuple[float, float, float]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        size = np.broadcast_to(np.asarray(self.voxel_size, dtype=float), 3)
        object.__setattr__(self, "voxel_size", tuple(float(s) for s in size))
        if len(self.shape) != 3 or min(self.shape) < 1 or min(self.voxel_size) <= 0:
            raise ShapeError(f"no grid has shape {self.shape} and voxels of {self.voxel_size} mm")

    @classmethod
    def cube(cls, n: int, fov: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Grid:
        """Return ``n`` voxels along each axis over ``fov`` mm."""
        return cls((n, n, n), (fov / n, fov / n, fov / n), centre)

    @property
    def origin(self) -> np.ndarray:
        """Position of voxel 0, 0, 0 in mm."""
        return np.array(self.centre) - np.array(self.voxel_size) * (np.array(self.shape) // 2)

    def axis(self, number: int) -> np.ndarray:
        """Return the positions along one axis in mm, float64."""
        return self.origin[number] + self.voxel_size[number] * np.arange(self.shape[number])

    def index_of(self, points: np.ndarray) -> np.ndarray:
        """Return the fractional voxel indices of points in mm, (..., 3)."""
        return (np.asarray(points) - self.origin) / np.array(self.voxel_size)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid whose two halves along the first axis may differ in length (an egg).

    Attributes
    ----------
    tissue : str
    centre : float array, (3,)
    axes : float array, (3, 3)
        Rows are unit vectors.
    semi : float array, (4,)
        Semi-axes: first axis forward, second, third, first axis backward.
    """

    tissue: str
    centre: np.ndarray
    semi: np.ndarray
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    follow_heart: float = 0.0
    follow_liver: float = 0.0
    name: str = ""

    def grown(self, by: float, tissue: str, name: str = "") -> Ellipsoid:
        """Return the ellipsoid ``by`` mm larger on all sides, of another tissue."""
        return replace(self, tissue=tissue, semi=self.semi + by, name=name)


@dataclass(frozen=True)
class Plane:
    """A flat cut: what lies beyond it, where its normal points, is taken away.

    Attributes
    ----------
    point, normal : float array, (3,)
        mm, z y x; the normal is a unit vector.
    """

    point: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True)
class Column:
    """A superelliptic cylinder along z: |y/b|^p + |x/a|^p <= 1.

    Attributes
    ----------
    semi : (float, float)
        Half depth (y) and half width (x).
    power : float
        2 is an ellipse; larger is boxier.
    """

    tissue: str
    centre: tuple[float, float]
    semi: tuple[float, float]
    power: float = 2.0
    name: str = ""


@dataclass(frozen=True)
class Tube:
    """A tube of varying radius along a polyline, with round ends.

    Attributes
    ----------
    points : float array, (n, 3)
    radius : float array, (n,)
    follow_heart, follow_liver : float array, (n,)
    """

    tissue: str
    points: np.ndarray
    radius: np.ndarray
    follow_heart: np.ndarray
    follow_liver: np.ndarray
    name: str = ""


@dataclass(frozen=True)
class Envelope:
    """Ellipsoids melted into one body: a chamber, the layer around one, or a thin sheet.

    Attributes
    ----------
    parts : tuple of Ellipsoid
        They follow breathing all alike.
    thickness : float
        Of a layer around them, away from grooves, mm; 0 for the body itself, less to shrink it.
    blend : float
        Reach of the filling of grooves between the two nearest parts, mm; it is at most a quarter as deep.
    planes : tuple of Plane
        Cuts, with edges rounded over ``rounding`` mm.
    sheet : float
        Thickness of the sheet that alone is painted, on the surface; 0 for all that is inside.
    """

    tissue: str
    parts: tuple[Ellipsoid, ...]
    thickness: float = 0.0
    blend: float = 0.0
    planes: tuple[Plane, ...] = ()
    rounding: float = 0.0
    sheet: float = 0.0
    name: str = ""

    def grown(self, by: float, tissue: str, name: str = "") -> Envelope:
        """Return the body ``by`` mm larger on all sides, cuts included, of another tissue."""
        cuts = tuple(Plane(cut.point + by * cut.normal, cut.normal) for cut in self.planes)
        return replace(self, tissue=tissue, thickness=self.thickness + by, planes=cuts, name=name)


Shape = Ellipsoid | Column | Tube | Envelope


def smooth_curve(points: np.ndarray, step: float) -> np.ndarray:
    """Return a smooth curve through points, sampled about every ``step`` mm.

    Parameters
    ----------
    points : float array, (n, k)
        The first three columns are a position; the others are carried along.

    Returns
    -------
    float64 array, (m, k)
    """
    from scipy.interpolate import PchipInterpolator

    points = np.asarray(points, dtype=np.float64)
    chords = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(chords)])
    count = max(int(np.ceil(along[-1] / step)) + 1, 2)
    return np.asarray(PchipInterpolator(along, points)(np.linspace(0, along[-1], count)))
