"""The words by which an expression calls rules, built in or added by other packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, signature
from typing import Any

from csiq.errors import ConfigError, nearest
from csiq.stopping.best_so_far import BestSoFar
from csiq.stopping.cost import CostGap, CostPlateau
from csiq.stopping.limits import MaxIter, TimeLimit
from csiq.stopping.plateau import GradePlateau, ScalePlateau, SmoothedPlateau
from csiq.stopping.rule import REASONS, Rule
from csiq.stopping.trend import GradeSlope, ResolvedPlateau

#: Makes a rule of the parameters that an expression gives: a class or a function.
RuleMaker = Callable[..., Rule]

_MAKERS: dict[str, RuleMaker] = {
    "plateau": GradePlateau,
    "scale": ScalePlateau,
    "slope": GradeSlope,
    "smoothed": SmoothedPlateau,
    "resolved": ResolvedPlateau,
    "best": BestSoFar,
    "cost": CostPlateau,
    "cost_gap": CostGap,
    "iterations": MaxIter,
    "time": TimeLimit,
}
BUILT_IN = tuple(_MAKERS)
#: Words of the grammar, and parameters that a run fills in itself.
_RESERVED = ("and", "or")
_OWN_PARAMETERS = ("before_s", "final")


def register(word: str, make: RuleMaker, *, replace: bool = False) -> None:
    """Let expressions call a rule by a word.

    Parameters
    ----------
    word : str
        A Python identifier; ``-`` in an expression is ``_`` here.
    make : callable
        A class or function of named parameters that returns a :class:`csiq.stopping.Rule`. Parameters called
        ``seconds``, or that end with ``_s``, may be given as durations (``30m``).
    replace : bool
        Whether another rule of that name gives way; a built-in one never does.

    Raises
    ------
    ConfigError
        If the word cannot be used or is taken, or ``make`` tells no parameters.
    """
    if not word.isidentifier() or word in _RESERVED:
        raise ConfigError(f"'{word}' cannot name a rule", field="rule", hint="letters, digits and _")
    if not _has_parameters(make):
        raise ConfigError(f"'{word}' is made by nothing that can be called", field="rule")
    taken = _MAKERS.get(word)
    if taken is not None and taken is not make and (word in BUILT_IN or not replace):
        raise ConfigError(f"there is a rule '{word}' already", field="rule", hint="choose another name")
    _MAKERS[word] = make


def _has_parameters(make: Any) -> bool:
    try:
        signature(make)
    except (TypeError, ValueError):
        return False
    return True


def unregister(word: str) -> None:
    """Forget a rule that was registered; those built in stay."""
    if word not in BUILT_IN:
        _MAKERS.pop(word, None)


def rule_words() -> list[str]:
    """Return the words that expressions may use, those of installed packages among them."""
    from csiq.plugins.entries import plugins_of

    return sorted({*_MAKERS, *(plugin.name.replace("-", "_") for plugin in plugins_of("rule"))})


def maker_of(word: str) -> RuleMaker:
    """Return what makes the rule of a word.

    Raises
    ------
    ConfigError
        If there is none; names the nearest.
    """
    word = word.replace("-", "_")
    if word not in _MAKERS:
        from csiq.plugins import rule_maker

        made_elsewhere = rule_maker(word)
        if made_elsewhere is not None:
            register(word, made_elsewhere)
    if word not in _MAKERS:
        raise ConfigError(f"no rule '{word}'", field="--rule", hint=nearest(word, rule_words()))
    return _MAKERS[word]


def parameters_of(word: str) -> dict[str, Parameter]:
    """Return the parameters that an expression may give to a rule, in their order."""
    found = signature(maker_of(word)).parameters.values()
    kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {p.name: p for p in found if p.kind in kinds and p.name not in _OWN_PARAMETERS}


def make_rule(word: str, given: Iterable[tuple[str | None, Any]]) -> Rule:
    """Return the rule of a word with parameters, those without a name in their order.

    Parameters
    ----------
    word : str
    given : iterable of (name or None, value)

    Raises
    ------
    ConfigError
        If a parameter is unknown, given twice, missing or of the wrong kind; names the nearest.
    """
    known, named = parameters_of(word), {}
    for place, (name, value) in enumerate(given):
        if name is None and place >= len(known):
            raise ConfigError(f"{word} takes {len(known)} parameters at most", field="--rule")
        name = list(known)[place] if name is None else name
        if name not in known:
            raise ConfigError(f"{word} has no parameter '{name}'", field="--rule", hint=nearest(name, known))
        if name in named:
            raise ConfigError(f"{word} is given '{name}' twice", field="--rule")
        named[name] = _fitting(word, known[name], value)
    for name, parameter in known.items():
        if parameter.default is Parameter.empty and name not in named:
            raise ConfigError(f"{word} needs '{name}'", field="--rule", hint=f"{word}({name}=...)")
    try:
        return _checked(word, maker_of(word)(**named))
    except ConfigError as error:
        where = f"{word}({error.field}=...): " if error.field in known else ""
        raise ConfigError(where + error.what, field="--rule", hint=error.hint) from None


class Duration(float):
    """Seconds that were written with a unit."""


def is_duration(name: str) -> bool:
    """Return whether a parameter takes durations."""
    return name == "seconds" or name.endswith("_s")


def _fitting(word: str, parameter: Parameter, value: Any) -> Any:
    """Return a value as the rule takes it."""
    where = f"{word}({parameter.name}=...)"
    if isinstance(value, Duration):
        if not is_duration(parameter.name):
            raise ConfigError(f"{where} takes no duration", field="--rule")
        return float(value)
    wants_text = isinstance(parameter.default, str)
    if wants_text != isinstance(value, str) and parameter.default is not Parameter.empty:
        raise ConfigError(
            f"{where} takes a {'word' if wants_text else 'number'}, got {value}", field="--rule"
        )
    return value


def _checked(word: str, rule: Any) -> Rule:
    if not isinstance(rule, Rule):
        raise ConfigError(f"'{word}' made no rule but {type(rule).__name__}", field="--rule")
    if rule.reason not in REASONS:
        hint = nearest(str(rule.reason), REASONS)
        raise ConfigError(f"'{word}' has no known reason: {rule.reason}", field="--rule", hint=hint)
    return rule
