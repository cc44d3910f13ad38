"""Compressed-sensing MRI reconstruction that stops when the image quality stops improving.

The public names, in the order of the data flow; each is loaded when it is first used, so that
``import csiq`` and the command line start at once::

    import csiq

    scan = csiq.read_acquisition("raw.h5")
    config = csiq.load_config(overrides={"stop_on_plateau": True})
    result = csiq.reconstruct(scan, config)
    print(result.stop.iteration, result.ranking.best_phase)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from csiq._version import __version__
from csiq.errors import CsiqError

if TYPE_CHECKING:
    from csiq.acquisition import Acquisition, Geometry
    from csiq.coils import estimate_smaps
    from csiq.config import Config, load_config
    from csiq.delays import Delays, correct_delays, estimate_delays
    from csiq.gating import bin_spokes, respiratory_signal
    from csiq.history import History
    from csiq.io import read_acquisition
    from csiq.monitor import QualityMonitor
    from csiq.operators import ForwardModel, PhaseDifference
    from csiq.pipeline import Result, reconstruct
    from csiq.quality.grade import Grade, Grader
    from csiq.ranking import Ranking, rank
    from csiq.run_scan import run
    from csiq.solvers import build_problem, solve
    from csiq.stopping import GradePlateau
    from csiq.toeplitz import ToeplitzNormal

_HOME = {
    "read_acquisition": "csiq.io",
    "Acquisition": "csiq.acquisition",
    "Geometry": "csiq.acquisition",
    "estimate_delays": "csiq.delays",
    "correct_delays": "csiq.delays",
    "Delays": "csiq.delays",
    "respiratory_signal": "csiq.gating",
    "bin_spokes": "csiq.gating",
    "estimate_smaps": "csiq.coils",
    "ForwardModel": "csiq.operators",
    "ToeplitzNormal": "csiq.toeplitz",
    "PhaseDifference": "csiq.operators",
    "build_problem": "csiq.solvers",
    "solve": "csiq.solvers",
    "Grader": "csiq.quality.grade",
    "Grade": "csiq.quality.grade",
    "History": "csiq.history",
    "GradePlateau": "csiq.stopping",
    "rank": "csiq.ranking",
    "Ranking": "csiq.ranking",
    "Config": "csiq.config",
    "load_config": "csiq.config",
    "reconstruct": "csiq.pipeline",
    "Result": "csiq.pipeline",
    "run": "csiq.run_scan",
    "QualityMonitor": "csiq.monitor",
}

__all__ = [
    "Acquisition",
    "Config",
    "CsiqError",
    "Delays",
    "ForwardModel",
    "Geometry",
    "Grade",
    "GradePlateau",
    "Grader",
    "History",
    "PhaseDifference",
    "QualityMonitor",
    "Ranking",
    "Result",
    "ToeplitzNormal",
    "__version__",
    "bin_spokes",
    "build_problem",
    "correct_delays",
    "estimate_delays",
    "estimate_smaps",
    "load_config",
    "rank",
    "read_acquisition",
    "reconstruct",
    "respiratory_signal",
    "run",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'csiq' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
