"""NumPy's BLAS with one thread, beside threads of torch and of csiq.

OpenBLAS keeps its threads spinning after a product, on cores that others need: the convolutions that
follow a small interpolation then take up to three times as long (two cores).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which NumPy's products, of any thread, take one thread.

    The number is common to the process. Where two threads ask for it at a time the second changes nothing
    (threadpoolctl 3.8), and where another thread has set it before, neither does this one.
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
