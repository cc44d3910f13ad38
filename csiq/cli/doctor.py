"""``csiq doctor``: whether this installation works, and what it can use."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import click

from csiq._version import __version__
from csiq.cli.options import DEBUG, JSON, options

_CORE = (
    "numpy",
    "scipy",
    "numba",
    "sigpy",
    "torch",
    "h5py",
    "matplotlib",
    "click",
    "finufft",
    "ismrmrd",
    "nibabel",
    "safetensors",
    "rich",
    "jinja2",
    "msgspec",
)
#: Package -> what it is for, and the extra that brings it.
_EXTRA = {
    "cupy": ("a GPU", "gpu12"),
    "pymapvbvd": ("Siemens TWIX files", "siemens"),
    "pydicom": ("DICOM", "dicom"),
    "dask": ("clusters", "cluster"),
}
#: Lengths of planes that operators transform, among them what MKL gets wrong where it gets any wrong.
_FFT_LENGTHS = ((18, 20), (40, 40), (96, 96), (128, 128), (208, 208))
_CUPY = ("cupy", "cupy-cuda12x", "cupy-cuda13x")


class Check(NamedTuple):
    """One line of the doctor: what was looked at, how it is ("ok", "note" or "bad"), and what was found."""

    name: str
    state: str
    found: str


@click.command(
    epilog="""\b
Examples:
  csiq doctor
  csiq doctor --json
"""
)
@options(JSON, DEBUG)
def doctor(as_json: bool) -> None:
    """Check this installation and say what it can use.

    Versions, devices, threads, memory, transforms against NumPy's and a direct Fourier sum, the grading model
    against its checksum, and a self-test of a few seconds (longer the first time: it compiles): a small
    breathing object is reconstructed on the device that --device auto takes. Exit code 5 if something does
    not work.
    """
    from csiq.cli.output import json_line
    from csiq.errors import ResourceError

    checks = []
    for check in examine():
        checks.append(check)
        if as_json:
            click.echo(json_line(check._asdict()))
        else:
            click.echo(f"{check.state:<4}  {check.name:<12}  {check.found}")
    bad = [check.name for check in checks if check.state == "bad"]
    if bad:
        raise ResourceError(f"does not work: {', '.join(bad)}", field="doctor")


def examine() -> Iterator[Check]:
    """Yield all checks, the slow ones last."""
    yield Check(
        "csiq",
        "ok",
        f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )
    yield _packages()
    yield from _extras()
    yield _threads()
    yield _memory()
    yield from _guarded("fft", _fft)
    yield from _guarded("device", _device)
    yield from _guarded("transform", _transform)
    yield from _guarded("solver", _solver)
    yield from _guarded("model", _model)
    yield from _plugins()
    yield from _guarded("self-test", _self_test)


def _guarded(name: str, check: Callable[[], Check]) -> Iterator[Check]:
    """Yield a check; whatever it raises is what the doctor is there to find."""
    try:
        yield check()
    except Exception as error:
        yield Check(name, "bad", f"{type(error).__name__}: {error}")


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages() -> Check:
    found = {name: _version_of(name) for name in _CORE}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        return Check("packages", "bad", f"missing: {', '.join(missing)}; pip install csiq")
    return Check("packages", "ok", ", ".join(f"{name} {number}" for name, number in found.items()))


def _extras() -> Iterator[Check]:
    for name, (purpose, extra) in _EXTRA.items():
        number = next(filter(None, map(_version_of, _CUPY if name == "cupy" else (name,))), None)
        if number is None:
            yield Check(name, "note", f"not installed; for {purpose}: pip install 'csiq[{extra}]'")
        else:
            yield Check(name, "ok", f"{number}, for {purpose}")


def _threads() -> Check:
    from csiq.arrays import default_threads

    usable, there = default_threads(), os.cpu_count() or 1
    limited = os.environ.get("OMP_NUM_THREADS")
    note = f", OMP_NUM_THREADS={limited}" if limited else ""
    return Check("threads", "ok", f"{usable} of {there} cores may be used{note}")


def _memory() -> Check:
    from csiq.plan import available_memory

    free = available_memory()
    if not free:
        return Check("memory", "note", "the system does not say how much is free")
    return Check("memory", "ok" if free > 2e9 else "note", f"{free / 1e9:.1f} GB free")


def _fft() -> Check:
    import numpy as np

    from csiq import fft

    rng = np.random.default_rng(0)
    x = fft.aligned((64, 64, 64))
    x[:] = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
    expected = np.fft.fftn(x, axes=(1, 2))
    started = time.perf_counter()
    fft.along_last(x, 2)
    seconds = time.perf_counter() - started
    error = float(np.linalg.norm(x - expected) / np.linalg.norm(expected))
    library = "MKL's" if fft.mkl() is not None else "SciPy's"
    took = f"64 transforms of 64 x 64 in {1e3 * seconds:.1f} ms"
    found = f"{library}, {took}, differ from NumPy's by {error:.0e}"
    if error >= 1e-5:
        return Check("fft", "bad", found)
    if fft.mkl() is not None and not all(fft.right(lengths) for lengths in _FFT_LENGTHS):
        return Check("fft", "note", f"{found}; MKL's of some lengths are wrong here and made another way")
    return Check("fft", "ok", found)


def _device() -> Check:
    from csiq.arrays import gpu_count

    # the import alone proves nothing: a CuPy wheel without a GPU fails at its first allocation
    count = gpu_count()
    if count:
        gpus = ", ".join(f"cuda:{i} {_gpu(i)}" for i in range(count))
        return Check("device", "ok", f"{gpus}; --device auto takes cuda:0")
    if any(map(_version_of, _CUPY)):
        return Check("device", "note", "CPU (CuPy is installed but finds no GPU it can use)")
    return Check("device", "ok", "CPU (no CuPy)")


def _gpu(index: int) -> str:
    """Return a GPU's name and memory."""
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(index)["name"].decode()
    with cupy.cuda.Device(index):
        free, total = cupy.cuda.runtime.memGetInfo()
    return f"{name}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free"


def _transform() -> Check:
    import numpy as np

    from csiq.nufft import Nufft

    rng = np.random.default_rng(0)
    shape = (6, 6, 6)
    image = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    coord = rng.uniform(-3, 3, (40, 3)).astype(np.float32)
    r = np.stack(np.meshgrid(*[np.arange(6) - 3] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    direct = np.exp(-2j * np.pi * (coord.astype(float) @ r.T) / 6) @ image.ravel() / np.sqrt(216)
    got = Nufft(coord, shape).forward(image)
    error = float(np.linalg.norm(got - direct) / np.linalg.norm(direct))
    return Check(
        "transform", "ok" if error < 1e-4 else "bad", f"differs from a direct Fourier sum by {error:.0e}"
    )


def _solver() -> Check:
    from csiq.solvers import SOLVERS

    return Check("solver", "ok", f"available: {', '.join(sorted(SOLVERS))}")


def _model() -> Check:
    from csiq.quality.grade import Grader
    from csiq.quality.model_file import shipped_models

    if not shipped_models():
        return Check(
            "model",
            "note",
            "no grading model is shipped: recon runs, but does not grade or stop at a plateau",
        )
    grader = Grader.load()
    state = "note" if grader.warnings else "ok"
    return Check("model", state, f"{grader.name}, SHA-256 {grader.sha256[:12]}, weights match the card")


def _self_test() -> Check:
    from csiq.self_test import self_test

    started = time.perf_counter()
    test = self_test()
    found = (
        f"a small scan on {test.device} in {time.perf_counter() - started:.1f} s: correlation of breathing "
        f"{test.breathing:.2f}, of images {test.image:.2f}, cost down to {100 * test.cost:.0f} %"
    )
    return Check("self-test", "ok" if test.good else "bad", found)


def _plugins() -> Iterator[Check]:
    """Yield a line for each plug-in; a broken one is a note: csiq itself works without it."""
    from csiq.errors import CsiqError
    from csiq.plugins import GROUPS, own_names, plugins_of

    for plugin in (plugin for kind in GROUPS for plugin in plugins_of(kind)):
        if plugin.name in own_names(plugin.kind):
            yield Check("plug-in", "note", f"{plugin}: never used, csiq has its own '{plugin.name}'")
            continue
        try:
            plugin.load()
        except CsiqError as error:
            yield Check("plug-in", "note", error.one_line())
        else:
            yield Check("plug-in", "ok", str(plugin))
