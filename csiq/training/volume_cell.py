"""The volume a cell of a manifest names: NIfTI, DICOM series, HDF5, BART, a phase of a run folder, ``.npy``.

Uncompressed NIfTI and ``.npy`` are mapped where they lie. Anything else is unpacked once into a cache folder
(16-bit integers) and mapped from there.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.io.dicom import read_series
from csiq.io.nifti import read_volumes
from csiq.io.sniff import identify
from csiq.io.tables import read_json
from csiq.training.mapped_volume import MappedVolume, map_nifti, map_npy, write_mapped

_PHASE = re.compile(r"(.+):(\d+)")
Voxel = tuple[float, float, float]


@dataclass(frozen=True)
class VolumeCell:
    """A file or folder, and which of its volumes is meant.

    Attributes
    ----------
    path : Path
    phase : int, optional
        From 1.
    """

    path: Path
    phase: int | None = None

    @classmethod
    def parse(cls, folder: Path, cell: str) -> VolumeCell:
        """Return what a cell names, relative to the manifest's folder: ``scan.nii``, ``run.csiq:2``.

        Raises
        ------
        RawDataError
            If there is no such file or folder.
        """
        if (folder / cell).exists():
            return cls(folder / cell)
        found = _PHASE.fullmatch(cell)
        if found and (folder / found[1]).exists():
            return cls(folder / found[1], int(found[2]))
        raise RawDataError(f"volume '{cell}' is not there")

    def open(self, cache: Path) -> MappedVolume:
        """Return the volume, unpacked into ``cache`` if it cannot be mapped where it is.

        Raises
        ------
        RawDataError
            If it cannot be read.
        """
        path = self._file()
        if path.is_file() and path.suffix == ".npy":
            return map_npy(path)
        if path.is_file() and path.suffix == ".nii" and self._is_plain(path):
            return map_nifti(path)
        unpacked = cache / f"{self._key(path)}.npy"
        if unpacked.exists() and unpacked.with_suffix(".json").exists():
            return map_npy(unpacked)
        cache.mkdir(parents=True, exist_ok=True)
        volume, voxel_size = self._read(path)
        return write_mapped(unpacked, volume, voxel_size)

    def located(self) -> tuple[Path, int | None]:
        """Return the file, or folder of a DICOM series, that holds it, and its number there, from 1."""
        return self._file(), self._chosen()

    def _file(self) -> Path:
        """Return the file that holds the volume; a DICOM series stays a folder."""
        held = self.path / "volumes.h5"
        return held if self.path.is_dir() and held.is_file() else self.path

    @staticmethod
    def _is_plain(path: Path) -> bool:
        """Return whether a NIfTI file can be mapped: one volume, not complex."""
        import nibabel

        try:
            image: Any = nibabel.load(path)
            several = any(n > 1 for n in image.shape[3:])
            return bool(image.get_data_dtype().kind != "c") and not several
        except Exception:  # map_nifti says what is wrong with it
            return True

    def _key(self, path: Path) -> str:
        """Return a name that changes with the file: place, size and time of change."""
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        text = repr((str(path.resolve()), self._chosen(), stats))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _chosen(self) -> int | None:
        """Return the phase that is meant: the one named, else the best-ranked of a run."""
        ranking = self.path / "ranking.json"
        if self.phase is None and self.path.is_dir() and ranking.is_file():
            best = read_json(ranking).get("best_phase")
            return int(best) if isinstance(best, int) else None
        return self.phase

    def _read(self, path: Path) -> tuple[np.ndarray, Voxel]:
        if path.is_dir():
            if self.phase is not None:
                raise RawDataError("a DICOM series has no phases", file=path)
            return read_series(path)
        if identify(path) == "a DICOM file":
            raise RawDataError("one DICOM file; name the folder of its series", file=path)
        volumes = read_volumes(path)
        phase = self._chosen()
        if phase is None and len(volumes) > 1:
            raise RawDataError(
                f"holds {len(volumes)} volumes", file=path, hint=f"name one: {self.path.name}:1"
            )
        if not 1 <= (phase or 1) <= len(volumes):
            raise RawDataError(f"has no volume {phase}, only {len(volumes)}", file=path)
        _, volume, voxel_size = volumes[(phase or 1) - 1]
        return volume, voxel_size
