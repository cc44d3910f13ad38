"""What a run found, in words: the lines at the end of ``csiq recon`` and the head of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csiq.history import THRESHOLD, History, mean
from csiq.quality.origin import graded_by
from csiq.ranking import Ranking, words_of
from csiq.stopping import CostPlateau, GradePlateau, MaxIter, Return, returned_iterations

RESEARCH_USE = "Research use only."


@dataclass(frozen=True)
class Verdict:
    """The findings of a run.

    Attributes
    ----------
    headline : str
        Which phase looks best.
    sentences : tuple of str
        Ties, stop, return, time saved.
    alarms : tuple of str
        What must not be overlooked: grades outside the training domain, a rescan that is advised.
    """

    headline: str
    sentences: tuple[str, ...]
    alarms: tuple[str, ...]


def verdict_of(run: Mapping[str, Any], history: History, ranking: Ranking | None) -> Verdict:
    """Put a run into words.

    Parameters
    ----------
    run : mapping
        Content of ``run.json``.
    history : History
    ranking : Ranking, optional
        None if there was no model.
    """
    sentences = [
        _in_words(ranking, out_of_domain(run)),
        *_ties(ranking),
        _stopped(run),
        *_returned(run, history),
        *_saved(run, history),
    ]
    return Verdict(
        _headline(run, history, ranking), tuple(filter(None, sentences)), tuple(_alarms(run, ranking))
    )


def research_use(run: Mapping[str, Any], history: History) -> str:
    """Return what the result may be used for, and where the grades come from if there are any."""
    return f"{RESEARCH_USE} {graded_by(run.get('model'))}" if history.is_graded else RESEARCH_USE


def join(numbers: Sequence[object], last: str = "and") -> str:
    """Return ``1, 2 and 3``."""
    words = [str(n) for n in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def phase_name(run: Mapping[str, Any], phase: int, n_phases: int) -> str:
    """Return ``phase 1 (end-expiration)``; the state is left out where the signal has no such orientation."""
    oriented = (run.get("gating") or {}).get("orientation") in (None, "end-expiration-up")
    state = {1: "end-expiration", n_phases: "end-inspiration"}.get(phase) if oriented else None
    return f"phase {phase} ({state})" if state and n_phases > 1 else f"phase {phase}"


def _headline(run: Mapping[str, Any], history: History, ranking: Ranking | None) -> str:
    if ranking is None or ranking.best_phase is None:
        status = run.get("status")
        if status in ("running", "failed"):
            return f"This run is {'still going' if status == 'running' else 'not finished: it failed'}."
        return (
            "The images were not graded." if not history.is_graded else "There is no ranking of the phases."
        )
    best = ranking.phases[ranking.best_phase - 1]
    if len(ranking.phases) == 1:
        return f"The image has grade {best.grade:.2f} of 4."
    if len(ranking.top_set) == 1:
        who = phase_name(run, best.phase, len(ranking.phases))
        return f"{who[:1].upper()}{who[1:]} looks best: grade {best.grade:.2f} of 4."
    alike = len(ranking.top_set) == len(ranking.phases)
    look = "The phases look alike" if alike else f"Phases {join(ranking.top_set)} look best"
    return f"{look}: at most grade {best.grade:.2f} of 4 (phase {best.phase})."


def _in_words(ranking: Ranking | None, outside: Sequence[int]) -> str:
    # the readers' words are for images such as the readers saw; the alarm says why they are missing
    if ranking is None or ranking.best_phase is None or ranking.best_phase in outside:
        return ""
    grade = ranking.phases[ranking.best_phase - 1].grade
    sentence = f"On the readers' scale of Piccini et al. 2020 that is {words_of(grade)}."
    inside = all(0 <= p.grade <= 4 for p in ranking.phases if p.grade is not None)
    return (
        sentence if inside else f"{sentence} The network left that scale of 0 to 4; its grades are shown raw."
    )


def _ties(ranking: Ranking | None) -> list[str]:
    if ranking is None or ranking.best_phase is None or len(ranking.phases) == 1:
        return []
    tied = [p for p in ranking.top_set if p != ranking.best_phase]
    worse = [p.phase for p in ranking.by_rank if p.grade is not None and not p.indistinguishable_from_best]
    said = []
    if tied:
        some = len(tied) == 1
        said.append(
            f"Phase{'' if some else 's'} {join(tied)} cannot be told apart from phase {ranking.best_phase}: "
            f"the difference is less than {THRESHOLD} of a grade."
        )
    if worse:
        deltas = [f"{ranking.phases[p - 1].delta_to_best:.2f}".replace("-", "−") for p in worse]
        said.append(
            f"Phase{'' if len(worse) == 1 else 's'} {join(worse)} look{'s' if len(worse) == 1 else ''} worse "
            f"({join(deltas)})."
        )
    return said


def _stop_config(run: Mapping[str, Any]) -> Mapping[str, Any]:
    return (run.get("config") or {}).get("stop") or {}


def rule_sentence(run: Mapping[str, Any], name: str | None) -> str:
    """Return a stopping rule of this run in words, by its name in ``run.json``."""
    written = (run.get("rules") or {}).get(name)
    if written:
        return str(written)
    stop = _stop_config(run)
    solver = (run.get("config") or {}).get("solver") or {}
    patience, min_iter = stop.get("patience", 2), stop.get("min_iter", 3)
    if name and name.startswith("grade_plateau_"):
        scope = name.removeprefix("grade_plateau_")
        tol, floor = stop.get("plateau_tol", 0.02), stop.get("plateau_floor", 1.0)
        return GradePlateau(tol, floor, patience, min_iter, scope).sentence()  # type: ignore[arg-type]
    if name == "solver_converged":
        return "the solver could not lower the cost any further"
    if name == "cost_plateau":
        return CostPlateau(patience=patience, min_iter=min_iter).sentence()
    if name == "time_limit":
        return f"the time limit of {solver.get('time_limit')} was reached"
    return MaxIter(solver.get("max_iter", 20)).sentence()


def _stopped(run: Mapping[str, Any]) -> str:
    stop = run.get("stop") or {}
    k, reason = stop.get("iteration"), stop.get("reason")
    if k is None:
        return ""
    if reason == "interrupted":
        return f"The run was interrupted after iteration {k}."
    if reason == "nan":
        return f"The cost was no longer a number at iteration {k}; the iterate before it was kept."
    sentence = rule_sentence(run, stop.get("rule"))
    if reason == "max_iter":
        return f"{sentence[:1].upper()}{sentence[1:]}."
    return f"It stopped at iteration {k}: {sentence}."


def _returned(run: Mapping[str, Any], history: History) -> list[str]:
    returned = run.get("returned_iteration")
    if isinstance(returned, list):
        return [f"Each phase is from its own best iteration ({join(returned)}); they are not ranked."]
    if returned is None or not len(history):
        return []
    last = history.last
    if returned == last.iteration or returned >= len(history):
        return []
    chosen = history.steps[returned]
    if not returned:
        return ["No iterate was sound: the gridded image (iteration 0) was returned."]
    if math.isfinite(chosen.mean_grade) and math.isfinite(last.mean_grade):
        return [
            f"Iteration {returned} was returned: its mean grade is {chosen.mean_grade:.2f}, "
            f"that of the last iteration {last.mean_grade:.2f}."
        ]
    return [f"Iteration {returned} was returned."]


def seconds_per_iteration(history: History) -> float:
    """Return the mean seconds of one iteration and its grading; nan before the first is done."""
    if len(history) < 2:
        return math.nan
    first, last = history.steps[0], history.last
    return (last.recon_s + last.grading_s - first.recon_s - first.grading_s) / (len(history) - 1)


def _saved(run: Mapping[str, Any], history: History) -> list[str]:
    stop = run.get("stop") or {}
    at_most = ((run.get("config") or {}).get("solver") or {}).get("max_iter")
    each = seconds_per_iteration(history)
    if stop.get("reason") == "plateau" and at_most and math.isfinite(each):
        left = at_most - stop["iteration"]
        return (
            [f"{left} of at most {at_most} iterations were left out: about {duration(left * each)} saved."]
            if left
            else []
        )
    if _stop_config(run).get("shadow"):
        return [_shadow(run, history)]
    return []


def _shadow(run: Mapping[str, Any], history: History) -> str:
    """Return what the plateau rule would have saved and lost, as :mod:`csiq.shadow` counts it."""
    stop = _stop_config(run)
    name = f"grade_plateau_{stop.get('scope', 'mean')}"
    k = (run.get("counterfactual") or {}).get(name)
    if k is None or k >= len(history):
        return "The plateau rule would not have stopped this run."
    at, last = history.steps[k], history.last
    how: Return = stop.get("return", "best")
    picks = returned_iterations(history.upto(k), how)
    lost = last.mean_grade - mean([history.steps[pick].grades[p] for p, pick in enumerate(picks)])
    saved = last.recon_s + last.grading_s - at.recon_s - at.grading_s
    return (
        f"The plateau rule would have stopped at iteration {k}, {duration(saved)} earlier, "
        f"with an image of {_beside_last(lost)}."
    )


def _beside_last(lost: float) -> str:
    if abs(lost) < 0.005:
        return "the mean grade of the last one"
    return f"a mean grade {abs(lost):.2f} {'lower' if lost > 0 else 'higher'} than that of the last one"


def duration(seconds: float) -> str:
    """Return ``42 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    if not math.isfinite(seconds):
        return "an unknown time"
    whole = round(seconds)
    if whole < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _alarms(run: Mapping[str, Any], ranking: Ranking | None) -> list[str]:
    alarms = []
    outside = out_of_domain(run)
    if outside:
        every = len(outside) == len((run.get("grading") or {}).get("in_domain") or [])
        who = "every phase" if every and len(outside) > 1 else f"phase {join(outside)}"
        alarms.append(
            f"Outside the training domain ({who}): the network has not seen such images, "
            "and its grades may mean little here."
        )
    return [*alarms, *_rescan(run, ranking)]


def _rescan(run: Mapping[str, Any], ranking: Ranking | None) -> list[str]:
    """Return what is to be said of a rescan, by ``rescan`` of ``run.json``; by the ranking in older runs."""
    known = run.get("rescan") or {}
    least = known.get("min_grade", _stop_config(run).get("min_grade"))
    best = known.get("grade")
    if not known and ranking is not None and ranking.best_phase is not None:
        best = ranking.phases[ranking.best_phase - 1].grade
    if least is None:
        return []
    if best is None:
        return ["Whether a rescan is due is not known: no phase has a grade."] if known else []
    if best >= least:
        return []
    chance = known.get("probability") if known.get("uncertainty_from") == "calibration" else None
    sure = (
        f" The reference grade is below it, too, with a probability of {100 * chance:.0f} %."
        if chance
        else ""
    )
    return [f"Rescan advised: the best grade, {best:.2f}, is below the {least:g} asked for.{sure}"]


def out_of_domain(run: Mapping[str, Any]) -> list[int]:
    """Return the phases whose grade is declared outside the training domain."""
    flags = (run.get("grading") or {}).get("in_domain") or []
    return [phase for phase, inside in enumerate(flags, start=1) if inside is False]
