"""What a stranger may send: every bad body and field gets a 400 that names the field, and nothing changes.

Which values a field may not have is tested where they are read: in `tests/core`, whose tables are sent here to each route.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import Any

import pytest

from tests.core.test_address import BAD_IPS, BAD_PORTS
from tests.core.test_check import REFUSED as BAD_CHECKS
from tests.core.test_instance import BAD as BAD_FIELDS
from tests.core.test_maintenance import REFUSED as BAD_WINDOWS
from tests.rest.harness import USER, Api, assert_error


def can_be_sent(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) == value)
    except (TypeError, ValueError):
        return False


MISSING: list[tuple[str, Any]] = [
    (field, {key: value for key, value in USER.items() if key != field}) for field in ("name", "ip")
]
BAD_PLACES: list[tuple[str, Any]] = [
    *((field, USER | fields) for field, fields in BAD_FIELDS.values() if field in USER),
    *(("ip", USER | {"ip": value}) for value in BAD_IPS.values() if value != "1" * 100_000),
    *(("port", USER | {"port": value}) for value in BAD_PORTS.values() if value not in ("", None)),
    *MISSING,
]
BAD_REGISTRATIONS: list[tuple[str, Any]] = [
    *BAD_PLACES,
    *(
        (field, USER | {"maxAnswers" if key == "max_answers" else key: value for key, value in fields.items()})
        for field, fields in BAD_FIELDS.values()
        if not any(value is None for value in fields.values())  # in JSON that is to leave it out
    ),
    *((field, USER | {"check": check}) for check, field in BAD_CHECKS if check is not None),
]
BAD: dict[str, list[tuple[str, Any]]] = {
    "POST /register": BAD_REGISTRATIONS,
    "PUT /instances": BAD_REGISTRATIONS,
    "POST /heartbeat": [*BAD_PLACES, *((field, body | {"register": True}) for field, body in BAD_REGISTRATIONS)],
    "PUT /services/user-service/maintenance": [
        (field, {"reason": reason, "until": until, "seconds": seconds}) for reason, until, seconds, field in BAD_WINDOWS
    ],
}
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
    **{
        f"seconds {n:.9}": f'{{"reason": "x", "seconds": {n}}}'.encode()
        for n in ("NaN", "Infinity", "1e999", "1" + "0" * 400)
    },
}


async def refusal(api: Api, line: str, body: Any, field: str) -> str:
    """What is wrong with the answer: it shall be a 400 that names the field, and the table as it was."""
    field, before = re.split(r"[.[]", field)[0], api.state()
    method, path = line.split()
    reply = await api.request(method, path, body)
    if reply.status != 400 or not str(reply.body.get("field", field)).startswith(field):
        return f"{line} {field} {ascii(body)[:200]}: {reply.status} {reply.body}"
    assert_error(reply, 400, field)
    assert api.state() == before
    return ""


@pytest.mark.parametrize("line", BAD)
async def test_a_bad_field_is_named(api: Api, line: str) -> None:
    await api.register()
    rows = [(field, body) for field, body in BAD[line] if can_be_sent(body)]
    assert len(rows) > 10
    wrong = [await refusal(api, line, body, field) for field, body in rows]
    assert not any(wrong), "\n".join(filter(None, wrong))


async def test_metadata_nested_1000_deep_is_named(api: Api) -> None:
    body = b'{"name":"a","ip":"127.0.0.1","port":1,"metadata":' + b'{"a":' * 1000 + b"1" + b"}" * 1001
    assert not await refusal(api, "POST /register", body, "metadata")


async def test_metadata_of_1_mb_is_a_body_too_large(api: Api) -> None:
    before = api.state()
    body = json.dumps({"name": "web", "ip": "10.0.0.1", "port": 80, "metadata": {"k": "x" * 1_000_000}})
    assert_error(await api.post("/register", body.encode()), 413)
    assert api.state() == before


@pytest.mark.parametrize("line", [*BAD, "PUT /services/user-service/maintenance"])
async def test_what_is_no_json_object_is_told_so(api: Api, line: str) -> None:
    await api.register()
    before = api.state()
    method, path = line.split()
    for body in NO_BODY.values():
        assert_error(await api.request(method, path, body), 400)
    assert api.state() == before


async def test_a_bad_parameter_is_named(api: Api) -> None:
    await api.register()
    for field, values in {"ip": BAD_IPS, "port": BAD_PORTS}.items():
        for value in filter(None, values.values()):
            if isinstance(value, str) and len(value) < 1000:
                query = urllib.parse.urlencode({"ip": "127.0.0.1", "port": "3001"} | {field: value})
                assert not await refusal(api, f"DELETE /services/user-service/instances?{query}", None, field)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/resolve/{}"),
        ("DELETE", "/services/{}"),
        ("DELETE", "/services/{}/instances?ip=127.0.0.1&port=3001"),
    ],
    ids=["resolve", "service", "instance"],
)
async def test_a_bad_name_in_a_path_is_named(api: Api, method: str, path: str) -> None:
    await api.register()
    before = api.state()
    for quoted in ("a" * 256, "a%00", "a%0Ab", "%2E%2E", "%FF", "%ED%A0%80", "%C0%80"):
        head = f"{method} {path.format(quoted)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert_error(await api.raw(head.encode()), 400, "name")
    assert api.state() == before
