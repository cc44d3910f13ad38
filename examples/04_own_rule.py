"""The caller owns the loop: a stopping rule of one's own, in a few lines.

    python 04_own_rule.py

Solves a small problem and stops once the image changes by less than 3 % in an iteration.
"""

import numpy as np

import csiq
from csiq.arrays import Device
from csiq.config import load_config
from csiq.preparation import gate, prepare_coils, set_up
from csiq.simulate import ScanConfig, simulate_scan

config = load_config(overrides={"coils": 4})
scan, truth = simulate_scan(ScanConfig(matrix=48, seed=1))
scan = prepare_coils(scan, config)
signal, bins = gate(scan, config)
problem = set_up(scan, bins, csiq.estimate_smaps(scan), config, Device(), threads=2)

previous = None
for iterate in csiq.solve(problem, max_iter=20):
    if previous is not None:
        change = np.linalg.norm(iterate.volumes - previous) / np.linalg.norm(previous)
        print(f"iteration {iterate.iteration}: cost {iterate.cost.total:.5g}, change {change:.2%}")
        if change < 0.03:
            print(f"stopped at iteration {iterate.iteration}")
            break
    previous = iterate.volumes.copy()
