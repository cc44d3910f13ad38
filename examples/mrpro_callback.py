"""A callback for mrpro that grades each iterate, stops when the grade stands still, and keeps the best image.

    pip install mrpro
    python mrpro_callback.py

mrpro's optimisers hand a status to a callback and stop when it returns False. Here total variation fills in
k-space that is missing. Only every second iterate is graded. Voxels are larger than the network knows, so the
grades come with warnings: they are here to show the way. It ran with mrpro 0.261015.
"""

import numpy as np
import torch
from mrpro.algorithms.optimizers import pdhg
from mrpro.operators import FastFourierOp, FiniteDifferenceOp, LinearOperatorMatrix
from mrpro.operators.functionals import L1Norm, L2NormSquared

import csiq
from csiq.simulate import ScanConfig, simulate_scan

scan, truth = simulate_scan(ScanConfig(matrix=48, seed=1))
image = torch.from_numpy(np.ascontiguousarray(truth.volumes[0], np.complex64))
fourier, difference = FastFourierOp(dim=(-3, -2, -1)), FiniteDifferenceOp(dim=(-3, -2, -1), mode="forward")
mask = torch.from_numpy(np.random.default_rng(1).random((48, 48, 1)) < 0.4).expand(image.shape).float()
kspace = mask * fourier(image)[0]
(start,) = fourier.adjoint(kspace)
lamda = 0.005 * float(start.abs().max())

monitor = csiq.QualityMonitor(
    csiq.Grader.load(), csiq.GradePlateau(), voxel_size=scan.geometry.voxel_size, every=2
)
monitor.update(start)


def callback(status) -> bool:
    """Return False to stop."""
    (solution,) = status["solution"]
    cost = float(status["objective"](solution))
    return not monitor.update(solution, cost, iteration=status["iteration_number"] + 1)


pdhg(
    0.5 * L2NormSquared(target=kspace, weight=mask) | lamda * L1Norm(),
    None,
    LinearOperatorMatrix(((fourier,), (difference,))),
    (start,),
    max_iterations=40,
    primal_stepsize=0.27,
    dual_stepsize=0.27,
    callback=callback,
)

for step in monitor.history.steps:
    print(f"iteration {step.iteration:2d}  cost {step.cost:.5g}  grade {step.grades[0]:.2f}")
print(f"stopped at iteration {monitor.stop.iteration} by {monitor.stop.rule}" if monitor.stop else "went on")
print(f"best image: iteration {monitor.best.iteration}, {monitor.best.image.shape}")
