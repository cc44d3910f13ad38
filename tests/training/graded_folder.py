"""Small graded volumes on disk: a ball under noise of four strengths, whose grade is easily seen."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from csiq.io.tables import write_table
from csiq.quality.network import NetworkConfig
from csiq.training.settings import TrainConfig

GRADES = (0.5, 1.5, 2.5, 3.5)
SPLITS = ("train1", "train2", "train3", "test")
SMALL = NetworkConfig(widths=(4, 4, 4, 4), hidden=(8, 4), keep=0.9)
FEW = TrainConfig(
    iterations=8, batch=4, window=128, learning_rate=1e-3, warmup=2, check_every=3, network=SMALL
)


def ball(noise: float, seed: int, n: int = 52) -> np.ndarray:
    """Return a ball under noise, float32 (n, n, n)."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:n, :n, :n] - n // 2
    inside = (z**2 + y**2 + x**2 < (0.35 * n) ** 2).astype(np.float32)
    return np.abs(inside + noise * rng.standard_normal(inside.shape, dtype=np.float32))


def write_nii(path: Path, volume: np.ndarray, voxel: float = 4.0, slope: float | None = None) -> None:
    """Write a volume (z, y, x) as NIfTI; with a slope, as 16-bit integers."""
    stored = volume if slope is None else np.rint(volume / slope).astype(np.int16)
    image = nibabel.Nifti1Image(stored.T, np.diag([voxel, voxel, voxel, 1.0]))
    if slope is not None:
        image.header.set_slope_inter(slope, 0.0)
    path.write_bytes(image.to_bytes())


def make_graded(folder: Path, splits: tuple[str, ...] = SPLITS) -> Path:
    """Write a manifest of four volumes a split; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for part, split in enumerate(splits):
        for number, grade in enumerate(GRADES):
            name = f"{split}-{number}"
            write_nii(folder / f"{name}.nii", ball((4 - grade) / 3, 10 * part + number), slope=1e-3)
            readers = {"reader1a": grade, "reader1b": min(grade + 0.5, 4.0), "reader2": grade}
            row = {"volume": f"{name}.nii", "patient": name, "split": split, **readers}
            rows.append({**row, "reference": grade + 0.1})
    write_table(folder / "graded.tsv", rows)
    return folder / "graded.tsv"
