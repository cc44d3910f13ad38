"""Fixtures of the CUDA tests."""

from tests.cuda.emulator import compiled, emulated

__all__ = ["compiled", "emulated"]
