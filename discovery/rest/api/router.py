"""Which route a request is for: its method and path, asked once, when its head is whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import NOWHERE, OURS, PLACE, Kind, Right, Route

_SAFE = ("GET", "HEAD")
_NO_NAMES: Mapping[str, str] = {}
# Paths with names in them that are remembered, and the characters of each: 1 KB. When there are too many all are forgotten: the next
# requests bring back what is used.
MAX_KNOWN = 4096
_MAX_KNOWN_PATH = 128


class _Path(NamedTuple):
    """One path, with its routes by method; `others`: what stands in for the methods that it does not take, safe and not."""

    pattern: re.Pattern[str]
    methods: dict[str, Route]
    others: tuple[Route, Route]

    @property
    def is_operators(self) -> bool:
        return all(route.right is Right.ADMIN for route in self.methods.values())


class Router:
    """What was found is remembered. HEAD goes wherever GET does."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
            if route.method == "GET":
                by_path[route.path]["HEAD"] = route
        self._paths: dict[str, list[_Path]] = {}  # by what stands before the second slash
        for path, methods in by_path.items():
            self._paths.setdefault(_first(path), []).append(_path(path, methods))
        found = [(method, path, route) for path, routes_ in by_path.items() for method, route in routes_.items()]
        self._exact = {(method, path): (route, _NO_NAMES) for method, path, route in found if "{" not in path}
        self._known = dict(self._exact)
        manners = sorted({route.manners for _, _, route in found} | {OURS}, key=lambda each: -len(each.prefix))
        self._nowhere = [
            (
                f"{each.prefix}/" if each.prefix else "",
                {right: replace(NOWHERE, right=right, manners=each) for right in Right},
            )
            for each in manners
        ]
        self._operators = {first for first, paths in self._paths.items() if all(each.is_operators for each in paths)}
        self.methods = sorted({method for method, _, _ in found} | {"OPTIONS"})

    def find(self, request: Request) -> None:
        """Sets the request's `route`, and the `names` that stand in its path."""
        known = self._known.get((request.method, request.path))
        if known is not None:
            request.route, request.names = known
            return
        self._search_all(request, request.method, request.path)
        if len(request.path) <= _MAX_KNOWN_PATH and request.route.method:
            if len(self._known) >= len(self._exact) + MAX_KNOWN:
                self._known = dict(self._exact)
            self._known[request.method, request.path] = request.route, request.names

    def _search_all(self, request: Request, method: str, path: str) -> None:
        if "://" in path and not path.startswith("/"):  # RFC 9112 §3.2.2: http://HOST/PATH
            path = "/" + path.partition("://")[2].partition("/")[2]
        if not self._search(request, path, unquote) and not self._search(request, unquote(path), str):
            by_right = next(routes for prefix, routes in self._nowhere if f"{path}/".startswith(prefix))
            is_operators = _first(unquote(path)) in self._operators
            request.route = by_right[Right.ADMIN if is_operators else Right.READ if method in _SAFE else Right.WRITE]

    def _search(self, request: Request, path: str, decode: Callable[[str], str]) -> bool:
        for pattern, methods, others in self._paths.get(_first(path), ()):
            match = pattern.fullmatch(path)
            if match is not None:
                request.route = methods.get(request.method) or others[request.method not in _SAFE]
                names = match.groupdict()
                request.names = {name: decode(text) for name, text in names.items()} if "%" in path else names
                return True
        return False


def _first(path: str) -> str:
    return path[1:].partition("/")[0]


def _path(path: str, methods: dict[str, Route]) -> _Path:
    allowed = ", ".join(sorted(methods))

    def refuse(request: Request) -> Answer:
        text = f"{request.path} does not take {request.method}; it takes {allowed}"
        error = HttpError("METHOD_NOT_ALLOWED", text)
        error.headers = {"Allow": allowed}  # RFC 9110 §15.5.6
        raise error

    some = next(iter(methods.values()))
    read, write = Right.READ, Right.WRITE
    # Where the rights of its methods differ, another method takes more rights rather than less.
    if {route.right for route in methods.values()} in ({Right.NONE}, {Right.ADMIN}):
        read = write = some.right
    other = replace(some, method="", handler=refuse, right=read, kind=Kind.OPERATION, kept=None)
    slash = "/?" if some.manners.slash else ""
    return _Path(re.compile(_pattern(path) + slash), methods, (other, replace(other, right=write)))


def _pattern(path: str) -> str:
    pattern, end = "", 0
    for place in PLACE.finditer(path):
        pattern += f"{re.escape(path[end : place.start()])}(?P<{place[1]}>{place[2] or '[^/]+'})"
        end = place.end()
    return pattern + re.escape(path[end:])
