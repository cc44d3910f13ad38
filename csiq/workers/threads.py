"""How many threads libraries start, as far as the environment of a process decides."""

from __future__ import annotations

#: Read by OpenMP, OpenBLAS, MKL and numba when they are loaded: before that they have to be set.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(threads: int) -> dict[str, str]:
    """Return what the environment of a process says whose libraries use so many threads."""
    return dict.fromkeys(VARIABLES, str(threads))
