"""The monitor on every App and Alg of SigPy: it sees, it stops, and it changes nothing."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sigpy

from csiq.errors import ConfigError
from csiq.monitor import QualityMonitor, QualityWarning
from csiq.solvers import NLCG
from csiq.stopping import CostPlateau, GradePlateau, MaxIter, NotFinite, Stop
from tests.fakes import ScriptedGrader
from tests.monitor import problems

pytestmark = pytest.mark.filterwarnings("ignore:closeness has no model card:csiq.monitor.QualityWarning")

RUNNERS = {**problems.APPS, **problems.ALGS}


def closeness_monitor(rule=None, **options) -> QualityMonitor:
    return QualityMonitor(problems.closeness, rule, voxel_size=(1.0, 1.0), **options)


def run(target):
    """Run an App, or an Alg in the loop that SigPy describes; return its image."""
    if hasattr(target, "run"):
        return target.run()
    while not target.done():
        target.update()
    return target.x


@pytest.mark.parametrize("name", RUNNERS)
def test_what_is_watched_computes_what_it_would_alone(name):
    alone, watched = RUNNERS[name](), RUNNERS[name]()
    expected = run(alone)
    monitor = QualityMonitor(lambda volume, voxel_size: float(volume.max()), voxel_size=(1.0, 1.0))
    with pytest.warns(QualityWarning, match="no model card"), monitor.watch(watched):
        found = run(watched)
    np.testing.assert_array_equal(found, expected)
    alg = getattr(watched, "alg", watched)
    assert vars(alg).keys() == vars(getattr(alone, "alg", alone)).keys()
    assert alg.update.__func__ is type(alg).update
    assert len(monitor.history) == len(getattr(alone, "time", monitor.history.steps))
    assert monitor.stop == Stop(len(monitor.history) - 1, "max_iter", "max_iter")
    assert math.isfinite(monitor.history.last.grades[0])
    assert monitor.history.last.recon_s > 0


@pytest.mark.parametrize("name", RUNNERS)
def test_a_rule_stops_it_where_the_rule_says(name):
    """The image is that of as many iterations without a monitor."""
    reference, target = RUNNERS[name](), RUNNERS[name]()
    monitor = closeness_monitor(MaxIter(2)) if name != "JsenseRecon" else QualityMonitor(None, MaxIter(2))
    with monitor.watch(target):
        found = run(target)
    alg = getattr(reference, "alg", reference)
    for _ in range(2):
        alg.update()
    expected = reference._output() if hasattr(reference, "run") else reference.x
    np.testing.assert_array_equal(found, expected)
    assert monitor.stop == Stop(2, "max_iter", "max_iter")
    assert len(monitor.history) == 3


def test_the_plateau_of_the_grade_stops_a_real_reconstruction():
    app = problems.sense(max_iter=100)
    monitor = closeness_monitor(GradePlateau())
    with monitor.watch(app):
        image = app.run()
    grades = [step.grades[0] for step in monitor.history.steps]
    assert monitor.stop is not None
    assert monitor.stop.reason == "plateau"
    k = monitor.stop.iteration
    assert 3 <= k < 12
    assert max(abs(grades[k] - grades[k - 1]), abs(grades[k - 1] - grades[k - 2])) < 0.02 * grades[k]
    assert monitor.history.steps[0].grades[0] < grades[-1] - 0.1
    # graded while it ran is what one gets by grading afterwards
    assert grades[-1] == pytest.approx(problems.closeness(np.abs(image), (1, 1, 1)), abs=1e-6)


def test_the_best_image_is_kept_though_the_app_goes_on():
    script = ScriptedGrader([[1.0], [2.0], [3.0], [2.0], [1.0]], grade_sd=0.0)
    app, reference = problems.sense(max_iter=4), problems.sense(max_iter=4)
    monitor = QualityMonitor(script, voxel_size=(1.0, 1.0))
    with monitor.watch(app):
        last = app.run()
    for _ in range(2):
        reference.alg.update()
    assert monitor.best.iteration == 2
    assert monitor.best.grades[0].grade == 3.0
    np.testing.assert_array_equal(monitor.best.image, reference.x)
    assert not np.array_equal(monitor.best.image, last)


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    "options", [{}, {"lamda": 0.0}, {"z": problems.truth()}, {"x": problems.truth() / 2}]
)
def test_cost_of_conjugate_gradients_is_sigpys_objective(options):
    given = {"lamda": 0.01, "max_iter": 6, "show_pbar": False, **options}
    app = sigpy.mri.app.SenseRecon(
        problems.kspace(), problems.maps(), **{k: np.copy(v) if k == "x" else v for k, v in given.items()}
    )
    expected = [app.objective()]
    monitor = QualityMonitor()
    with monitor.watch(app):
        while not app.alg.done():
            app.alg.update()
            expected.append(app.objective())
    # it adds up what single precision steps say of the 111.6 it starts from
    np.testing.assert_allclose(
        [s.cost for s in monitor.history.steps], expected, atol=1e-6 * 111.6, rtol=1e-4
    )


def test_cost_with_a_preconditioner_is_sigpys_objective():
    weight = np.linspace(0.5, 2, problems.N).astype(np.float32)
    app = problems.sense(P=sigpy.linop.Multiply((problems.N, problems.N), weight), max_iter=5)
    expected, monitor = [app.objective()], QualityMonitor()
    with monitor.watch(app):
        while not app.alg.done():
            app.alg.update()
            expected.append(app.objective())
    np.testing.assert_allclose([s.cost for s in monitor.history.steps], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [problems.wavelet, problems.total_variation])
def test_cost_that_the_app_writes_down_is_taken(make):
    app, monitor = make(save_objective_values=True, max_iter=4), QualityMonitor()
    with monitor.watch(app):
        app.run()
    assert [step.cost for step in monitor.history.steps] == app.objective_values
    assert monitor.history.last.cost_data != monitor.history.last.cost_data


def test_cost_may_be_asked_of_a_function():
    app, monitor = problems.total_variation(max_iter=3), QualityMonitor(rule=CostPlateau(tol=2.0, min_iter=1))
    with monitor.watch(app, cost=lambda a: a.objective()):
        app.run()
    assert monitor.stop == Stop(2, "plateau", "cost_plateau")
    assert monitor.history.last.cost == app.objective()


def test_an_unknown_cost_is_nan_and_stops_nothing():
    app, monitor = problems.total_variation(), QualityMonitor(rule=[NotFiniteIfKnown(), CostPlateau(tol=1e9)])
    with monitor.watch(app):
        app.run()
    assert all(math.isnan(step.cost) for step in monitor.history.steps)
    assert monitor.stop.reason == "max_iter"
    assert monitor.best.image is app.x


class NotFiniteIfKnown(NotFinite):
    """A rule that must not see what is merely unknown: fires on an infinite cost only."""

    def fires(self, history):
        return math.isinf(history.last.cost)


def test_a_cost_that_breaks_down_stops_it():
    costs = iter([5.0, 4.0, math.nan, 3.0])
    app, monitor = problems.sense(), closeness_monitor()
    with monitor.watch(app, cost=lambda a: next(costs)):
        app.run()
    assert monitor.stop == Stop(2, "nan", "nan")
    assert monitor.best.iteration == 1


def test_solvers_of_csiq_state_their_cost(rng):
    alg, monitor = NLCG(problems.for_csiq(rng), max_iter=2), QualityMonitor()
    with monitor.watch(alg):
        while not alg.done():
            alg.update()
    assert monitor.history.last.cost == alg.cost.total
    assert monitor.history.last.cost_penalty == alg.cost.penalty
    assert monitor.best.image is alg.volumes


# ---------------------------------------------------------------- grading every n-th


def test_every_third_iteration_is_graded_and_the_last():
    script = ScriptedGrader([[float(k)] for k in range(20)])
    app = problems.sense(max_iter=8)
    monitor = QualityMonitor(script, voxel_size=(1.0, 1.0), every=3)
    with monitor.watch(app):
        app.run()
    grades = [step.grades[0] for step in monitor.history.steps]
    assert [k for k, g in enumerate(grades) if math.isfinite(g)] == [0, 3, 6, 8]
    assert script.calls == 4


def test_rules_see_ungraded_iterations_on_the_line_between():
    """0 at the start, 2.0 at 4 and 2.05 at 8: a change of 0.0125 an iteration, below 0.02 x 2."""
    script = ScriptedGrader([[0.0], [2.0], [2.05], [3.0]])
    app = problems.sense(max_iter=16)
    monitor = QualityMonitor(script, GradePlateau(), voxel_size=(1.0, 1.0), every=4)
    with monitor.watch(app):
        app.run()
    assert monitor.stop == Stop(8, "plateau", "grade_plateau_mean")


def test_a_rule_on_scatter_needs_every_iteration():
    with pytest.raises(ConfigError, match="goes by the scatter"):
        QualityMonitor(problems.closeness, "resolved or iterations(9)", voxel_size=(1, 1), every=2)


# ---------------------------------------------------------------- starts


def test_a_start_from_zeros_is_graded_by_the_gridded_image():
    app, monitor = problems.total_variation(max_iter=1), closeness_monitor()
    gridded = app.A.H(app.y)
    with monitor.watch(app):
        np.testing.assert_array_equal(monitor.best.image, gridded)
        app.run()
    assert monitor.history.steps[0].grades[0] == problems.closeness(np.abs(gridded), (1, 1, 1))


def test_where_no_gridded_image_is_known_the_first_iterate_starts_the_curve():
    alg = problems.gradient_method()
    script = ScriptedGrader([[1.0], [1.001], [1.002], [1.003], [1.004], [2.0]])
    monitor = QualityMonitor(script, GradePlateau(), voxel_size=(1.0, 1.0))
    with monitor.watch(alg):
        run(alg)
    # flat from the start: not armed, so no plateau, although the start itself had no grade
    assert math.isnan(monitor.history.steps[0].grades[0])
    assert monitor.stop.iteration == 8


# ---------------------------------------------------------------- what goes wrong


def test_a_grader_that_fails_costs_a_grade_and_not_the_reconstruction():
    def fail(volume, voxel_size):
        raise RuntimeError("out of memory")

    app = problems.sense(max_iter=4)
    monitor = QualityMonitor(fail, GradePlateau(), voxel_size=(1.0, 1.0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with monitor.watch(app):
            image = app.run()
    np.testing.assert_array_equal(image, problems.sense(max_iter=4).run())
    assert all(math.isnan(step.grades[0]) for step in monitor.history.steps)
    # said once, not at each iteration
    assert [w.category for w in caught] == [QualityWarning]
    assert (
        "iteration 0, phase 1 has no grade, fail failed: RuntimeError: out of memory" in monitor.warnings[0]
    )
    assert monitor.stop.reason == "max_iter"
    assert monitor.best.iteration == 4


def test_a_grade_that_is_no_number_switches_the_plateau_off():
    script = ScriptedGrader([[0.0], [2.0], [math.nan], [2.0], [2.0], [2.0], [2.0]])
    app, monitor = problems.sense(), QualityMonitor(script, GradePlateau(), voxel_size=(1.0, 1.0))
    with pytest.warns(QualityWarning, match="iteration 2, phase 1 has no grade"), monitor.watch(app):
        app.run()
    assert monitor.stop.reason == "max_iter"


def test_an_error_of_the_app_is_its_own_and_it_is_left_as_it_was():
    def broken(x):
        raise ZeroDivisionError

    alg = problems.conjugate_gradient()
    monitor = QualityMonitor()
    alg.A = broken
    with pytest.raises(ZeroDivisionError), monitor.watch(alg):
        run(alg)
    assert "update" not in vars(alg)
    assert "done" not in vars(alg)
    assert monitor.stop == Stop(0, "interrupted")


def test_another_listener_is_put_back():
    alg = problems.conjugate_gradient()
    alg.done = other = lambda: alg.iter >= 2
    with QualityMonitor().watch(alg) as monitor:
        run(alg)
    assert alg.done is other
    assert len(monitor.history) == 3
    assert monitor.stop.rule == "solver_converged"


def test_a_loop_that_never_asks_is_listened_to_all_the_same():
    alg = problems.conjugate_gradient()
    with QualityMonitor().watch(alg) as monitor:
        for _ in range(3):
            alg.update()
    assert len(monitor.history) == 4
    assert monitor.stop == Stop(3, "interrupted")


def test_a_monitor_begins_anew_with_each_app():
    monitor = closeness_monitor(MaxIter(2))
    for _ in range(2):
        app = problems.sense()
        with monitor.watch(app):
            app.run()
        assert len(monitor.history) == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sigpy.app.MaxEig(sigpy.linop.Identity((4, 4)), show_pbar=False), "has no image"),
        (problems.sdmm, "has no image"),
        (lambda: 3, "expected a SigPy App or Alg"),
    ],
)
def test_what_cannot_be_watched(make, said):
    with pytest.raises(ConfigError, match=said), closeness_monitor().watch(make()):
        raise AssertionError


def test_an_image_behind_latent_variables():
    """Wavelet coefficients as the unknown: image= takes them back; SDMM's column likewise."""
    transform = sigpy.linop.Wavelet((problems.N, problems.N), wave_name="haar")
    forward = sigpy.mri.linop.Sense(problems.maps()) * transform.H
    app = sigpy.app.LinearLeastSquares(
        forward,
        problems.kspace(),
        proxg=sigpy.prox.L1Reg(forward.ishape, 0.005),
        alpha=1.0,
        max_iter=5,
        show_pbar=False,
    )
    monitor = closeness_monitor()
    with monitor.watch(app, image=lambda a: transform.H(a.x)):
        app.run()
    assert monitor.best.image.shape == (problems.N, problems.N)
    last = problems.closeness(np.abs(transform.H(app.x)), (1, 1, 1))
    assert last > 3
    assert monitor.history.last.grades[0] == pytest.approx(last, abs=1e-6)
    column = problems.sdmm()
    with monitor.watch(column, image=lambda alg: alg.x.reshape(problems.N, problems.N)):
        run(column)
    assert monitor.history.last.grades[0] > 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grader": problems.closeness}, "a grader needs it"),
        ({"grader": problems.closeness, "voxel_size": (1.0, 0.0)}, "positive sizes"),
        ({"grader": 3, "voxel_size": (1.0, 1.0)}, "expected a grader"),
        ({"every": 0}, "at least 1"),
        ({"rule": "plato"}, "no rule 'plato'"),
        ({"rule": "cost_gap"}, "whole curve"),
    ],
)
def test_wrong_options(options, said):
    with pytest.raises(ConfigError, match=said):
        QualityMonitor(**options)
