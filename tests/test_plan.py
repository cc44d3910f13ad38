"""Estimates of memory and time: they follow the work, and what does not fit is refused."""

from __future__ import annotations

import pytest

from csiq import plan
from csiq.config import load_config
from csiq.errors import ResourceError
from csiq.plan import available_memory, check_memory, estimate


@pytest.fixture(autouse=True)
def steady_clock(monkeypatch):
    """Give every convolution the same seconds a voxel: the clock is not what is tested."""
    monkeypatch.setattr(plan, "_seconds_of_convolution", lambda shape: 1e-8 * shape[0] * shape[1] * shape[2])


def config_of(**options):
    return load_config(overrides={"threads": 1, **options})


def test_time_is_linear_in_phases_and_coils(simulated):
    scan = simulated[0]
    base = estimate(scan, config_of(phases=1, coils=1)).seconds_per_iteration
    assert estimate(scan, config_of(phases=4, coils=1)).seconds_per_iteration == pytest.approx(4 * base)
    assert estimate(scan, config_of(phases=4, coils=6)).seconds_per_iteration == pytest.approx(24 * base)
    # more coils than there are change nothing
    assert estimate(scan, config_of(phases=4, coils=99)).seconds_per_iteration == pytest.approx(24 * base)


def test_memory_grows_with_phases_and_coils(simulated):
    scan = simulated[0]
    sizes = [estimate(scan, config_of(phases=p, coils=c)).memory_bytes for p, c in ((1, 1), (4, 1), (4, 6))]
    assert sizes == sorted(set(sizes))


def test_what_does_not_fit_is_refused_before_it_starts(simulated):
    scan = simulated[0]
    need = estimate(scan, config_of())
    with pytest.raises(ResourceError, match=r"needs \d.\d GB, 0.1 GB allowed by --max-memory; try") as error:
        check_memory(need, config_of(max_memory="100MB"))
    assert error.value.exit_code == 5
    check_memory(need, config_of(max_memory="100MB", force=True))
    check_memory(need, config_of(max_memory="100GB"))


def test_free_memory_is_a_number_of_this_machine():
    assert 0 <= available_memory() < 1 << 50


def test_a_smaller_coil_batch_takes_less_memory_and_more_time(simulated):
    scan = simulated[0]
    few, many = (estimate(scan, load_config(overrides={"threads": 4, "coil_batch": n})) for n in (1, 4))
    assert few.iteration_bytes < many.iteration_bytes
    assert few.seconds_per_iteration > many.seconds_per_iteration
