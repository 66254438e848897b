"""The examples of requests, replies and errors, as /openapi.json has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from discovery.rest.api.examples import EXAMPLES
from discovery.rest.api.examples.errors import ERRORS
from discovery.rest.api.examples.example import Example
from discovery.rest.api.openapi_routes import Document


def area_of(method: str, path: str) -> str:
    """Under which heading the route stands."""
    return EXAMPLES[method, path][0]


def of_request(method: str, path: str) -> Document:
    return {name: _shown(each, each.body) for name, each in _named(method, path) if each.body is not None}


def of_response(method: str, path: str, status: int) -> Document:
    return {name: _shown(each, each.reply) for name, each in _named(method, path) if each.status == status}


def of_errors(codes: Iterable[str]) -> Document:
    return {code: {"$ref": f"#/components/examples/{code}"} for code in sorted(codes)}


def errors() -> Document:
    """For the components, since many routes end in the same."""
    return {code: {"summary": code, "value": body} for code, body in sorted(ERRORS.items())}


def _named(method: str, path: str) -> Iterator[tuple[str, Example]]:
    for each in EXAMPLES[method, path][1]:
        yield re.sub(r"\W+", "-", each.title.lower()) or "usual", each


def _shown(example: Example, value: object) -> Document:
    told = [f"Asked with ?{urlencode(example.query)}."] if example.query else []
    told += [f"After {line}." for line in example.after]
    told += ["An excerpt: there is more in it."] if example.excerpt else []
    shown: Document = {"value": value}
    if example.title:
        shown["summary"] = example.title
    return shown | ({"description": " ".join(told)} if told else {})
