"""Look at a raw scan: what is in it, its breathing, and the phases it is sorted into.

    python 01_look_at_raw.py [scan.h5]

Without a file a small breathing scan is simulated.
"""

import sys
from pathlib import Path

import csiq
from csiq.config import Gating
from csiq.simulate import ScanConfig, simulate_scan, write_simulated

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("example-scan.h5")
if not path.exists():
    write_simulated(path, *simulate_scan(ScanConfig(matrix=48, seed=1)))

scan = csiq.read_acquisition(path)
print(f"{scan.n_coils} coils, {scan.n_spokes} spokes x {scan.n_samples} samples")
print(f"matrix {scan.geometry.shape}, {100 * scan.nyquist_fraction:.0f} % of Nyquist")

signal = csiq.respiratory_signal(scan, Gating())
print(
    f"breathing from {signal.source}, SNR {signal.snr:.1f}, end-expiration known to {signal.confidence:.0%}"
)

bins = csiq.bin_spokes(signal, n_phases=4)
print("spokes in phases 1 (end-expiration) to 4:", *bins.counts)
