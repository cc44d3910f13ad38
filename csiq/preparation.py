"""The steps before the first iteration: coils, breathing, operators on the device, grader.

:func:`csiq.pipeline.prepare` takes them in order; each can be called alone.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from csiq.acquisition import Acquisition
from csiq.arrays import Device, choose_device, default_threads, to_device
from csiq.coil_batches import with_fewer_coils
from csiq.coils import compress, drop_dead_coils, whiten
from csiq.config import Config
from csiq.cuda.memory import GpuPlan, free_bytes, release_pools, with_back_off
from csiq.density import density_compensation
from csiq.errors import ModelError, ResourceError
from csiq.gating import Bins, Signal, bin_spokes, correct_shift, respiratory_signal
from csiq.operators import ForwardModel
from csiq.plan import gpu_plan, sizes_of
from csiq.plugins import load_assessor
from csiq.quality.assessor import Assessor
from csiq.solvers import Problem, SpatialTV, Wavelet, build_problem
from csiq.stopping import uses_grades
from csiq.stopping.configured import own_rule


def device_for(scan: Acquisition, config: Config) -> tuple[Device, str | None]:
    """Return where a scan is reconstructed, and what to say where ``auto`` is not what one would expect.

    Raises
    ------
    DeviceError
        If a GPU is asked for by name and is not there.
    """
    device = choose_device(config.run.device)
    if config.run.device != "auto":
        return device, None
    if not device.is_gpu:
        dead = "CuPy is installed but finds no GPU that it can use: computed on the CPU"
        return device, dead if _has_cupy() else None
    try:
        gpu_plan(sizes_of(scan, config), config, free_bytes(device))
    except ResourceError as error:
        return Device(), _too_small(error)
    return device, None


def _too_small(error: ResourceError) -> str:
    """Return the warning about a GPU that a scan does not fit on."""
    return f"the GPU has too little memory ({error.what}): computed on the CPU"


def _has_cupy() -> bool:
    try:
        import cupy  # noqa: F401
    except ImportError:
        return False
    return True


def use_device(device: Device) -> None:
    """Let everything that is allocated from now on lie on this device."""
    if device.is_gpu:
        import cupy

        cupy.cuda.Device(device.index).use()


def prepare_coils(scan: Acquisition, config: Config) -> Acquisition:
    """Return the scan without dead coils, whitened and compressed to virtual coils.

    In the mode ``selfnav`` the heart's head-foot shift is taken out as well, heartbeat by heartbeat.
    """
    if config.gating.mode == "selfnav":
        scan = correct_shift(scan)
    return compress(whiten(drop_dead_coils(scan)), config.coils.coils)


def gate(scan: Acquisition, config: Config) -> tuple[Signal | None, Bins]:
    """Return the breathing signal and the spokes of each phase; all spokes for a single image."""
    if config.gating.phases == 1 or config.gating.mode == "selfnav":
        everything = np.arange(scan.n_spokes)
        return None, Bins((everything,), np.empty(0), np.ones(scan.n_spokes, int))
    signal = respiratory_signal(scan, config.gating)
    return signal, bin_spokes(signal, config.gating.phases)


def set_up(
    scan: Acquisition, bins: Bins, smaps: np.ndarray, config: Config, device: Device, threads: int
) -> Problem:
    """Return the problem on the device: kernels, gridded image, penalty weight."""
    order = np.concatenate(bins.indices)
    dcf = phase_dcf(scan, bins, config.penalty.dcf)
    kspace = scan.kspace[:, order]

    def build(plan: GpuPlan | None, batch: int | None = None) -> Problem:
        """Return the problem, from nothing, with so many coils at a time as the plan or ``batch`` says."""
        coords = [to_device(np.ascontiguousarray(scan.coord[i]), device) for i in bins.indices]
        wait = (plan is not None and not plan.smaps_on_device, plan is not None and not plan.kspace_on_device)
        model = ForwardModel(
            coords,
            smaps if wait[0] else to_device(smaps, device),
            threads=threads,
            coil_batch=batch,
            plan=plan,
        )
        penalty = config.penalty
        return build_problem(
            model,
            kspace if wait[1] else to_device(kspace, device),
            dcf if wait[1] else to_device(dcf, device),
            penalty.lamda,
            dcf_in_cost=penalty.dcf_in_cost,
            penalties=[SpatialTV(penalty.lamda_spatial_tv), Wavelet(penalty.lamda_wavelet)],
        )

    if not device.is_gpu:
        most = min(threads, config.run.coil_batch or smaps.shape[0] * bins.n_phases)
        return with_fewer_coils(partial(build, None), most)
    return with_back_off(build, gpu_plan(sizes_of(scan, config), config, free_bytes(device)))


def set_up_where_it_fits(
    scan: Acquisition, bins: Bins, smaps: np.ndarray, config: Config, device: Device
) -> tuple[Problem, Device, str | None]:
    """Return the problem, where it is, and a warning: with ``auto`` on the CPU if a GPU's memory ran out."""
    threads = config.run.threads or default_threads()
    try:
        return set_up(scan, bins, smaps, config, device, threads), device, None
    except ResourceError as error:
        if config.run.device != "auto" or not device.is_gpu:
            raise
        note = _too_small(error)
    # out here the error is gone, and with it the frames that held the arrays
    release_pools()
    return set_up(scan, bins, smaps, config, Device(), threads), Device(), note


def phase_dcf(scan: Acquisition, bins: Bins, method: str) -> np.ndarray:
    """Return the density compensation of each phase's own spokes, mean 1 in each, phase after phase.

    Returns
    -------
    float32 array, (n_binned_spokes, n_samples)
    """
    if method == "pipe-menon":
        parts = [density_compensation(scan.coord[i], method, shape=scan.geometry.shape) for i in bins.indices]
    else:
        # the law of the whole trajectory is found once; a phase's spokes are a random part of it
        whole = density_compensation(scan.coord, method, shape=scan.geometry.shape)
        parts = [whole[indices] for indices in bins.indices]
    return np.concatenate([part / part.mean() for part in parts]).astype(np.float32)


def load_grader(config: Config, device: Device) -> Assessor | None:
    """Return the grader; None if there is no model and nothing depends on one.

    Raises
    ------
    ModelError
        If a model is asked for by name or file, or the stop needs one, and it is missing or damaged.
    """
    try:
        return load_assessor(config.quality.model, device)
    except ModelError:
        own = own_rule(config)
        if (
            config.stop.stop_on_plateau
            or (own is not None and uses_grades(own))
            or config.stop.min_grade is not None
            or config.quality.model != "default"
        ):
            raise
        return None
