"""Solvers of the reconstruction problem: one file a method, each a ``sigpy.alg.Alg``.

A new solver is a new file and one line in :data:`SOLVERS`; its keys are what a configuration may say.
"""

from csiq.solvers.bb import BarzilaiBorwein
from csiq.solvers.iterate import SOLVERS, Iterate, solve, solver_named
from csiq.solvers.pogm import POGM
from csiq.solvers.problem import Cost, Problem, build_problem
from csiq.solvers.total_variation import phase_total_variation, prox_phase_tv

__all__ = [
    "POGM",
    "SOLVERS",
    "BarzilaiBorwein",
    "Cost",
    "Iterate",
    "Problem",
    "build_problem",
    "phase_total_variation",
    "prox_phase_tv",
    "solve",
    "solver_named",
]
