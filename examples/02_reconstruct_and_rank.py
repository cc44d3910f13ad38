"""From raw data to ranked phases in five lines.

    python 02_reconstruct_and_rank.py [scan.h5]

Without a file a small breathing scan is simulated. Its voxels are larger than the network knows, so the
grades come with warnings: they are here to show the way.
"""

import sys
from pathlib import Path

import csiq
from csiq.simulate import ScanConfig, simulate_scan, write_simulated

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("example-scan.h5")
if not path.exists():
    write_simulated(path, *simulate_scan(ScanConfig(matrix=48, seed=1)))

scan = csiq.read_acquisition(path)
config = csiq.load_config(overrides={"stop_on_plateau": True, "coils": 4})
result = csiq.reconstruct(scan, config)
print("stopped at iteration", result.stop.iteration, "because of", result.stop.reason)
print("best phase", result.ranking.best_phase, "indistinguishable from it", result.ranking.top_set)
print(*(f"warning: {warning}" for warning in result.warnings), sep="\n")

for step in result.history.steps:
    print(step.iteration, f"{step.cost:.4g}", *(f"{grade:.2f}" for grade in step.grades))
