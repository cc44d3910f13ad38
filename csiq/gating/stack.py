"""SI projections of a stack-of-stars: the centres of one angle's spokes, partition by partition.

Together they are a line through the centre of k-space along z, read once an angle.
"""

from __future__ import annotations

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.arrays import to_host, xp_of

#: Cycles per field of view: nearer than this a sample is at the centre of its plane.
_AT_CENTRE = 0.75
#: Fewer partitions than this show no edge of the diaphragm.
_MIN_PARTITIONS = 8


def stack_navigators(scan: Acquisition) -> Navigators | None:
    """Return one SI spoke an angle, or None if the scan is no stack-of-stars played angle after angle.

    Parameters
    ----------
    scan : Acquisition
        All partitions of one angle follow one another, in the same order for every angle.
    """
    coord = to_host(scan.coord)
    sample = np.linalg.norm(coord[..., 1:], axis=-1).argmin(axis=1)
    centre = coord[np.arange(scan.n_spokes), sample]
    plane, partition = np.unique(np.round(centre[:, 0], 3), return_inverse=True)
    n = len(plane)
    if n < _MIN_PARTITIONS or scan.n_spokes % n or np.abs(centre[:, 1:]).max() > _AT_CENTRE:
        return None
    order = np.argsort(partition.reshape(-1, n), axis=1)
    if np.any(np.diff(order, axis=0)) or np.any(np.sort(partition[:n]) != np.arange(n)):
        return None
    spokes = order + n * np.arange(len(order))[:, None]
    xp = xp_of(scan.kspace)
    kspace = scan.kspace[:, xp.asarray(spokes), xp.asarray(sample[spokes])]
    line = np.zeros((*spokes.shape, 3), dtype=np.float32)
    line[..., 0] = plane
    return Navigators(to_host(kspace), scan.times[spokes].mean(axis=1), np.arange(len(spokes)), line)
