"""CUDA sources run on a CPU: compiled as C++ with the few words of CUDA that they use."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csiq.cuda import kernels

_WORDS = """
#include <cmath>
#include <cstddef>
#include <utility>
#define __global__
#define __device__
using std::sqrt;
struct float2 { float x, y; };
struct Index { int x, y; };
static Index blockIdx, threadIdx, blockDim, gridDim;
template <class... A, std::size_t... I>
void call(void (*f)(A...), void** a, std::index_sequence<I...>) { f(*(A*)a[I]...); }
template <class... A>
void launch(void (*f)(A...), int grid_x, int grid_y, int threads, void** a) {
    gridDim = {grid_x, grid_y};
    blockDim = {threads, 1};
    for (int i = 0; i < grid_x * grid_y * threads; i++) {
        threadIdx = {i % threads, 0};
        blockIdx = {i / threads % grid_x, i / threads / grid_x};
        call(f, a, std::index_sequence_for<A...>());
    }
}
"""


class Emulated:
    """A kernel that is called as CuPy's are: grid, block, arguments."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, grid: tuple[int, ...], block: tuple[int], arguments: tuple[Any, ...]) -> None:
        self.calls += 1
        held = []
        for value in arguments:
            if isinstance(value, np.ndarray):
                assert value.flags.c_contiguous
                held.append(ctypes.c_void_p(value.ctypes.data))
            else:
                # as CuPy: a NumPy scalar goes over with its own size
                kind = {"int32": ctypes.c_int32, "int64": ctypes.c_int64, "float32": ctypes.c_float}
                kind["float64"] = ctypes.c_double
                held.append(kind[value.dtype.name](value.item()))
        pointers = (ctypes.c_void_p * len(held))(*[ctypes.addressof(item) for item in held])
        self.function(grid[0], grid[1] if len(grid) > 1 else 1, block[0], pointers)


class Emulator:
    """Stands in for :func:`csiq.cuda.kernels.kernel`."""

    def __init__(self, folder: Path, compiler: str) -> None:
        self.folder, self.compiler = folder, compiler
        self.compiled: dict[tuple[str, ...], Any] = {}

    def kernel(self, name: str, function: str, *defines: str) -> Emulated:
        library = self.compiled.get((name, *defines)) or self._compile(name, defines)
        self.compiled[(name, *defines)] = library
        return Emulated(getattr(library, f"launch_{function}"))

    def _compile(self, name: str, defines: tuple[str, ...]) -> ctypes.CDLL:
        text = kernels.source(name)
        text = _WORDS + text
        for function in re.findall(r"__global__ void (\w+)\(", kernels.source(name)):
            text += (
                f'\nextern "C" void launch_{function}(int x, int y, int threads, void** a) '
                f"{{ launch({function}, x, y, threads, a); }}\n"
            )
        stem = "-".join([name, *defines]).replace("=", "")
        source, library = self.folder / f"{stem}.cpp", self.folder / f"{stem}.so"
        source.write_text(text)
        flags = ["-O2", "-shared", "-fPIC", "-std=c++14", *(f"-D{define}" for define in defines)]
        subprocess.run([self.compiler, *flags, str(source), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """Return an emulator, or skip where there is no C++ compiler."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    return Emulator(tmp_path_factory.mktemp("cuda"), compiler)


@pytest.fixture
def emulated(compiled: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Let the kernels run on NumPy arrays."""
    monkeypatch.setattr(kernels, "kernel", compiled.kernel)
    return compiled
