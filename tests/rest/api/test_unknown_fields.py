"""Body fields that nobody reads are accepted, and named in the reply."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.rest.api.registering import REGISTER_BODY
from discovery.rest.api.shapes import MAX_NAMED, Fields
from tests.rest.harness import USER, Api

FIELDS = Fields(REGISTER_BODY)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("tag", "tags"), ("Tags", "tags"), ("max_answers", "maxAnswers"), ("max-answers", "maxAnswers"), ("weights", "weight"),
        ("PORT", "port"), ("checks", "check"),
    ],
)  # fmt: skip
def test_a_slip_is_named_with_what_was_meant(sent: str, meant: str) -> None:
    assert FIELDS.warnings([sent, "name"]) == [f"{sent!r} is not read here; did you mean {meant}?"]


def test_what_is_read_is_not_named() -> None:
    assert FIELDS.warnings(FIELDS.names) == []


def test_what_a_stranger_sends_is_named_in_bounds_and_escaped() -> None:
    found = FIELDS.warnings([f"{number}" + "x" * 10_000 for number in range(1000)])
    assert len(found) == MAX_NAMED + 1
    assert found[-1] == f"{1000 - MAX_NAMED} more fields are not read here"
    assert all(len(each) < 120 for each in found)
    assert FIELDS.warnings(["\x1b[31m\u202e"])[0].isprintable()


BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/register", {**USER, "tag": "blue"}),
    ("PUT", "/instances", {**USER, "tag": "blue"}),
    ("PUT", "/instances", {**USER, "port": 3002, "tag": "blue", "register": True}),
    ("POST", "/heartbeat", {**USER, "register": True, "tag": "blue"}),
    ("POST", "/heartbeat", {**USER, "tag": "blue"}),
    ("POST", "/heartbeat", {**USER, "port": "3001", "tag": "blue"}),
    ("POST", "/heartbeats", {"instances": [], "tag": "blue"}),
    ("POST", "/registrations", {"instances": [], "tag": "blue"}),
    ("PUT", "/instances/id-1/maintenance", {"reason": "a test", "seconds": 60, "tag": "blue"}),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
async def test_every_route_takes_the_body_and_names_the_field(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    await api.register()
    reply = await api.request(method, path, body)
    assert reply.status in (200, 201), reply
    [warning] = reply.body["warnings"]
    assert warning.startswith("'tag' is not read here")
    del body["tag"]
    assert "warnings" not in (await api.request(method, path, body)).body


async def test_each_item_of_many_has_its_own(api: Api) -> None:
    items = [USER, USER | {"port": 3002, "tag": "blue"}, USER | {"port": 0, "tag": "blue"}]
    first, second, third = (await api.post("/registrations", {"instances": items})).body["results"]
    assert "warnings" not in first
    assert second["warnings"] == ["'tag' is not read here; did you mean tags?"]
    assert third["code"] == "INVALID_FIELD"
