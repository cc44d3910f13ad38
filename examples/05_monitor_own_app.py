"""Hang the grader on a SigPy App of one's own: curves, a stop, and the best image in three lines.

    python 05_monitor_own_app.py

A total variation of the end-expiratory phase. Its voxels are larger than the network knows, so the grades
come with warnings: they are here to show the way, and hardly move. A second rule ends it where the plateau
of the grade does not.
"""

import numpy as np
import sigpy.mri

import csiq
from csiq.coils import compress, whiten
from csiq.config import Gating
from csiq.preparation import phase_dcf
from csiq.simulate import ScanConfig, simulate_scan

scan, truth = simulate_scan(ScanConfig(matrix=48, seed=1))
bins = csiq.bin_spokes(csiq.respiratory_signal(scan, Gating()), n_phases=4)
scan = compress(whiten(scan), 4)
spokes = bins.indices[0]

app = sigpy.mri.app.TotalVariationRecon(
    scan.kspace[:, spokes],
    np.asarray(csiq.estimate_smaps(scan)),
    lamda=1e-3,
    weights=phase_dcf(scan, bins, "analytic")[: len(spokes)],
    coord=scan.coord[spokes],
    max_iter=30,
    show_pbar=False,
)

monitor = csiq.QualityMonitor(
    csiq.Grader.load(), "plateau or iterations(10)", voxel_size=scan.geometry.voxel_size
)
with monitor.watch(app):
    app.run()

for step in monitor.history.steps:
    print(f"iteration {step.iteration:2d}  grade {step.grades[0]:.2f}  {step.recon_s:.1f} s")
print(f"stopped at iteration {monitor.stop.iteration} by {monitor.stop.rule}")
print(f"best image: iteration {monitor.best.iteration}, {monitor.best.image.shape}")
