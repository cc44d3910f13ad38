"""Rules in one line of text: ``slope(window=4, per_iteration=0.02) or time(30m)``.

    expression = term { "or" term }            "and" binds stronger than "or"
    term       = factor { "and" factor }
    factor     = "(" expression ")" | word [ "(" [ value { "," value } ] ")" ]
    value      = [ parameter "=" ] ( number [ "%" | "s" | "m" | "h" ] | word )

Words are those of :mod:`csiq.stopping.registry`; nothing of the text is ever evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from csiq.errors import ConfigError
from csiq.stopping.combine import AllOf, AnyOf
from csiq.stopping.registry import Duration, make_rule
from csiq.stopping.rule import Rule, needs_hindsight

#: What an expression may have at most.
LONGEST, DEEPEST = 1000, 20
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TOKEN = re.compile(
    r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?P<unit>%|[A-Za-z]+)?"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<mark>[(),=])|(?P<wrong>\S)"
)


def parse_rule(text: str) -> Rule:
    """Return the rule of an expression.

    Parameters
    ----------
    text : str

    Raises
    ------
    ConfigError
        If it is none; names the nearest rule or parameter.
    """
    if len(text) > LONGEST:
        raise _wrong(f"longer than {LONGEST} characters")
    reader = _Reader([_token(match) for match in _TOKEN.finditer(text)])
    rule = reader.expression(0)
    if reader.at < len(reader.tokens):
        raise _wrong(f"expected 'and', 'or' or the end, got '{reader.next_text}'")
    return rule


def parse_stopping_rule(text: str) -> Rule:
    """Return the rule of an expression that is to stop a run.

    Raises
    ------
    ConfigError
        If it is none, or needs the whole curve.
    """
    rule = parse_rule(text)
    if needs_hindsight(rule):
        raise _wrong("cost_gap needs the whole curve: it cannot stop a run", "csiq recon --shadow shows it")
    return rule


def _wrong(what: str, hint: str | None = None) -> ConfigError:
    return ConfigError(what, field="--rule", hint=hint)


@dataclass(frozen=True)
class _Token:
    """A piece of the text: its kind, as it stands, and what it means."""

    kind: str
    text: str
    value: Any = None


def _token(match: re.Match[str]) -> _Token:
    text = match[0]
    if match["wrong"]:
        raise _wrong(f"'{text}' has no meaning here")
    if match["number"]:
        return _Token("number", text, _number(match["number"], match["unit"]))
    kind = "word" if match["word"] else text
    return _Token(text if text in ("and", "or") else kind, text)


def _number(digits: str, unit: str | None) -> int | float:
    if unit == "%":
        return float(digits) / 100
    if unit is not None and unit not in _UNITS:
        raise _wrong(f"'{digits}{unit}' has an unknown unit", "known: %, s, m, h")
    if unit is not None:
        return Duration(float(digits) * _UNITS[unit])
    return int(digits) if re.fullmatch(r"[-+]?\d+", digits) else float(digits)


@dataclass
class _Reader:
    """Reads tokens from left to right (recursive descent)."""

    tokens: list[_Token]
    at: int = 0

    @property
    def next_text(self) -> str:
        """Return the token to be read next as it was written, for an error."""
        return self.tokens[self.at].text if self.at < len(self.tokens) else "the end"

    def found(self, kind: str) -> _Token | None:
        """Return the next token and go past it if it is of this kind."""
        if self.at == len(self.tokens) or self.tokens[self.at].kind != kind:
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def need(self, kind: str, what: str) -> _Token:
        """Read a token of this kind; raise a ConfigError that says ``what`` was expected if another comes."""
        token = self.found(kind)
        if token is None:
            raise _wrong(f"expected {what}, got '{self.next_text}'", "for example slope(window=4)")
        return token

    def expression(self, depth: int) -> Rule:
        """Read terms joined by ``or``; ``depth`` counts the parentheses around them."""
        if depth > DEEPEST:
            raise _wrong(f"more than {DEEPEST} parentheses within each other")
        parts = [self.term(depth)]
        while self.found("or"):
            parts.append(self.term(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def term(self, depth: int) -> Rule:
        """Read factors joined by ``and``, which binds closer than ``or``."""
        parts = [self.factor(depth)]
        while self.found("and"):
            parts.append(self.factor(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def factor(self, depth: int) -> Rule:
        """Read a rule with its values, or an expression in parentheses."""
        if self.found("("):
            rule = self.expression(depth + 1)
            self.need(")", "')'")
            return rule
        word = self.need("word", "a rule").text.replace("-", "_")
        return make_rule(word, self.values() if self.found("(") else [])

    def values(self) -> list[tuple[str | None, Any]]:
        """Read what stands between the parentheses of a rule, to the closing one."""
        if self.found(")"):
            return []
        values = [self.value()]
        while self.found(","):
            values.append(self.value())
        self.need(")", "',' or ')'")
        return values

    def value(self) -> tuple[str | None, Any]:
        """Read ``number``, ``word`` or ``name=value``; return the name, None without one, and the value."""
        number = self.found("number")
        if number is not None:
            return None, number.value
        word = self.need("word", "a value").text
        if not self.found("="):
            return None, word
        number = self.found("number")
        return word.replace("-", "_"), number.value if number else self.need("word", "a value").text
