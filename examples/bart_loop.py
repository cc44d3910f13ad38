"""BART's pics, a few iterations at a time, until the grade stands still.

    python bart_loop.py          (needs the command bart)

Each call starts from the image before it (-W). The same without Python: docs/plugins.md. Voxels are
larger than the network knows, so the grades come with warnings: they are here to show the way.
"""

import subprocess
from pathlib import Path

import numpy as np
import sigpy

import csiq
from csiq.io.cfl import read_cfl_volumes, write_cfl
from csiq.simulate import ScanConfig, simulate_scan

scan, truth = simulate_scan(ScanConfig(matrix=48, seed=1))
z, y, x = np.meshgrid(*[(np.arange(48) - 24) / 48] * 3, indexing="ij")
smaps = np.stack([np.exp(-((x - a) ** 2) - (y - b) ** 2) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))])
smaps /= np.sqrt((smaps**2).sum(axis=0))
mask = np.random.default_rng(1).random((48, 48, 1)) < 0.3
write_cfl("maps", smaps)
write_cfl("kspace", mask * sigpy.fft(smaps * truth.volumes[0], axes=(-3, -2, -1)))

rule = "plateau or iterations(7)"
monitor = csiq.QualityMonitor(csiq.Grader.load(), rule, voxel_size=scan.geometry.voxel_size)
start: list[str] = []
for k in range(1, 20):
    command = ["bart", "pics", "-S", "-w", "1", "-e", "-l1", "-r", "0.001", "-i", "3", *start]
    subprocess.run([*command, "kspace", "maps", f"x{k}"], check=True, capture_output=True)
    start = ["-W", f"x{k}"]
    stop = monitor.update(read_cfl_volumes(Path(f"x{k}")))
    print(f"call {k:2d}  grade {monitor.history.last.grades[0]:.2f}  {monitor.history.last.recon_s:.1f} s")
    if stop:
        break

print(f"stopped: {monitor.stop.reason}")
print(f"best image: x{1 + monitor.best.iteration}")
