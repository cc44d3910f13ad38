"""The command that repeats a run, durations, and other words."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace

import pytest

from csiq.cli import main
from csiq.config import Config, load_config
from csiq.ranking import rank_numbers
from csiq.report.command import base_name, command_of, toml_of
from csiq.report.verdict import duration, phase_name, rule_sentence, seconds_per_iteration, verdict_of
from csiq.stopping import History
from tests.report.fake_run import history, run_json

KEYS = {
    "phases": 6,
    "lamda": 0.05,
    "max_iter": 12,
    "stop_on_plateau": True,
    "return": "last",
    "band": (0.1, 0.7),
    "exclude_coil": (3, 7),
    "orient": False,
    "dcf_in_cost": False,
    "time_limit": "30m",
    "save_iterates": True,
    "trajectory": "my traj.h5:/coord",
}


def test_the_command_repeats_the_configuration(monkeypatch, tmp_path):
    import sys
    from types import ModuleType

    config = load_config(overrides=KEYS)
    line = command_of({"input": {"name": "scan.h5"}, "config": config.as_dict()})
    got = []
    module = ModuleType("csiq.run_scan")
    module.run = lambda config, *args, **options: got.append(config) or object()
    monkeypatch.setitem(sys.modules, "csiq.run_scan", module)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.h5").write_text("a raw file")
    program, *args = shlex.split(line)
    assert program == "csiq"
    assert main([*args, "-q"]) == 0
    assert got == [config]


def test_a_run_with_the_defaults_has_a_short_command():
    assert command_of({"input": {"name": "a b.h5"}, "config": Config().as_dict()}) == "csiq recon 'a b.h5'"
    assert command_of({}) == "csiq recon RAW"


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/a/b.h5", "b.h5"),
        ("/a/b.h5:/c/d", "b.h5:/c/d"),
        ("phyllotaxis", "phyllotaxis"),
        ("x.h5:/d", "x.h5:/d"),
    ],
)
def test_base_names(path, base):
    assert base_name(path) == base


def test_the_configuration_is_shown_as_toml():
    config = load_config(overrides=KEYS)
    text = toml_of(config.as_dict()).replace("my traj", "my traj")
    from csiq.config import parse_config

    assert parse_config(text, {}) == config


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.34, "0.3 s"), (9.96, "10 s"), (42.2, "42 s"), (99.4, "99 s"), (200, "3 min 20 s"), (180, "3 min"),
     (7500, "2 h 5 min"), (7200, "2 h"), (math.nan, "an unknown time")],
)  # fmt: skip
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_phases_have_the_names_of_their_state_only_where_they_have_one():
    assert phase_name({}, 1, 4) == "phase 1 (end-expiration)"
    assert phase_name({}, 4, 4) == "phase 4 (end-inspiration)"
    assert phase_name({}, 2, 4) == "phase 2"
    assert phase_name({}, 1, 1) == "phase 1"
    assert phase_name({"gating": {"orientation": "not applicable"}}, 1, 4) == "phase 1"


def test_seconds_per_iteration_counts_reconstruction_and_grading():
    assert seconds_per_iteration(history(4)) == pytest.approx(5.7)
    assert math.isnan(seconds_per_iteration(History()))


def test_every_reason_to_stop_has_a_sentence():
    made = history(4)
    reasons = {
        ("plateau", "grade_plateau_mean"): "It stopped at iteration 8: the mean grade",
        ("plateau", "grade_plateau_all"): "It stopped at iteration 8: the grade of every phase",
        ("plateau", "cost_plateau"): "It stopped at iteration 8: the cost fell by less",
        ("plateau", "solver_converged"): "the solver could not lower the cost",
        ("max_iter", "max_iter"): "All 20 iterations were done.",
        ("time_limit", "time_limit"): "the time limit of",
        ("interrupted", None): "The run was interrupted after iteration 8.",
        ("nan", "nan"): "The cost was no longer a number at iteration 8",
    }
    for (reason, rule), words in reasons.items():
        run = run_json(made, stop={"iteration": 8, "reason": reason, "rule": rule})
        assert any(words in sentence for sentence in verdict_of(run, made, None).sentences)
    assert "0.02 x max(grade, 1)" in rule_sentence(run_json(made), "grade_plateau_best")


def test_the_verdict_and_the_shadow_table_say_the_same():
    from csiq.shadow import shadow_table
    from csiq.stopping import GradePlateau, plateau_rules

    # every second iteration takes twice as long, and the last is not the best: means would not do
    steps = [
        replace(
            s,
            recon_s=s.recon_s + 3.0 * (s.iteration // 2),
            grades=tuple(g - 0.05 * (s.iteration == 11) for g in s.grades),
        )
        for s in history(4, n_iterations=11).steps
    ]
    made = History(steps)
    (row,) = (
        row
        for row in shadow_table(made, plateau_rules(GradePlateau()), how="best")
        if row.rule == "grade_plateau_mean"
    )
    config = load_config(overrides={"stop_on_plateau": True, "shadow": True}).as_dict()
    run = run_json(made, config=config, stop={"iteration": 11, "reason": "max_iter", "rule": "max_iter"})
    run["counterfactual"] = {"grade_plateau_mean": row.iteration}
    lost = row.losses.grade_lost_last
    assert row.iteration is not None
    assert abs(lost) > 0.005
    assert (
        f"The plateau rule would have stopped at iteration {row.iteration}, {duration(row.seconds_saved)} "
        f"earlier, with an image of a mean grade {abs(lost):.2f} {'lower' if lost > 0 else 'higher'} than "
        "that of the last one."
    ) in verdict_of(run, made, None).sentences


def test_only_a_best_phase_inside_the_domain_is_put_into_the_readers_words():
    ranking = rank_numbers([1.0, 3.0], [0.1, 0.1])
    for flags, said in (([False, True], True), ([True, False], False)):
        verdict = verdict_of({"grading": {"in_domain": flags}}, history(2), ranking)
        assert any("readers' scale" in sentence for sentence in verdict.sentences) is said
        assert "Outside the training domain" in verdict.alarms[0]


def headline(*grades: float) -> str:
    ranking = rank_numbers(grades, [0.1] * len(grades))
    return verdict_of({}, history(len(grades)), ranking).headline


def test_a_winner_is_named_only_if_there_is_one():
    # FAULTS D18: no strict order that was not earned
    assert headline(1.0, 2.0) == "Phase 2 (end-inspiration) looks best: grade 2.00 of 4."
    assert headline(1.9, 2.0, 1.0) == "Phases 1 and 2 look best: at most grade 2.00 of 4 (phase 2)."
    assert headline(1.9, 2.0) == "The phases look alike: at most grade 2.00 of 4 (phase 2)."
    assert headline(1.9) == "The image has grade 1.90 of 4."


def test_a_grade_outside_the_scale_is_flagged():
    # FAULTS D12
    for grades in ((4.2, 2.0), (1.0, -0.1)):
        verdict = verdict_of({}, history(2), rank_numbers(grades, [0.1] * 2))
        assert "left that scale of 0 to 4" in verdict.sentences[0]
    assert (
        "left that scale" not in verdict_of({}, history(2), rank_numbers([4.0, 0.0], [0.1] * 2)).sentences[0]
    )


def test_a_failed_run_says_so():
    assert (
        verdict_of({"status": "failed"}, History(), None).headline == "This run is not finished: it failed."
    )
