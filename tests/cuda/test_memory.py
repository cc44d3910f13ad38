"""The memory plan in numbers, and the back-off on a fake that runs out."""

from __future__ import annotations

import pytest

from csiq.cuda.memory import RESERVE, GpuPlan, GpuProblem, is_out_of_memory, plan_gpu, with_back_off
from csiq.errors import ResourceError

PAPER = GpuProblem((208, 208, 208), n_phases=4, n_coils=12, n_samples=15_000 * 416)
VOLUME = 8 * 208**3
GB = 10**9


def test_formula_in_numbers():
    plan = GpuPlan(PAPER, 12, slab_bytes=32 << 20)
    assert plan.resident_bytes == 4 * 4 * 416**3 + 12 * VOLUME
    # two planes of 12 coils are 33.2 MB, a hair below 32 MiB
    assert plan.buffer_bytes == 2 * (12 * 2 * VOLUME + 2 * 12 * 8 * 416**2)
    assert plan.iteration_bytes == 14 * 4 * VOLUME + plan.resident_bytes + plan.buffer_bytes + RESERVE
    doubled = 8 * 416**3
    kspace = 2 * 12 * 8 * PAPER.n_samples + 32 * PAPER.n_samples
    making = 2 * doubled + doubled // 2 + doubled // 2 + doubled // 2
    expected = plan.resident_bytes + 2 * 4 * VOLUME + kspace + making + RESERVE
    assert plan.setup_bytes == expected
    assert plan.peak_bytes == plan.iteration_bytes == pytest.approx(10.6 * GB, rel=0.01)


@pytest.mark.parametrize("card", [24, 80])
def test_paper_scale_fits_with_everything_on_the_device(card):
    plan = plan_gpu(PAPER, card * GB)
    assert plan == GpuPlan(PAPER, 12)
    assert plan.peak_bytes < card * GB


def test_less_room_takes_fewer_coils_then_the_host():
    rooms = (12, 9, 7.6, 6.6)
    plans = [plan_gpu(PAPER, int(room * GB)) for room in rooms]
    assert [p.coil_batch for p in plans[:2]] == [12, 3]
    assert plans[1].kernels_on_device
    assert plans[1].smaps_on_device
    assert not plans[2].kernels_on_device
    assert not plans[3].smaps_on_device
    for plan, room in zip(plans, rooms, strict=True):
        assert plan.peak_bytes <= 0.95 * room * GB


def test_the_batch_a_user_asks_for_is_not_exceeded():
    assert plan_gpu(PAPER, 80 * GB, coil_batch=3).coil_batch == 3
    assert plan_gpu(PAPER, 80 * GB, coil_batch=50).coil_batch == 12


def test_what_cannot_fit_is_refused_with_a_hint():
    with pytest.raises(ResourceError, match=r"at least .* GB on the GPU, 2\.0 GB free") as caught:
        plan_gpu(PAPER, 2 * GB)
    assert "--coils" in (caught.value.hint or "")


def test_a_slice_doubles_no_third_axis():
    problem = GpuProblem((1, 208, 208), 4, 8, 24 * 4 * 416)
    plan = plan_gpu(problem, 4 * GB)
    assert plan.resident_bytes == 4 * 4 * 416**2 + 8 * 8 * 208**2
    assert plan.coil_batch == 8


class Card:
    """A device on which a run fits below some number of coils at a time."""

    def __init__(self, fits: int, error: BaseException) -> None:
        self.fits, self.error = fits, error
        self.tried: list[int] = []
        self.released = 0

    def run(self, plan: GpuPlan) -> str:
        self.tried.append(plan.coil_batch)
        if plan.coil_batch > self.fits:
            raise self.error
        return f"{plan.coil_batch} coils, {plan.slab_bytes} bytes"

    def release(self) -> None:
        self.released += 1


def wrapped(error: BaseException) -> RuntimeError:
    """Return an error as SigPy's operators raise it."""
    outer = RuntimeError("Exceptions from <ToeplitzNormal Linop>.")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize("error", [MemoryError("pool"), wrapped(MemoryError("pool"))])
def test_back_off_halves_until_it_fits(error):
    card = Card(3, error)
    assert with_back_off(card.run, GpuPlan(PAPER, 12, slab_bytes=64), card.release) == "3 coils, 16 bytes"
    assert card.tried == [12, 6, 3]
    assert card.released == 2


def test_back_off_ends_at_one_coil():
    card = Card(0, MemoryError("pool"))
    with pytest.raises(ResourceError, match="memory ran out") as caught:
        with_back_off(card.run, GpuPlan(PAPER, 12), card.release)
    assert card.tried == [12, 6, 3, 2, 1]
    assert "--matrix" in (caught.value.hint or "")


def test_other_errors_pass_through():
    card = Card(0, wrapped(ValueError("shape")))
    with pytest.raises(RuntimeError, match="ToeplitzNormal"):
        with_back_off(card.run, GpuPlan(PAPER, 12), card.release)
    assert card.tried == [12]


def test_the_words_of_each_library_for_no_memory():
    def named(name: str, text: str) -> BaseException:
        return type(name, (RuntimeError,), {})(text)

    assert is_out_of_memory(named("OutOfMemoryError", "CUDA out of memory"))
    assert is_out_of_memory(wrapped(named("CuFFTError", "CUFFT_ALLOC_FAILED")))
    assert is_out_of_memory(named("CUDARuntimeError", "cudaErrorMemoryAllocation: out of memory"))
    assert not is_out_of_memory(named("CuFFTError", "CUFFT_INVALID_SIZE"))
    assert not is_out_of_memory(named("CUDARuntimeError", "cudaErrorIllegalAddress"))
    assert not is_out_of_memory(None)
