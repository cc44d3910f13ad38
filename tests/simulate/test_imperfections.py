"""What goes wrong on purpose: late gradients, a field that is off, lost readouts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csiq.errors import ConfigError
from csiq.simulate.imperfections import KINDS, Imperfections, LinearField, delayed, lost_readouts
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import simulate_scan
from csiq.simulate.setting import Setting
from csiq.trajectory import named_trajectory, phyllotaxis, radial_coord


def dense_points(coord: np.ndarray, places: np.ndarray, spins: np.ndarray) -> np.ndarray:
    """Return sum_p spin_p exp(-2 pi i k.r_p), places in fields of view."""
    return np.exp(-2j * np.pi * np.einsum("rsa,pa->rsp", coord.astype(np.float64), places)) @ spins


def test_late_gradients_shift_samples_along_the_spoke_by_axis() -> None:
    directions = phyllotaxis(8, 4)
    nominal = radial_coord(directions, 32, 64)
    dwell = 1.1e-3 / 64
    got = delayed(nominal, (5.0, -3.0, 1.0), dwell)
    # k at time t is what the gradients have summed up until t - delay
    step = directions * 32 / 64
    expected = nominal - (np.array([5.0, -3.0, 1.0]) * 1e-6 / dwell * step)[:, None]
    assert np.allclose(got, expected, atol=1e-5)
    assert np.array_equal(delayed(nominal, (0.0, 0.0, 0.0), dwell), nominal)


def test_a_stack_of_stars_is_not_late_along_its_partitions() -> None:
    nominal = named_trajectory("stack-of-stars", 64, 32, (16, 16, 16))
    got = delayed(nominal, (5.0, 5.0, 5.0), 1e-5)
    assert np.array_equal(got[..., 0], nominal[..., 0])
    assert np.abs(got[..., 1:] - nominal[..., 1:]).max() > 0.1


def test_a_linear_field_is_phase_of_each_spin(rng: np.random.Generator) -> None:
    """A cloud of spins, each turning by its own frequency, against shifted and turned k-space."""
    config = ScanConfig(matrix=32)
    spins, places = rng.standard_normal(40), rng.uniform(-70, 70, (40, 3))
    field = LinearField.drawn(60.0, rng)
    assert abs(field.offset) == 60
    assert np.linalg.norm(field.slope) == pytest.approx(1.0)
    coord = radial_coord(phyllotaxis(5, 3), 32, config.n_samples)
    turns = np.einsum("rsa,pa->rsp", coord.astype(np.float64) / config.fov, places)
    turns += config.since_echo[None, :, None] * (field.offset + places @ field.slope)
    expected = np.exp(-2j * np.pi * turns) @ spins
    shifted = field.shifted(coord, config.since_echo, config.fov)
    got = dense_points(shifted, places / config.fov, spins) * field.turn(config.since_echo)
    assert np.linalg.norm(got - expected) < 1e-4 * np.linalg.norm(expected)
    still = dense_points(coord, places / config.fov, spins)
    assert np.linalg.norm(still - expected) > 0.05 * np.linalg.norm(expected)


def test_readouts_are_lost_in_the_share_that_was_asked_for(rng: np.random.Generator) -> None:
    assert lost_readouts(1000, 0.05, rng).sum() == 50
    assert lost_readouts(1000, 0.0, rng).sum() == 0


def test_a_scan_with_lost_readouts_is_the_rest_of_the_whole_one() -> None:
    config = ScanConfig(seed=4, matrix=12, n_coils=2, n_spokes=100, amplitude=0.0, drift=0.0)  # painted once
    lossy = replace(config, imperfections=Imperfections(missing=0.1, zeroed=0.05))
    (whole, truth), (part, rest) = simulate_scan(config), simulate_scan(lossy)
    setting = Setting.of(lossy)
    imaging = ~setting.played.is_navigator
    kept, silent = ~setting.missing[imaging], setting.zeroed[imaging]
    assert part.n_spokes == 90
    assert np.array_equal(part.coord, whole.coord[kept])
    assert np.array_equal(part.times, whole.times[kept])
    assert np.array_equal(rest.breathing, truth.breathing[kept])
    assert silent.sum() == 5
    assert np.all(part.kspace[:, silent[kept]] == 0)
    assert np.array_equal(part.kspace[:, ~silent[kept]], whole.kspace[:, kept & ~silent])
    assert part.navigators is not None
    assert whole.navigators is not None
    assert np.array_equal(part.navigators.kspace, whole.navigators.kspace)


def test_what_is_sampled_is_not_what_the_file_tells() -> None:
    config = ScanConfig(seed=4, matrix=24, n_coils=1)
    late = replace(config, imperfections=Imperfections(gradient_delay=(0.0, 10.0, 0.0)))
    off = replace(config, imperfections=Imperfections(off_resonance=60.0))
    plain, late_one, off_one = (Setting.of(c) for c in (config, late, off))
    assert plain.sampled is plain.played.coord
    for other in (late_one, off_one):
        assert np.array_equal(other.played.coord, plain.played.coord)
    shift = late_one.sampled - plain.sampled
    assert np.all(shift[..., [0, 2]] == 0)
    # 10 us of a readout of 1.1 ms are a hundredth of its length of 24 cycles
    assert np.abs(shift[..., 1]).max() == pytest.approx(24 * 10e-6 / 1.1e-3, rel=0.01)
    bent = off_one.sampled - plain.sampled
    assert np.allclose(bent[:, 24], 0)  # the echo is refocused
    # 60 Hz in 60 mm: at the end of a readout, 0.55 ms away, a phase of 1 Hz/mm * 208 mm * 0.55 ms
    assert np.linalg.norm(bent[0, 0]) == pytest.approx(208 * 0.55e-3, rel=0.01)


def test_kinds_of_a_cohort_are_drawn_one_by_one() -> None:
    every = Imperfections.drawn(KINDS, np.random.default_rng(1))
    assert all(any(np.atleast_1d(value)) for value in vars(every).values())
    alone = Imperfections.drawn(["arrhythmia"], np.random.default_rng(1))
    assert alone == Imperfections(arrhythmia=every.arrhythmia)
    assert Imperfections.drawn([], np.random.default_rng(1)) == Imperfections()
    with pytest.raises(ConfigError, match="did you mean 'off-resonance'"):
        Imperfections.drawn(["off-resonanse"], np.random.default_rng(1))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"gradient_delay": (99.0, 0.0, 0.0)}, "--gradient-delay"),
        ({"gradient_delay": (1.0, 0.0)}, "--gradient-delay"),
        ({"off_resonance": 1e4}, "--off-resonance"),
        ({"missing": 0.9}, "--missing"),
        ({"zeroed": -0.1}, "--zeroed"),
        ({"arrhythmia": 0.9}, "--arrhythmia"),
    ],
)
def test_what_no_scanner_does(options: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Imperfections(**options)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_arrhythmia_needs_triggers() -> None:
    with pytest.raises(ConfigError, match="triggered"):
        ScanConfig(trajectory="golden3d", imperfections=Imperfections(arrhythmia=0.1))
