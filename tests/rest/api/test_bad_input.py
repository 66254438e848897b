"""What a stranger may send: every bad body and field gets a 400 that names the field, and nothing changes."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest

from tests.rest.harness import USER, Api, Reply, assert_error

BAD_NAMES = ["", " ", "a" * 64, "a b", "-a", "a-", "_a", "ä", "../x", "a.b", "a/b", "a\0", "a\nb", "ａ", "x" * 5000]
BAD_IPS = [
    "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
    "255.255.255.255", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "fe80::1%eth0", "10.0.0.1\0", "10.0.0.1:80", "10.0.0.0/8",
]  # fmt: skip
BAD_PORTS = ["", "0", "65536", "80x", "-1", "3001.5", "1e3", "0x50", "٣", "3001\0", "999999999999"]
NO_STRING: list[Any] = [None, 7, 1.5, True, [], ["a"], {}, {"a": 1}]
NO_PORT: list[Any] = [None, 0, 65536, -1, 2**70, 1.5, 1e300, True, False, [], [80], {}, {"a": 1}]

DEEP = b'{"name":"a","ip":"127.0.0.1","port":1,"metadata":' + b'{"a":' * 1000 + b"1" + b"}" * 1000 + b"}"

REQUIRED = (
    [("name", value) for value in [*BAD_NAMES, *NO_STRING]]
    + [("ip", value) for value in [*BAD_IPS, *NO_STRING]]
    + [("port", value) for value in [*BAD_PORTS, *NO_PORT]]
)
BAD_OPTIONS: dict[str, list[Any]] = {
    "metadata": [
        "", "text", 7, True, [], [{}], {"a": "\0"}, {"\0": 1}, {"k": ["x\0y"]}, {"k": "x" * 100_000},
        {str(number): number for number in range(8_000)},
    ],
    "tags": ["a", {}, 7, [7], [None], ["a b"], ["ä"], ["-"], ["a\0"], ["a"] * 20_000],
    "ports": [
        "a", [], 7, {"a": 0}, {"a": None}, {"a": True}, {"a b": 80}, {"a": "80x"},
        {f"p{number}": 80 for number in range(1000)},
    ],
    "protocol": ["", "TCP ", "sctp", 6, True, [], {}, [6], [["tcp"]], "tcp,udp", ["tcp"] * 9 + ["x"]],
    "weight": [-1, 65536, 1.5, "heavy", True, [], 2**70],
    "priority": [-1, 65536, 1.5, "high", True, [], 2**70],
    "zone": ["", "a b", "-a", 7, [], True],
    "ttl": [0, 0.999, 3600.5, -1, "soon", True, [], 1e300],
    "id": ["", "a b", "../x", "a\0", "x" * 200, 7, True, []],
}  # fmt: skip
OPTIONAL = [(field, value) for field, values in BAD_OPTIONS.items() for value in values]
NO_BODY = {
    "nothing": b"",
    "blanks": b"  \r\n",
    "half": b'{"name": "a',
    "text": b"name=a&ip=127.0.0.1&port=1",
    "trailing-comma": b'{"name":"a","ip":"127.0.0.1","port":1,}',
    "two-objects": b"{}{}",
    "raw-nul": b'{"name":"a\0"}',
    "only-nul": b"\0",
    "not-utf8": b'{"name":"\xff"}',
    "utf16": '{"name":"a"}'.encode("utf-16"),
    "lone-surrogate": b'{"name":"\\ud800"}',
    "nan": b'{"name":"a","ip":"127.0.0.1","port":NaN}',
    "huge-number": b'{"name":"a","ip":"127.0.0.1","port":1e999}',
    "null": b"null",
    "list": b"[]",
    "list-of-one": json.dumps([USER]).encode(),
    "string": b'"register"',
    "number": b"7",
    "true": b"true",
    "deep-list": b"[" * 100_000,
    "deep-object": b'{"a":' * 20_000,
}


def describe(value: object) -> str:
    text = ascii(value)
    return text if len(text) < 30 else f"{text[:20]}...{len(text)}"


async def refused(api: Api, method: str, path: str, body: Any, field: str) -> None:
    """A 400 that names the field, and a table as it was."""
    before = api.state()
    reply = await api.request(method, path, body)
    assert_error(reply, 400, field)
    assert names(reply, field)
    assert api.state() == before


def names(reply: Reply, field: str) -> bool:
    return str(reply.body.get("field", field)).startswith(field)


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
@pytest.mark.parametrize(("field", "value"), REQUIRED, ids=describe)
async def test_a_bad_required_field_is_named(api: Api, path: str, field: str, value: Any) -> None:
    await api.register()
    await refused(api, "POST", path, USER | {field: value}, field)


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
@pytest.mark.parametrize("field", ["name", "ip", "port"])
async def test_a_missing_field_is_named(api: Api, path: str, field: str) -> None:
    await api.register()
    await refused(api, "POST", path, {key: value for key, value in USER.items() if key != field}, field)


@pytest.mark.parametrize(("field", "value"), OPTIONAL, ids=describe)
async def test_a_bad_optional_field_is_named(api: Api, field: str, value: Any) -> None:
    await api.register()
    await refused(api, "POST", "/register", USER | {field: value}, field)


async def test_metadata_of_1_mb_is_a_body_too_large(api: Api) -> None:
    before = api.state()
    body = json.dumps({"name": "web", "ip": "10.0.0.1", "port": 80, "metadata": {"k": "x" * 1_000_000}})
    assert_error(await api.post("/register", body.encode()), 413)
    assert api.state() == before


async def test_metadata_nested_1000_deep_is_named(api: Api) -> None:
    await refused(api, "POST", "/register", DEEP, "metadata")


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
@pytest.mark.parametrize("body", NO_BODY.values(), ids=NO_BODY.keys())
async def test_what_is_no_json_object_is_told_so(api: Api, path: str, body: bytes) -> None:
    await api.register()
    before = api.state()
    assert_error(await api.post(path, body), 400)
    assert api.state() == before


@pytest.mark.parametrize(
    ("field", "value"), [("ip", value) for value in BAD_IPS] + [("port", p) for p in BAD_PORTS if p]
)
async def test_a_bad_parameter_is_named(api: Api, field: str, value: str) -> None:
    await api.register()
    query = urllib.parse.urlencode({"ip": "127.0.0.1", "port": "3001"} | {field: value})
    await refused(api, "DELETE", f"/services/user-service/instances?{query}", None, field)


@pytest.mark.parametrize("name", ["a" * 256, "a\0", "a\nb", ".."], ids=describe)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/resolve/{}"),
        ("DELETE", "/services/{}"),
        ("DELETE", "/services/{}/instances?ip=127.0.0.1&port=3001"),
    ],
    ids=["resolve", "service", "instance"],
)
async def test_a_bad_name_in_a_path_is_named(api: Api, method: str, path: str, name: str) -> None:
    await api.register()
    quoted = urllib.parse.quote(name, safe="").replace(".", "%2E")
    before = api.state()
    reply = await api.raw(f"{method} {path.format(quoted)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert_error(reply, 400, "name")
    assert api.state() == before


@pytest.mark.parametrize("octets", ["%FF", "%ED%A0%80", "%C0%80"])
async def test_a_name_that_is_no_text_is_a_400(api: Api, octets: str) -> None:
    assert_error(await api.raw(f"GET /resolve/{octets} HTTP/1.0\r\n\r\n".encode()), 400, "name")
