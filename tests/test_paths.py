"""A path of the API stands in one place, its Route; whoever else names one names one that there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import discovery
from discovery.rest.api.requests import Request
from discovery.rest.api.route import NOWHERE, Kind, Right
from tests.routes import FACES, ROUTER, ROUTES

PACKAGE = Path(discovery.__file__).parent
PAGE = PACKAGE / "plugins" / "dashboard" / "page" / "js"
# What makes Routes of a path.
_MAKERS = ("Route", "page", "routes")
# Folders of the operating system, which paths of files begin with.
_SYSTEM = ("etc", "proc", "run", "sys", "dev", "home", "root", "usr", "var", "tmp", "bin", "v3")
_NAMED = re.compile(r"\b(GET|HEAD|POST|PUT|DELETE) (/[\w{}/.%-]*+)(?!\()")  # a bracket: it is a pattern


def files(*names: str) -> list[Path]:
    found = [PACKAGE / name for name in names]
    every = sorted(file for one in found for file in ([one] if one.is_file() else one.rglob("*.py")))
    return [file for file in every if file.parent.name not in FACES]


def texts(tree: ast.AST) -> Iterator[str]:
    """Of every string but docstrings, with an x where a value stands."""
    parts = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(each) for each in node.values}
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "x" for each in node.values)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def path_in(text: str) -> str | None:
    """The text is a path, perhaps with a query, and no file's."""
    match = re.fullmatch(r"(/[a-z][\w{}/.:+-]*)(\?.*)?", text)
    return match[1] if match and match[1].split("/")[1] not in _SYSTEM else None


def is_route(path: str, method: str | None = None) -> bool:
    """`path`: as clients send it, or as Routes have it."""
    for each in (method,) if method else ("GET", "POST", "PUT", "DELETE"):
        request = Request(each, re.sub(r"\{\w+(:[^}]*)?\}", "x", path))
        ROUTER.find(request)
        if request.route.path != NOWHERE.path and request.route.method:
            return True
    return False


def test_only_who_makes_a_route_names_its_path() -> None:
    first = {route.path.split("/")[1] for route in ROUTES}
    for file in files("rest", "plugins", "web.py", "app.py"):
        tree = ast.parse(file.read_text())
        named = {path for path in map(path_in, texts(tree)) if path and path.split("/")[1] in first}
        for path in named:
            assert any(route.path == path or route.path.startswith(f"{path}/") for route in ROUTES), (file, path)
        makes = any(
            isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in _MAKERS
            for node in ast.walk(tree)
        )
        assert makes or not named, file


def test_a_route_that_a_sentence_names_is_one() -> None:
    """In texts for people, docstrings and comments too."""
    for file in files("."):
        for method, path in _NAMED.findall(file.read_text().replace("…", "/services/x/instances")):
            path = path.rstrip(".")
            found = is_route(re.sub(r"\{[^}]*\}", "x", path), method)
            assert found or path in ("/", "/nothing"), f"{file}: {method} {path}"


def test_what_the_client_and_the_command_ask_is_a_route() -> None:
    for file in files("client", "cli"):
        for path in filter(None, map(path_in, texts(ast.parse(file.read_text())))):
            found = is_route(path) or is_route(path.removesuffix("x"))
            assert found or any(route.path.endswith(path) for route in ROUTES), (file, path)


def test_what_the_page_asks_is_a_route() -> None:
    seen = set()
    for file in PAGE.rglob("*.js"):
        text = file.read_text()
        for literal in re.findall(r"\b(?:get|ask|request)\((?:[^\"`]*,\s*)?(?:\"[A-Z]+\", )?[\"`]([^\"`]+)[\"`]", text):
            path = re.sub(r"\$\{[^}]*\}", "x", literal.partition("?")[0].partition("${after")[0])
            if "/" in path or is_route(f"/{path}"):
                seen.add(path)
                ends = path.removeprefix("x")
                assert is_route(f"/{path}") or any(route.path.endswith(ends) for route in ROUTES), (file.name, path)
    assert len(seen) > 5


def test_who_needs_which_right_is_said_by_the_kind_of_request() -> None:
    for route in ROUTES:
        assert (route.right is Right.NONE) <= (
            route.kind in (Kind.PAGE, Kind.QUESTION) or route.path == "/openapi.json"
        )
        if route.kind in (Kind.HEARTBEAT, Kind.REGISTRATION, Kind.REMOVAL):
            assert route.right in (Right.WRITE, Right.ADMIN)


def test_heartbeats_of_one_instance_are_answered_before_what_takes_long() -> None:
    large = {route.path for route in ROUTES if route.kind is Kind.HEARTBEAT and not route.is_small}
    assert large == {"/heartbeats"}, "of many at once"
