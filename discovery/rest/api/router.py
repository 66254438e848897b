"""Which route a request is for: its method and path, asked once, when its head is whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import NOWHERE, OURS, PLACE, Kind, Right, Route

_SAFE = ("GET", "HEAD")
_ONE_NAME = re.compile(r"([^{}]*)/\{(\w+)\}")


class _Path(NamedTuple):
    """One path, with its routes by method; `others`: what stands in for the methods that it does not take, safe and not."""

    pattern: re.Pattern[str]
    methods: dict[str, Route]
    others: tuple[Route, Route]


class Router:
    """Exact paths, and those that end in one name, are found in a dict. HEAD goes wherever GET does."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
            if route.method == "GET":
                by_path[route.path]["HEAD"] = route
        self._paths = [_path(path, methods) for path, methods in by_path.items()]
        found = [(method, path, route) for path, routes_ in by_path.items() for method, route in routes_.items()]
        self._exact = {(method, path): route for method, path, route in found if "{" not in path}
        self._with_one_name = {
            (method, match[1]): (route, match[2])
            for method, path, route in found
            if (match := _ONE_NAME.fullmatch(path)) is not None
        }
        manners = sorted({route.manners for _, _, route in found} | {OURS}, key=lambda each: -len(each.prefix))
        self._nowhere = [
            (
                f"{each.prefix}/" if each.prefix else "",
                replace(NOWHERE, manners=each),
                replace(NOWHERE, right=Right.WRITE, manners=each),
            )
            for each in manners
        ]
        self.methods = sorted({method for method, _, _ in found} | {"OPTIONS"})

    def find(self, request: Request) -> None:
        """Sets the request's `route`, and the `names` that stand in its path."""
        method, path = request.method, request.path
        route = self._exact.get((method, path))
        if route is not None:
            request.route = route
            return
        head, _, name = path.rpartition("/")
        found = self._with_one_name.get((method, head))
        if found is not None and name and "%" not in name:
            request.route, request.names = found[0], {found[1]: name}
            return
        if "://" in path and not path.startswith("/"):  # RFC 9112 §3.2.2: http://HOST/PATH
            path = "/" + path.partition("://")[2].partition("/")[2]
        if not self._search(request, path, unquote) and not self._search(request, unquote(path), str):
            read, write = next(routes for prefix, *routes in self._nowhere if f"{path}/".startswith(prefix))
            request.route = read if method in _SAFE else write

    def _search(self, request: Request, path: str, decode: Callable[[str], str]) -> bool:
        for pattern, methods, others in self._paths:
            match = pattern.fullmatch(path)
            if match is not None:
                request.route = methods.get(request.method) or others[request.method not in _SAFE]
                request.names = {name: decode(text) for name, text in match.groupdict().items()}
                return True
        return False


def _path(path: str, methods: dict[str, Route]) -> _Path:
    allowed = ", ".join(sorted(methods))

    def refuse(request: Request) -> Answer:
        text = f"{request.path} does not take {request.method}; it takes {allowed}"
        error = HttpError(405, "METHOD_NOT_ALLOWED", text)
        error.headers = {"Allow": allowed}  # RFC 9110 §15.5.6
        raise error

    some = next(iter(methods.values()))
    other = replace(some, method="", handler=refuse, right=Right.READ, kind=Kind.OPERATION)
    return _Path(re.compile(_pattern(path)), methods, (other, replace(other, right=Right.WRITE)))


def _pattern(path: str) -> str:
    pattern, end = "", 0
    for place in PLACE.finditer(path):
        pattern += f"{re.escape(path[end : place.start()])}(?P<{place[1]}>{place[2] or '[^/]+'})"
        end = place.end()
    return pattern + re.escape(path[end:])
