"""How far each voxel of an image lies outside the coronary arteries."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from csiq.quality.centreline import Field, centreline, refine
from csiq.quality.features import HeartTruth

#: Beyond this distance nothing is measured, mm; such voxels are :data:`FAR` away.
_MEASURED = 20.0
FAR = 99.0


def coronary_distance(volume: np.ndarray, truth: HeartTruth) -> np.ndarray:
    """Return how far each voxel lies outside the nearest of RCA, LAD and LCX as the image shows them.

    Returns
    -------
    float32 array, (z, y, x)
        mm beyond the lumen; negative within; :data:`FAR` wherever it is more than 20 mm.
    """
    pair = [Field(np.asarray(v, np.float32), truth.voxel_size, 1) for v in (volume, truth.volume)]
    lines = [refine(pair[0], pair[1], centreline(vessel)) for vessel in truth.vessels.values()]
    points = np.concatenate([line.points for line in lines])
    radius = np.concatenate([np.asarray(line.radius) for line in lines])
    near = np.ones(volume.shape, bool)
    at = np.clip(np.rint(points / truth.voxel_size).astype(int), 0, np.array(volume.shape) - 1)
    near[tuple(at.T)] = False
    near = distance_transform_edt(near, sampling=truth.voxel_size) < _MEASURED
    places = np.argwhere(near) * truth.voxel_size
    away, which = cKDTree(points).query(places)
    found = np.full(volume.shape, FAR, np.float32)
    found[near] = away - radius[which]
    return found
