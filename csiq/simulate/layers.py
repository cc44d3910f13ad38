"""A patient cut into layers that are painted at one resolution and move as one.

=========  =============================================  ============================  ================
layer      what it holds                                  voxels                        moves with
=========  =============================================  ============================  ================
heart      what the heart adds to the body                finer than reconstructed      the heart
organs     what else moves                                2 mm                          the diaphragm
field      what stays, in the field of view               finer than reconstructed      nothing
outside    what stays, outside of it                      2 mm, over the whole body     nothing
=========  =============================================  ============================  ================

The layers are differences of paintings of the same patient, so that they add up to the patient; windows
part them where resolution changes. Nothing counts twice and nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.extents import Extents, excitation, grid_over, window
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.sensitivity import Maps, Places, places_of, planes

_COARSEST_HEART = 3.0  # mm: a share of a larger voxel is no longer that of a plane through it
_COARSER, _COARSEST = 1.5, 3.6  # a small matrix needs no 2 mm: times its own voxel; mm


@dataclass(frozen=True)
class Detail:
    """How finely a scan is simulated.

    Attributes
    ----------
    finer : float
        Voxels of the painted heart per reconstructed voxel and axis. k-space of a layer fades out at 0.41 to
        0.49 cycles per voxel of its own, so 1.25 leaves the corners of the band whole.
    body_voxel : float
        mm, of the layers far from the heart, at least.
    state_spacing : float
        mm of the diaphragm between the states that are painted, at most, of voxels up to 2 mm; see
        :attr:`csiq.simulate.signal.Scene.states`.
    eps : float
        Relative accuracy of the transforms.
    """

    finer: float = 1.25
    body_voxel: float = 2.0
    state_spacing: float = 2.5
    eps: float = 1e-4


class Coils(Protocol):
    """What receives: :class:`csiq.simulate.coils.CoilArray`, or a combination of its loops."""

    @property
    def n_coils(self) -> int:
        """Number of channels."""

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        """Return complex64 maps (n_coils, *grid.shape)."""


@dataclass(frozen=True)
class Layer:
    """A part of the patient on a grid of its own.

    Attributes
    ----------
    follows : str
        ``heart``, ``diaphragm`` or ``nothing``.
    grid : Grid
    weight : float32 array, broadcastable to the grid
        Share of each voxel that belongs to this layer, excitation included.
    maps : Maps
        Sensitivities of the coils.
    still : float32 array, ``grid.shape``
        What of the body never moves.
    flat : bool
        Whether the grid's slices are averaged into one (a 2D scan).
    """

    follows: str
    grid: Grid
    weight: np.ndarray
    maps: Maps
    still: np.ndarray
    flat: bool = False


def shift_of(patient: Patient, follows: str, displacement: np.ndarray) -> np.ndarray:
    """Return how far what follows the heart or the diaphragm has moved as a whole.

    Parameters
    ----------
    displacement : float array, (n,)
        mm at the diaphragm.

    Returns
    -------
    float64 array, (n, 3)
        mm, z y x.
    """
    displacement = np.asarray(displacement, dtype=np.float64)
    if follows == "nothing":
        return np.zeros((len(displacement), 3))
    anchor = np.zeros(3) if follows == "heart" else np.array([patient.body.dome, 0.0, 0.0])
    move = patient.coupling.heart_map if follows == "heart" else patient.coupling.liver_map
    # the laws are smooth: a table is exact to far below a micrometre
    at = np.linspace(displacement.min(), displacement.max(), 129)
    table = np.stack([move(MotionState(float(d)))(anchor) - anchor for d in at])
    return np.stack([np.interp(displacement, at, column) for column in table.T], axis=-1)


@dataclass(frozen=True)
class Layers:
    """The layers of a scan.

    Attributes
    ----------
    patient : Patient
    heart, organs, field, outside : Layer
    behind : Places
        Where the voxels of ``heart`` lie among those of ``organs``.
    """

    patient: Patient
    heart: Layer
    organs: Layer
    field: Layer
    outside: Layer
    behind: Places

    @classmethod
    def of(
        cls,
        patient: Patient,
        coils: Coils,
        config: ScanConfig,
        detail: Detail,
        reach: tuple[float, float],
    ) -> Layers:
        """Return the layers of a scan.

        Parameters
        ----------
        reach : (float, float)
            Least and largest displacement of the diaphragm, mm: what a layer holds between them lies in its
            grid.
        """
        n_fine = max(detail.finer * config.matrix, config.fov / _COARSEST_HEART)
        fine = config.fov / (2 * round(n_fine / 2))
        coarse = max(detail.body_voxel, fine, min(_COARSER * fine, _COARSEST))
        extents = Extents.of(patient, config, reach)
        field = np.array([[-1.0], [1.0]]) * np.full(3, config.fov / 2)
        heart, in_field = (grid_over(corners, fine, config) for corners in (extents.heart, field))
        organs, outside = (grid_over(corners, coarse, config) for corners in (extents.moving, extents.body))

        def layer(follows: str, grid: Grid, share: np.ndarray | float = 1.0) -> Layer:
            """Return the layer of a grid, the tissue that stands still painted, weighted by ``share``."""
            weight = (excitation(grid, config) * share).astype(np.float32)
            still = rasterise(patient, grid, parts="static")
            return Layer(follows, grid, weight, Maps.of(coils, grid), still, config.is_2d)

        return cls(
            patient,
            layer("heart", heart),
            layer("diaphragm", organs),
            layer("nothing", in_field, window(in_field, field, config)),
            layer("nothing", outside, 1 - window(outside, field, config)),
            places_of(organs, heart),
        )

    def moving(self, level: float, threads: int | None = None) -> list[tuple[Layer, np.ndarray]]:
        """Return the layers that move, and their images with the diaphragm at ``level`` mm.

        What the heart hides is taken away as the other layers hold it: fine what stays, coarse what moves.
        """
        state = MotionState(level)
        heart, organs = self.heart, self.organs
        moved = rasterise(self.patient, organs.grid, state, parts="body", threads=threads) - organs.still
        behind = heart.still.copy()
        for plane, more in zip(behind, planes(moved, self.behind), strict=True):
            plane += more
        both = rasterise(self.patient, heart.grid, state, parts="heart", over=behind, threads=threads)
        return [(heart, (both - behind) * heart.weight), (organs, moved * organs.weight)]

    @property
    def still(self) -> list[tuple[Layer, np.ndarray]]:
        """Return the layers that stay, and their images."""
        return [(layer, layer.still * layer.weight) for layer in (self.field, self.outside)]
