"""Small volumes with a name that must not get out, for the tests of reading."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

#: Stands in names, headers and tables; nothing of it may reach a reader.
IDENTITY = "Quimbly_Xaviera_1970"
_SCRIPT = re.compile(
    r'csiqImage\((\{"id": "[0-9a-f]{8}", "shape": \[\d+, \d+, \d+\], "oriented": \w+\}),"(.*)"\);\n'
)


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write (x, y, z) values as NIfTI whose header carries a name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image: Any = nibabel.Nifti1Image(values.astype(np.float32), np.eye(4) if affine is None else affine)
    image.header["descrip"] = IDENTITY.encode()
    nibabel.save(image, path)
    return path


def blob(n: int, level: int) -> np.ndarray:
    """A ball of another brightness for every ``level``, on a dark noise of its own."""
    grid = np.indices((n, n, n)) - (n - 1) / 2
    noise = np.random.default_rng(level).random((n, n, n))
    return 100 * (np.sqrt((grid**2).sum(0)) < n / 3) * (1 + level) + 10 * noise


def write_scans(folder: Path, count: int = 6, n: int = 12) -> Path:
    """Write ``count`` volumes of named patients, two to a patient."""
    for i in range(count):
        write_volume(folder / f"{IDENTITY}_{i // 2}" / f"followup{i % 2}.nii", blob(n, i))
    return folder


def decoded(script: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return header and voxels of an image file; it must hold nothing else."""
    found = _SCRIPT.fullmatch(script)
    assert found, script[:200]
    header = json.loads(found[1])
    raw = np.frombuffer(zlib.decompress(base64.b64decode(found[2], validate=True)), np.uint8)
    return header, np.cumsum(raw.reshape(header["shape"]), axis=-1, dtype=np.uint8)


def told(page: str) -> dict[str, Any]:
    """Return what a page is told of its session."""
    found = re.search(r'<script type="application/json" id="session">(.*?)</script>', page)
    assert found
    return json.loads(found[1])
