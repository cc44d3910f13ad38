"""SI spokes that a file does not flag: told from imaging spokes by their direction, and set apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from csiq.acquisition import Navigators
from csiq.errors import ConfigError
from csiq.io import timing
from csiq.io.draft import Draft
from csiq.io.options import ReadOptions

#: Cosine to the SI axis from which a spoke runs along it: 0.08 degrees. The spoke of a phyllotaxis that is
#: nearest to the pole is 0.5 degrees off with 30 000 of them.
_ALONG = 1 - 1e-6

#: Fewer than these, or more than this share of the spokes, are no SI spokes.
_FEWEST, _MOST = 8, 1 / 3


def along_si(coord: np.ndarray) -> np.ndarray:
    """Return which spokes run along the z axis: bool, (n_spokes,).

    Parameters
    ----------
    coord : float array, (n_spokes, n_samples, 3)
        z y x.
    """
    line = (coord[:, -1] - coord[:, 0]).astype(np.float64)
    length = np.linalg.norm(line, axis=-1)
    beside = np.linalg.norm(coord[:, 0, 1:], axis=-1)
    return np.asarray((np.abs(line[:, 0]) >= _ALONG * length) & (length > 0) & (beside < 1e-3 * length))


def set_si_apart(draft: Draft, options: ReadOptions) -> Draft:
    """Return the scan with spokes that recur along the SI axis as navigators, where no spoke is flagged.

    They weigh down the image, one direction being measured over and over, and show the breathing.

    Raises
    ------
    ConfigError
        If SI spokes were told, and there are none.
    """
    told = options.si_spokes
    if draft.navigators is not None or told == "none":
        return draft
    is_si = along_si(draft.coord)
    count = int(is_si.sum())
    if count < _FEWEST or count > _MOST * len(is_si):
        if told == "first" and not is_si[0]:
            raise ConfigError("no spoke runs along the SI axis", file=draft.path, field="--si-spokes")
        return draft
    heartbeat = timing.heartbeats(draft.times, is_si, None)
    share = f"one in {len(is_si) / count:.4g} readouts"
    words = f"{count} SI spokes, {share}, are not flagged: used for the breathing, not for the image"
    return replace(
        draft,
        kspace=draft.kspace[:, ~is_si],
        coord=draft.coord[~is_si],
        times=draft.times[~is_si],
        heartbeat=heartbeat[~is_si],
        navigators=Navigators(
            draft.kspace[:, is_si], draft.times[is_si], heartbeat[is_si], draft.coord[is_si]
        ),
        triggered=timing.is_triggered(draft.times, heartbeat),
        warnings=(*draft.warnings, words),
    )
