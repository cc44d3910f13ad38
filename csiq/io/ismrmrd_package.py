"""The ``ismrmrd`` package, imported so that it leaves a program's filters of warnings as they are."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any


def from_ismrmrd(module: str) -> Any:
    """Return a module of the ``ismrmrd`` package.

    Its first import has all warnings shown from then on, whatever the program or ``-W`` said before: here the
    filters are put back.

    Parameters
    ----------
    module : str
        Its name within the package, as in ``hdf5``.
    """
    name = f"ismrmrd.{module}"
    if name in sys.modules:
        return sys.modules[name]
    with warnings.catch_warnings():
        return importlib.import_module(name)
