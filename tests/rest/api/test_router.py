"""Which route a request is for: by its method and path, however they are spelt, and never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.api.route import OURS, Kind, Manners, Right, Route
from discovery.rest.api.router import Router
from tests.routes import ROUTER, ROUTES, asked


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/register", "/register"),
        ("/resolve/user-service", "/resolve/{name}"),
        ("/resolve/a%2Fb", "/resolve/{name}"),
        ("/%72egister", "/register"),
        ("/re%73olve/user-service", "/resolve/{name}"),
        ("/%2572egister", "other"),
        ("/%ff%00", "other"),
        ("/services/user-service/instances", "/services/{name}/instances"),
        ("/instances/0", "/instances/{id}"),
        ("/ui/app.js", "/ui/{file}"),
        ("/ui/js/app.js", "/ui/{file}"),
        ("/ui", "/ui"),
        ("/ui/", "/ui/"),
        ("/resolve/", "other"),
        ("/resolve/a/b", "other"),
        ("/register/", "other"),
        ("/resolve/{name}", "/resolve/{name}"),
        ("/services", "/services"),
        ("*", "other"),
        ("", "other"),
    ],
)
def test_a_path_belongs_to_its_route_or_to_none(path: str, route: str) -> None:
    assert asked("POST", path).route.template == route


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/resolve/web", {"name": "web"}),
        ("/resolve/a%2Fb%20c", {"name": "a/b c"}),
        ("/re%73olve/a%2541", {"name": "a%41"}),
        ("/resolve/%ff", {"name": "\ufffd"}),
        ("/services/web/explain", {"name": "web"}),
        ("/ui/js/app.js", {"file": "js/app.js"}),
        ("http://elsewhere.example/resolve/web", {"name": "web"}),
        ("http://[/resolve/web", {"name": "web"}),
        ("/services", {}),
    ],
)
def test_the_names_in_a_path_are_decoded_once(path: str, names: dict[str, str]) -> None:
    assert asked("GET", path).names == names


def test_head_goes_wherever_get_does() -> None:
    for route in ROUTES:
        if route.method == "GET":
            path = route.template.replace("{", "").replace("}", "")
            assert asked("HEAD", path).route is asked("GET", path).route is route


@given(st.sampled_from(["GET", "POST", "OPTIONS", "BREW"]), st.text(max_size=30) | st.from_regex(r"[/%.:a-z{}]*"))
def test_whatever_is_sent_there_is_a_route_or_what_stands_in_for_one(method: str, path: str) -> None:
    request = Request(method, path)
    ROUTER.find(request)
    if request.route not in ROUTES:
        with pytest.raises(HttpError) as caught:
            request.route.handler(request)
        assert caught.value.status in (404, 405)


@pytest.mark.parametrize("path", sorted({route.template for route in ROUTES}))
def test_another_method_is_told_which_there_are(path: str) -> None:
    given = {route.method for route in ROUTES if route.template == path}
    allowed = ", ".join(sorted(given | ({"HEAD"} if "GET" in given else set())))
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - given:
        request = asked(method, path)
        with pytest.raises(HttpError, match=f"does not take {method}; it takes {allowed}") as caught:
            request.route.handler(request)
        assert (caught.value.status, caught.value.headers) == (405, {"Allow": allowed})
        assert request.route.template == path, "it is counted there"


@pytest.mark.parametrize(
    ("path", "is_other"), [("/v1/x", True), ("/v1/y", True), ("/v1", True), ("/v10/x", False), ("/x/v1/x", False)]
)
def test_what_is_below_a_groups_prefix_has_its_manners(path: str, is_other: bool) -> None:
    group = Manners("/v1", slash=True)
    route = Route("GET", "/x", lambda request: Answer(200, b""), Right.READ, Kind.QUESTION)
    request = Request("GET", path)
    Router(group.routes(route)).find(request)
    assert request.route.manners is (group if is_other else OURS)
    slashed = Request("GET", path + "/")
    Router(group.routes(route)).find(slashed)
    assert slashed.route.handler is request.route.handler, "one slash more is no other path there"


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("GET /nothing", Right.READ), ("POST /nothing", Right.WRITE), ("GET /admin/nothing", Right.ADMIN),
        ("GET /%61dmin/nothing", Right.ADMIN),
        ("POST /admin", Right.ADMIN), ("GET /adminx", Right.READ),
        ("GET /admin/clear", Right.ADMIN), ("POST /health", Right.NONE),
    ],
)  # fmt: skip
def test_what_is_not_there_takes_the_right_of_what_is_beside_it(line: str, right: Right) -> None:
    assert asked(*line.split()).route.right is right
