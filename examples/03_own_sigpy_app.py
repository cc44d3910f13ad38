"""The operators in a SigPy App of one's own, and the grader on what it gives.

    python 03_own_sigpy_app.py

Each phase by itself with quadratic regularisation: what XD-GRASP is compared with.
"""

import numpy as np
import sigpy

import csiq
from csiq.coils import compress, whiten
from csiq.config import Gating
from csiq.preparation import phase_dcf
from csiq.simulate import ScanConfig, simulate_scan

scan, truth = simulate_scan(ScanConfig(matrix=48, seed=1))
bins = csiq.bin_spokes(csiq.respiratory_signal(scan, Gating()), n_phases=4)
scan = compress(whiten(scan), 4)

model = csiq.ForwardModel([scan.coord[indices] for indices in bins.indices], csiq.estimate_smaps(scan))
root_dcf = np.sqrt(phase_dcf(scan, bins, "analytic"))
kspace = scan.kspace[:, np.concatenate(bins.indices)]

app = sigpy.app.LinearLeastSquares(
    sigpy.linop.Multiply(model.oshape, root_dcf) * model,
    root_dcf * kspace,
    lamda=0.1,
    max_iter=8,
    show_pbar=False,
)
volumes = app.run()

grader = csiq.Grader.load()
for phase, volume in enumerate(volumes, start=1):
    grade = grader.grade(volume, scan.geometry.voxel_size)
    print(f"phase {phase}: grade {grade.grade:.2f} +- {grade.grade_sd:.2f}", *grade.warnings, sep="; ")
