"""Solvers of the reconstruction problem: one file a method, each a ``sigpy.alg.Alg``.

A new solver is a new file and one line in :data:`SOLVERS`; its keys are what a configuration may say. A
solver takes any list of penalties, through :class:`WarmProx` or in the smooth form of
:mod:`csiq.solvers.smoothing`.
"""

from csiq.solvers.bb import BarzilaiBorwein
from csiq.solvers.iterate import SOLVERS, Iterate, solve, solver_named
from csiq.solvers.nlcg import NLCG
from csiq.solvers.penalties import Penalty, PhaseTV, SpatialTV, Wavelet
from csiq.solvers.pogm import POGM
from csiq.solvers.problem import Cost, Problem, build_problem
from csiq.solvers.proximal import WarmProx
from csiq.solvers.total_variation import phase_total_variation, prox_phase_tv

__all__ = [
    "NLCG",
    "POGM",
    "SOLVERS",
    "BarzilaiBorwein",
    "Cost",
    "Iterate",
    "Penalty",
    "PhaseTV",
    "Problem",
    "SpatialTV",
    "WarmProx",
    "Wavelet",
    "build_problem",
    "phase_total_variation",
    "prox_phase_tv",
    "solve",
    "solver_named",
]
