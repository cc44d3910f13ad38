"""An open ISMRMRD file, and what has been learnt of it so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from csiq.errors import RawDataError
from csiq.io.header import Encoding, Header
from csiq.io.options import ReadOptions
from csiq.io.records import Sorted, check_uniform


@dataclass(frozen=True)
class RawFile:
    """An open ISMRMRD file, and what has been learnt of it so far."""

    path: Path
    table: h5py.Dataset
    header: Header
    heads: np.ndarray
    kinds: Sorted
    options: ReadOptions
    warnings: tuple[str, ...]

    def uniform(self, name: str, rows: np.ndarray | None = None) -> int:
        """Return a header value that must be the same in all imaging readouts (or in ``rows``)."""
        chosen = self.kinds.imaging if rows is None else rows
        return check_uniform(self.heads, chosen, name, self.path, self.table.name)

    def error(self, what: str, field: str, hint: str | None = None) -> RawDataError:
        """Return an error about a field of the readouts' headers."""
        return RawDataError(what, file=self.path, field=f"{self.table.name}/{field}", hint=hint)

    @property
    def encoding(self) -> Encoding:
        """The encoding the imaging readouts refer to."""
        number, count = self.uniform("encoding_space_ref"), len(self.header.encodings)
        if number >= count:
            raise self.error(f"readouts refer to encoding {number}, the header has {count}", "head")
        return self.header.encodings[number]

    @property
    def timed(self) -> np.ndarray:
        """Rows of imaging and navigator readouts, in the order of the file."""
        return np.union1d(self.kinds.imaging, self.kinds.navigator)
