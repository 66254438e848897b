"""The kinds of query parameters: each function makes a `Parameter` that reads one kind of value, with its schema. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from discovery.core.address import PORT, folded, parse_address, parse_port_or_none
from discovery.core.errors import InvalidField
from discovery.core.moment import SPAN, NoMoment, span
from discovery.core.moment import parse as parse_moment
from discovery.core.name import LABEL, NAME, fold, label, plain_text, service_name
from discovery.core.options import MAX_TAG
from discovery.core.schema import described
from discovery.rest.api.query import Parameter, Table
from discovery.rest.api.shapes import ADDRESS

# Of a list in one parameter, `a,b,c`.
MAX_LISTED = 64
# Epoch seconds: so late that no "so long ago" lies before 1970.
_LATE = 253e9


def whole(least: int, most: int, description: str = "") -> Parameter:
    """A whole number in decimal digits."""
    digits = len(str(most))

    def read(name: str, text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= digits and least <= int(text) <= most):
            raise InvalidField(name, f"must be a whole number from {least} to {most}")
        return int(text)

    schema = {"type": "integer", "minimum": least, "maximum": most, "examples": [min(most, max(least, 10))]}
    return Parameter(read, described(schema, description))


def cursor(digits: tuple[int, int], example: str) -> Parameter:
    """The `next` of the page before: two numbers of at most so many digits, whose meaning is the giver's own. A tuple."""
    pattern = re.compile(rf"([0-9]{{1,{digits[0]}}})\.([0-9]{{1,{digits[1]}}})")

    def read(name: str, text: str) -> tuple[int, int]:
        match = pattern.fullmatch(text)
        if match is None:
            raise InvalidField(name, "must be the next of the page before")
        return int(match[1]), int(match[2])

    schema = {"type": "string", "pattern": f"^{pattern.pattern}$", "examples": [example]}
    return Parameter(read, described(schema, "the next of the page before"))


def flag(description: str = "") -> Parameter:
    """`1` and `true`, `0` and `false`."""

    def read(name: str, text: str) -> bool:
        if text not in _FLAGS:
            raise InvalidField(name, "must be 1 or 0")
        return _FLAGS[text]

    return Parameter(read, described({"enum": list(_FLAGS), "examples": ["1"]}, description))


_FLAGS = {"1": True, "0": False, "true": True, "false": False}


def one_of(words: Iterable[str], description: str = "") -> Parameter:
    """One of these words."""
    words = tuple(words)
    schema = {"enum": list(words), "examples": [words[-1]]}
    return Parameter(lambda name, text: _word(name, text, words), described(schema, description))


def some_of(words: Iterable[str], description: str = "") -> Parameter:
    """One or several of these words, with commas between them: a frozenset."""
    words = tuple(words)

    def read(name: str, text: str) -> frozenset[str]:
        return frozenset(_word(name, word, words) for word in _listed(name, text))

    pattern = f"^({'|'.join(words)})(,({'|'.join(words)}))*$"
    return Parameter(read, described({"type": "string", "pattern": pattern, "examples": [words[0]]}, description))


def name(description: str = "", most: int = 1, example: str = "user-service") -> Parameter:
    """A service's name, folded."""
    schema = described({**NAME, "examples": [example]}, description)
    return Parameter(lambda name, text: fold(service_name(text, name)), schema, most)


def locality(description: str = "") -> Parameter:
    """A label, folded."""
    schema = described({**LABEL, "examples": ["eu-1"]}, description)
    return Parameter(lambda name, text: fold(label(text, name)), schema)


def tag(description: str = "", most: int = 1) -> Parameter:
    """Any text, folded."""
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_TAG, "examples": ["blue"]}
    return Parameter(lambda name, text: fold(plain_text(text, name, MAX_TAG)), described(schema, description), most)


def names(description: str = "") -> Parameter:
    """Services' names with commas between them, folded: a frozenset."""

    def read(name: str, text: str) -> frozenset[str]:
        return frozenset(fold(service_name(each, name)) for each in _listed(name, text))

    return Parameter(read, described({"type": "string", "examples": ["user-service,billing"]}, description))


def port(description: str = "") -> Parameter:
    """1 to 65535; empty: no port."""
    schema = {"anyOf": [PORT, {"const": ""}], "examples": [3001]}
    return Parameter(
        lambda name, text: parse_port_or_none(text, name), described(schema, description), may_be_empty=True
    )


def ip(description: str = "") -> Parameter:
    """An IP address or a host name, in the spelling by which they are compared."""
    return Parameter(lambda name, text: folded(parse_address(text)), described(ADDRESS, description))


def text(most_characters: int, description: str = "", most: int = 1, example: str = "some-text") -> Parameter:
    """Anything of at most so many characters."""

    def read(name: str, text: str) -> str:
        if len(text) > most_characters:
            raise InvalidField(name, f"is {len(text)} characters long, at most {most_characters} are taken")
        return text

    schema = {"type": "string", "maxLength": most_characters, "examples": [example]}
    return Parameter(read, described(schema, description), most)


def duration(most: float, description: str = "") -> Parameter:
    """Seconds, from `30`, `30s`, `500ms`, `2m` or `1h30m`. More than `most` is `most`."""

    def read(name: str, text: str) -> float:
        try:
            return min(most, span(text))
        except ValueError:
            raise InvalidField(name, "must be a duration such as 30s, 500ms, 2m or 2h") from None

    schema = {"type": "string", "pattern": f"^({SPAN.pattern})$", "examples": ["30s"]}
    return Parameter(read, described(schema, description))


def required(parameter: Parameter) -> Parameter:
    return parameter._replace(required=True)


def moment(description: str = "") -> Parameter:
    """A time as `core.moment` reads it. The value is a function: from now, in epoch seconds, to that time in epoch seconds."""

    def read(name: str, text: str) -> Callable[[float], float]:
        def at(wall: float) -> float:
            try:
                return parse_moment(text, wall)
            except NoMoment as error:
                raise InvalidField(name, str(error)) from None

        at(_LATE)  # what is no time is told at once
        return at

    return Parameter(read, described({"type": "string", "examples": ["2026-01-31T12:00:00Z"]}, description))


def _word(name: str, word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise InvalidField(name, f"must be one of {', '.join(words)}")
    return word


def _listed(name: str, text: str) -> list[str]:
    listed = text.split(",", MAX_LISTED)
    if len(listed) > MAX_LISTED:
        raise InvalidField(name, f"has more than {MAX_LISTED} entries")
    return listed


# Which instance of a service a path with its name means.
AT: Table = {"ip": required(ip()), "port": required(port())}
