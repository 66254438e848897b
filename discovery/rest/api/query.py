"""The query string of a request, read against a table of the parameters that its route knows. Pure.

A table maps names to a `Parameter` (`parameters` makes them). A name that ends in a dot (`meta.`) stands for all that begin so:
`meta.version=2`. What is not in the table is refused, with the nearest name that is, so that a slip of the keyboard never asks for
everything. Names that begin with `_` pass unread: clients add them to get past caches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from discovery.core.errors import InvalidField
from discovery.rest.api.errors import HttpError

if TYPE_CHECKING:
    from discovery.rest.api.requests import Request

# Parameters of one request: more than any route knows, even with some `meta.KEY`.
MAX_PARAMETERS = 32
# Characters of a name: `meta.KEY` is the longest.
MAX_NAME = 128
# Of a name that nobody knows, so many are repeated in the error.
_MAX_SHOWN = 64
# Of `difflib`: how much alike two names are. Below this nobody meant the other.
_ALIKE = 0.5

Values = dict[str, Any]


class Parameter(NamedTuple):
    """`read(name, text)` gives the value or raises InvalidField. `schema`: what /openapi.json says of it.

    `most`: how often it may come. 1: its value is what `read` gave; more: a tuple of values, in the order sent. `required`: it must come,
    and be more than an empty text unless it `may_be_empty`.
    """

    read: Callable[[str, str], Any]
    schema: Mapping[str, Any]
    most: int = 1
    required: bool = False
    may_be_empty: bool = False


Table = Mapping[str, Parameter]


def parse(query: str, known: Table, lenient: bool = False) -> Values:
    """The values by name; what was not sent is missing. Of a name that ends in a dot: a dict, by what stood behind the dot.

    `query`: what stands behind the `?`, as sent. `lenient`: what is not known is passed over. HttpError 400 PARAMETER_UNKNOWN; InvalidField
    for a value that its parameter does not take, and for a name that came too often.
    """
    found: Values = {}
    for name, text in _pairs(query) if query else ():
        if len(name) > MAX_NAME and not lenient:
            raise InvalidField(f"{name[:_MAX_SHOWN]}…", f"is a name of more than {MAX_NAME} characters")
        if name in known and not name.endswith("."):
            if not text and known[name].required and not known[name].may_be_empty:
                continue  # as good as missing
            _add(found, name, known[name], text)
        elif (prefix := _prefix(name)) in known and len(name) > len(prefix):
            below = found.setdefault(prefix, {})
            if name in below:
                raise InvalidField(name, "is given twice")
            if len(below) == known[prefix].most:
                raise InvalidField(name, f"is one too many: at most {known[prefix].most} {prefix}KEY are taken")
            below[name] = known[prefix].read(name, text)
        elif not (lenient or name.startswith("_")):
            raise _unknown(name, known)
    for name, parameter in known.items():
        if parameter.required and name not in found:
            empty = f"; send {name}= for one that has none" if parameter.may_be_empty else ""
            raise HttpError("PARAMETER_MISSING", f"{name}: the query parameter is required{empty}", field=name)
    return {name: _without(name, value) if name.endswith(".") else value for name, value in found.items()}


def values_of(request: Request) -> Values:
    """What a request's query says, by the table of its route. A missing one is told with an example of the whole."""
    route = request.route
    try:
        return parse(request.query, route.query, route.lenient)
    except HttpError as error:
        needed = {name: each.schema["examples"][0] for name, each in route.query.items() if each.required}
        if needed:
            error.facts = {**error.facts, "example": f"{request.method} {request.path}?{urlencode(needed)}"}
        raise


def period(values: Values, wall: float) -> tuple[float | None, float | None]:
    """`from` and `to`, epoch seconds; None where one was not sent. `wall`: now. InvalidField."""
    since, until = (values[name](wall) if name in values else None for name in ("from", "to"))
    if since is not None and until is not None and since >= until:
        raise InvalidField("to", "must be later than from")
    return since, until


def shown(name: str) -> str:
    """A name of a table as people write it: `meta.KEY`."""
    return f"{name}KEY" if name.endswith(".") else name


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidField("query", "is not UTF-8 behind its percent signs") from None
    except ValueError:
        raise InvalidField("query", f"has more than {MAX_PARAMETERS} parameters") from None


def _add(found: Values, name: str, parameter: Parameter, text: str) -> None:
    value = parameter.read(name, text)
    if parameter.most == 1:
        if name in found:
            raise InvalidField(name, "is given twice")
        found[name] = value
        return
    found[name] = (*found.get(name, ()), value)
    if len(found[name]) > parameter.most:
        raise InvalidField(name, f"is given more than {parameter.most} times")


def _prefix(name: str) -> str:
    return name[: name.find(".") + 1]


def _without(prefix: str, values: Mapping[str, Any]) -> Values:
    return {name.removeprefix(prefix): value for name, value in values.items()}


def _unknown(name: str, known: Table) -> HttpError:
    nearest = _nearest(name, known)
    guess = "" if nearest is None else f" Did you mean {nearest}?"
    names = ", ".join(sorted(map(shown, known)))
    message = f"{name[:_MAX_SHOWN]!r} is no parameter of this route.{guess} It takes {names}"
    suggestion = {} if nearest is None else {"suggestion": nearest}
    return HttpError("PARAMETER_UNKNOWN", message, field=name[:_MAX_SHOWN], **suggestion)


def _nearest(name: str, known: Table) -> str | None:
    """`metadata.version`, `meta[version]` and `meta` are all near `meta.KEY`."""
    stems = {each.removesuffix(".").lower(): shown(each) for each in known}
    stem = re.split(r"[.\[]", name[:_MAX_SHOWN].lower(), maxsplit=1)[0]
    near = get_close_matches(stem, stems, 1, _ALIKE)
    return stems[near[0]] if near else None
