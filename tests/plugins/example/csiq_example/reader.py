"""Scans and images in NumPy archives behind a line that says what they are."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.io.finish import Draft
from csiq.io.options import ReadOptions

SCAN, IMAGE = b"toy scan\n", b"toy image\n"


class ToyReader:
    """Reads what :func:`write_scan` and :func:`write_image` wrote."""

    def takes(self, path: Path) -> bool:
        """Whether the first line is one of ours."""
        with path.open("rb") as stream:
            return stream.readline() in (SCAN, IMAGE)

    def read_acquisition(self, path: Path, options: ReadOptions) -> Draft:
        """Return a raw scan; csiq applies the options' coils and matrix."""
        found = _arrays(path)
        geometry = Geometry(tuple(found["shape"].tolist()), tuple(found["fov"].tolist()))
        names = ("kspace", "coord", "times", "heartbeat")
        return Draft(path=path, geometry=geometry, **{name: found[name] for name in names})

    def read_volumes(self, path: Path) -> list[tuple[str, np.ndarray, tuple[float, float, float]]]:
        """Return the one image of a file."""
        found = _arrays(path)
        return [(path.name, found["volume"], tuple(found["voxel_size"].tolist()))]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        stream.readline()
        with np.load(BytesIO(stream.read()), allow_pickle=False) as archive:
            return dict(archive)


def write_scan(path: Path, scan: Any) -> None:
    """Write a :class:`csiq.Acquisition`."""
    names = ("kspace", "coord", "times", "heartbeat")
    arrays = {name: getattr(scan, name) for name in names}
    _write(path, SCAN, shape=np.array(scan.geometry.shape), fov=np.array(scan.geometry.fov), **arrays)


def write_image(path: Path, volume: np.ndarray, voxel_size: tuple[float, float, float]) -> None:
    """Write a volume (z, y, x)."""
    _write(path, IMAGE, volume=volume, voxel_size=np.array(voxel_size))


def _write(path: Path, kind: bytes, **arrays: np.ndarray) -> None:
    with path.open("wb") as stream:
        stream.write(kind)
        np.savez(stream, **arrays)
