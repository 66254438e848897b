"""Consul's `filter` expressions (go-bexpr), without `matches`: parsed once, bounded in length and depth, then asked of each row. Pure.

    Service.Port == 8080 and ("v1" in Service.Tags or not Service.Meta is empty)

A selector that leads into a list means any of its elements, as in `Checks.Status == "passing"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from discovery.core.errors import DiscoveryError

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

# Of one expression: nobody writes more by hand, and each row of an answer is asked all of it.
MAX_LENGTH, MAX_TERMS, MAX_DEPTH = 2048, 64, 16
# Of text that a service chose, in which another text is sought.
_MAX_TEXT = 4096

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:(?P<sign>==|!=|[().\[\]])|"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)"|`(?P<raw>[^`]*)`|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"""
    r"""|(?P<word>[A-Za-z][A-Za-z0-9_/]*))"""
)
# Fields whose keys are a service's own.
MAPS = frozenset({"Meta", "NodeMeta", "ServiceMeta", "TaggedAddresses", "ServiceTaggedAddresses"})


class BadFilter(DiscoveryError):
    """As Consul says it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Failed to create boolean expression evaluator: {why}")


class _Token(NamedTuple):
    """`kind`: sign, text, number or word. `at`: where it begins."""

    kind: str
    value: str
    at: int


def compile_filter(text: str, sample: Row) -> Test:
    """BadFilter. `sample`: a row that has every field there may be, by which selectors are checked."""
    if len(text) > MAX_LENGTH:
        raise BadFilter(f"it is {len(text)} characters long, at most {MAX_LENGTH} are taken")
    return _Parser(_tokens(text), len(text), sample).all()


def _tokens(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text.rstrip(" \t\r\n"))
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unexpected(at)
        kind = str(match.lastgroup)
        value = match[kind]
        if kind == "text":
            value = re.sub(r"\\(.)", r"\1", value)
        tokens.append(_Token("text" if kind == "raw" else kind, value, match.start(kind)))
        at = match.end()
    return tokens


# What Consul expects where nothing fits: in place of a value, behind one, and behind a selector.
_VALUE = r"""expected: "-", "0", "\"", "`", [ \t\r\n], [1-9] or [a-zA-Z]"""
_BEHIND_VALUE = r"""expected: ".", "[", [ \t\r\n], [a-zA-Z0-9_] or EOF"""
_BEHIND_SELECTOR = r"""expected: "!=", ".", "==", "[", [ \t\r\n] or [a-zA-Z0-9_]"""


def _unexpected(at: int, expected: str = "") -> BadFilter:
    return BadFilter(f"1:{at + 1} ({at}): no match found" + (f", {expected}" if expected else ""))


class _Parser:
    def __init__(self, tokens: list[_Token], length: int, sample: Row) -> None:
        self._tokens = tokens
        self._length = length
        self._sample = sample
        self._selectors: list[list[str]] = []
        self._at = self._terms = self._depth = 0

    def all(self) -> Test:
        test = self._either()
        if self._at < len(self._tokens):
            raise self._wrong()
        for path in self._selectors:
            if not _is_valid(self._sample, path):
                raise BadFilter(f'Selector "{".".join(path)}" is not valid')
        return test

    # -- the grammar: or, and, not, parentheses, one comparison

    def _either(self) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadFilter(f"it is nested more than {MAX_DEPTH} levels deep")
        tests = [self._both()]
        while self._take("word", "or"):
            tests.append(self._both())
        self._depth -= 1
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _both(self) -> Test:
        tests = [self._single()]
        while self._take("word", "and"):
            tests.append(self._single())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _single(self) -> Test:
        negated = False
        while self._take("word", "not"):
            negated = not negated
        if self._take("sign", "("):
            test = self._either()
            self._need("sign", ")")
        else:
            test = self._comparison()
        return (lambda row: not test(row)) if negated else test

    def _comparison(self) -> Test:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadFilter(f"it has more than {MAX_TERMS} comparisons")
        first = self._peek()
        if first is None:
            raise self._wrong()
        if first.kind in ("text", "number") or self._follows("in", "not"):
            value, negated = self._value(), bool(self._take("word", "not"))
            self._need("word", "in")
            return _contains(self._selector(), value, negated)
        path = self._selector()
        if self._take("word", "is"):
            negated = bool(self._take("word", "not"))
            self._need("word", "empty")
            return _is_empty(path, negated)
        for sign in ("==", "!="):
            if self._take("sign", sign):
                return _equals(path, self._value(), negated=sign == "!=")
        if self._take("word", "matches") or (self._follows("matches") and self._take("word", "not")):
            raise BadFilter("matches is not taken here, since a pattern may run long; compare with ==, or use contains")
        negated = bool(self._take("word", "not"))
        self._need("word", "contains", _BEHIND_SELECTOR)
        return _contains(path, self._value(), negated)

    def _selector(self) -> tuple[str, ...]:
        path = [self._need("word").value]
        while True:
            if self._take("sign", "."):
                path.append(self._need("word").value)
            elif self._take("sign", "["):
                path.append(self._need("text").value)
                self._need("sign", "]")
            else:
                break
        self._selectors.append(path)
        return tuple(path)

    def _value(self) -> str:
        token = self._peek()
        if token is None or token.kind == "sign":
            raise self._wrong(_VALUE)
        self._at += 1
        following = self._peek()
        if token.kind == "word" and following is not None and following.kind == "number" and following.value[0] == "-":
            raise _unexpected(following.at, _BEHIND_VALUE)  # a word without quotation marks ends at a hyphen
        return token.value

    # -- tokens

    def _peek(self, ahead: int = 0) -> _Token | None:
        return self._tokens[self._at + ahead] if self._at + ahead < len(self._tokens) else None

    def _follows(self, *words: str) -> bool:
        token = self._peek(1)
        return token is not None and token.kind == "word" and token.value in words and self._is_value()

    def _is_value(self) -> bool:
        """Whether the word at hand stands in front of `in` or `not in`, and not of `not contains` or `not matches`."""
        second, third = self._peek(1), self._peek(2)
        if second is not None and second.value == "not":
            return third is not None and third.value == "in"
        return True

    def _take(self, kind: str, value: str | None = None) -> _Token | None:
        token = self._peek()
        if token is None or token.kind != kind or value not in (None, token.value):
            return None
        self._at += 1
        return token

    def _need(self, kind: str, value: str | None = None, expected: str = "") -> _Token:
        token = self._take(kind, value)
        if token is None:
            raise self._wrong(expected)
        return token

    def _wrong(self, expected: str = "") -> BadFilter:
        token = self._peek()
        return _unexpected(self._length if token is None else token.at, expected)


def _is_valid(sample: Any, path: list[str]) -> bool:
    """Whether a row may have it."""
    for place, name in enumerate(path):
        if isinstance(sample, list):
            sample = sample[0] if sample and isinstance(sample[0], dict) else None
        if not isinstance(sample, dict) or name not in sample:
            return False
        if name in MAPS:
            return place + 3 > len(path) or "Addresses" in name
        sample = sample[name]
    return True


def _found(row: Any, path: tuple[str, ...]) -> list[Any]:
    """What the selector leads to: one value, or of a list of rows one for each; none where a key is missing."""
    values = [row]
    for name in path:
        rows = [each for value in values for each in (value if isinstance(value, list) else [value])]
        values = [each[name] for each in rows if isinstance(each, dict) and name in each]
    return values


def _text(value: Any) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _equals(path: tuple[str, ...], wanted: str, negated: bool) -> Test:
    def test(row: Row) -> bool:
        values = _found(row, path)
        if negated:
            return not values or any(_text(value) != wanted for value in values)
        return any(_text(value) == wanted for value in values)

    return test


def _contains(path: tuple[str, ...], wanted: str, negated: bool) -> Test:
    def test(row: Row) -> bool:
        for value in _found(row, path):
            if isinstance(value, str):
                if wanted in value[:_MAX_TEXT]:
                    return True
            elif isinstance(value, list | dict) and wanted in value:
                return True
        return False

    return lambda row: test(row) != negated


def _is_empty(path: tuple[str, ...], negated: bool) -> Test:
    return lambda row: (not any(_found(row, path))) != negated
