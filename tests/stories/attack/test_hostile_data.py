"""Data that means harm to whoever reads it later: the log, a browser, a terminal, the next parser."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.stories.attack.raw import Answer, ask, exchange
from tests.stories.dig import dig
from tests.stories.process import Discovery, running
from tests.stories.standards.memory import processor

JSON = b"Content-Type: application/json"
MIB = 1024 * 1024
# What ends a line or moves a cursor, for one reader or another.
NASTY = "\n\r\x07\x08\x1b[2J\x1b]0;owned\x07\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\u061c"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORGED = "2026-01-31T12:00:00.000Z ERROR discovery.registry: forged"
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;'\""


def post(server: Discovery, path: str, body: Any, method: str = "POST") -> Answer:
    return ask(
        server.port, f"{method} {path}", JSON, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def registration(**fields: Any) -> dict[str, Any]:
    return {"name": "shop", "ip": "10.0.0.1", "port": 8080, **fields}


@pytest.fixture(name="process", scope="module")
def _process() -> Iterator[Discovery]:
    with running() as process:
        yield process
        assert not [line for line in process.log if "Traceback" in line or " ERROR " in line]


@pytest.fixture(name="server")
def _server(process: Discovery) -> Discovery:
    """With nothing in it."""
    process.request("POST", "/admin/clear")
    return process


# -- the log


def _send_everything_nasty(server: Discovery) -> None:
    """Wherever a stranger's text may come to stand in a line of the log."""
    text = f"x{NASTY}\n{FORGED}\r\n{FORGED}"
    quoted, port = urllib.parse.quote(text, safe=""), server.port
    assert post(server, "/register", registration(metadata={text: text}, ttl=3600)).status == 201
    for field in ("name", "ip", "port", "id", "zone", "protocol"):
        assert post(server, "/register", registration(**{field: text})).status == 400
    assert post(server, "/register", registration(tags=[text], ports={text: 1})).status == 400
    reason = {"reason": text, "seconds": 60}
    assert post(server, "/services/shop/instances/maintenance?ip=10.0.0.1&port=8080", reason, "PUT").status in (
        200,
        400,
    )
    assert post(server, "/services/shop/maintenance", reason, "PUT").status in (200, 400)
    for path in (
        f"/{quoted}",
        f"/resolve/{quoted}",
        f"/instances/{quoted}",
        f"/services?after={quoted}",
        f"/health?{quoted}",
    ):
        for method in ("GET", "DELETE", "PUT"):
            assert ask(port, f"{method} {path}").status < 500
    octets = text.encode().replace(b"\r", b"").replace(b"\n", b"")
    for name in (
        b"Host",
        b"Origin",
        b"User-Agent",
        b"X-Forwarded-For",
        b"Authorization",
        b"Referer",
        b"Sec-Fetch-Site",
        b"Cookie",
    ):
        assert 200 <= ask(port, "GET /nowhere", name + b": evil" + octets).status < 500
        assert 200 <= ask(port, "GET /nowhere", name + b": evil\r " + octets).status < 500
    for line in ("GET /\x1b[2J", "G\x1b[2JT /", "GET /\u2028".encode().decode("latin-1"), "\x16\x03\x01 /"):
        assert exchange(port, line.encode("latin-1") + b" HTTP/1.1\r\nHost: a\r\n\r\n").split()[1] == b"400"
    dig(server, "evil\\010\\013\\027[2J\\226\\128\\168.svc.local")


@pytest.fixture(name="written", scope="module", params=["text", "json"])
def _written(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    """Format and lines of the log of a server that was sent all of it."""
    with running(LOG_FORMAT=request.param, LOG_LEVEL="debug") as server:
        _send_everything_nasty(server)
        server.request("GET", "/the-last-one")
        assert server.stop() == 0
        yield request.param, server.log


def test_no_text_of_a_stranger_starts_a_line_or_moves_a_cursor(written: tuple[str, list[str]]) -> None:
    form, lines = written
    assert len(lines) > 30
    assert any("the-last-one" in line for line in lines)
    for line in lines:
        assert not CONTROL.search(line), ascii(line)
        stamp = json.loads(line)["time"] if form == "json" else line.split(" ", 1)[0]
        assert datetime.fromisoformat(stamp).utcoffset() is not None
        assert not line.startswith(FORGED)


def test_nothing_of_it_is_an_error_of_ours(written: tuple[str, list[str]]) -> None:
    assert not [line for line in written[1] if "Traceback" in line or "ERROR" in line.split(" ")[1:2]]


# -- headers


def test_nothing_that_is_sent_becomes_a_header(server: Discovery) -> None:
    injected = "%0d%0aX-Injected:%20yes%0d%0a%0d%0a<script>"
    identified = registration(id="id-1")
    answers = [
        ask(server.port, f"GET /{injected}"),
        ask(server.port, f"GET /resolve/{injected}"),
        ask(server.port, f"GET /instances/{injected}"),
        ask(server.port, f"GET /services?after={injected}"),
        ask(server.port, f"DELETE /services/x/instances?ip={injected}&port=1"),
        post(server, "/register", registration(id="a\r\nX-Injected: yes")),
        post(server, "/register", registration(name="a\r\nX-Injected: yes")),
        post(server, "/register", identified),
        ask(server.port, "GET /health", b"Host: a\r\n X-Injected: yes"),
        ask(server.port, "GET /health", b"Host: a", b"Origin: http://localhost:3000\r\n X-Injected: yes"),
        ask(server.port, "GET /health", b"Host: a", b"Origin: http://localhost:3000, X-Injected: yes"),
        ask(server.port, "POST /register", b"Content-Type: text/html\tX-Injected: yes", body=b"{}"),
    ]
    for answer in answers:
        assert not [field for field in answer.fields if b"injected" in field.lower()], answer
        assert answer.header("access-control-allow-origin") is None
        assert answer.status < 500
    assert answers[7].header("location") == "/instances/id-1"


def test_an_origin_is_repeated_only_when_it_is_one_of_ours(server: Discovery) -> None:
    ours = b"http://localhost:3000"
    assert ask(server.port, "GET /health", b"Origin: " + ours).header("access-control-allow-origin") == ours.decode()
    for foreign in (
        b"null",
        b"*",
        ours + b".evil.example",
        ours + b"/",
        b"HTTP://localhost:3000",
        b"http://localhost:30000",
        b"http://evil",
    ):
        assert ask(server.port, "GET /health", b"Origin: " + foreign).header("access-control-allow-origin") is None


def test_a_request_inside_another_s_body_is_no_request(server: Discovery) -> None:
    """Request smuggling: what two readers could measure differently is refused, and nothing behind it is read."""
    inner = b"POST /admin/clear HTTP/1.1\r\nHost: a\r\n\r\n"
    server.register("survivor", "10.0.0.5", 80, ttl=3600)
    head = b"POST /register HTTP/1.1\r\nHost: a\r\n"
    both = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for smuggled in (
        head + both + inner,
        head + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + inner,
        head + b"Content-Length: +5\r\n\r\n12345" + inner,
        head + b"Content-Length: 5, 5\r\n\r\n12345" + inner,
        head + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n" + inner,
    ):
        got = exchange(server.port, smuggled)
        assert got.split()[1] == (b"501" if b"xchunked" in smuggled else b"400"), got  # RFC 9112 §6.1
        assert got.count(b"HTTP/1.") == 1, got
        assert server.request("GET", "/resolve/survivor").status == 200


# -- JSON


BOMBS: dict[str, tuple[str, bytes]] = {
    "2 MiB of digits": ("/heartbeats", b'{"instances":[' + b"1" * (2 * MIB - 20) + b"]}"),
    "2 MiB of brackets": ("/heartbeats", b"[" * (2 * MIB)),
    "2 MiB of nested objects": ("/heartbeats", b'{"a":' * (2 * MIB // 5)),
    "700,000 empty objects": ("/heartbeats", b'{"instances":[' + b"{}," * 699_000 + b"{}]}"),
    "150,000 keys": ("/heartbeats", b"{" + b",".join(b'"k%d":1' % key for key in range(150_000)) + b"}"),
    "a port of 120,000 digits": ("/register", b'{"name":"a","ip":"10.0.0.1","port":' + b"1" * 120_000 + b"}"),
    "an exponent that no number has": ("/register", b'{"name":"a","ip":"10.0.0.1","port":1,"ttl":1e99999999999}'),
    "infinity in metadata": ("/register", b'{"name":"a","ip":"10.0.0.1","port":1,"metadata":{"a":' + b"9" * 400 + b"}}"),
    "metadata 250 deep": ("/register", b'{"name":"a","ip":"10.0.0.1","port":1,"metadata":{"a":' + b"[" * 250 + b"]" * 250 + b"}}"),
    "a lone surrogate as a key": ("/register", b'{"name":"a","ip":"10.0.0.1","port":1,"metadata":{"\\ud800":1}}'),
    "a lone surrogate in metadata": ("/register", b'{"name":"a","ip":"10.0.0.1","port":1,"metadata":{"a":"\\udfff"}}'),
    "surrogates in the wrong order": ("/register", b'{"name":"a","ip":"10.0.0.1","port":1,"metadata":{"a":"\\udc00\\ud800"}}'),
    "a byte order mark": ("/register", b'\xef\xbb\xbf{"name":"a","ip":"10.0.0.1","port":1}'),
    "a comment": ("/register", b'{"name":"a",/**/"ip":"10.0.0.1","port":1}'),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_a_bad_request_and_takes_little_time(server: Discovery, bomb: str) -> None:
    path, body = BOMBS[bomb]
    used = processor(server.process.pid)
    answer = post(server, path, body)
    assert processor(server.process.pid) - used < 2
    assert answer.status in (400, 413), answer
    assert len(json.dumps(answer.body)) < 1000, "what was sent is not sent back"
    assert server.request("GET", "/services").body["totalServices"] == 0


def test_of_a_key_that_is_there_twice_the_last_counts_everywhere(server: Discovery) -> None:
    """As in every parser of browsers and Node, so that nobody before us checked another value than we take."""
    twice = b'{"name":"first","ip":"10.0.0.1","port":1,"port":8080,"name":"last"}'
    assert post(server, "/register", twice).body["instance"]["name"] == "last"
    assert post(server, "/heartbeat", twice).status == 200
    assert server.request("GET", "/resolve/first").status == 404


def test_numbers_in_metadata_come_back_as_the_numbers_they_were(server: Discovery) -> None:
    sent = b'{"a":9007199254740993,"b":18446744073709551615,"c":-9223372036854775808,"d":0.1,"e":1e300,"f":-0.0,"g":5e-324}'
    assert (
        post(server, "/register", b'{"name":"numbers","ip":"10.0.0.1","port":1,"metadata":' + sent + b"}").status == 201
    )
    assert server.request("GET", "/resolve/numbers").body["instances"][0]["metadata"] == json.loads(sent)


# -- names


LOOK_ALIKES = {
    "Cyrillic": "sh\u043ep",
    "Greek": "sh\u03bfp",
    "full width": "\uff53hop",
    "Kelvin, whose lower case is k": "\u212aafka",
    "long s, whose upper case is S": "\u017fhop",
    "dotless i": "s\u0131gnup",
    "I with a dot": "s\u0130gnup",
    "ligature": "\ufb01nance",
    "combining accent": "sho\u0301p",
    "zero width joiner": "sh\u200dop",
    "soft hyphen": "sh\u00adop",
    "right to left": "\u202epohs",
    "circled digit": "shop\u2460",
    "Arabic digit": "shop\u0661",
    "other hyphen": "user\u2010service",
    "ideographic full stop": "shop\u3002svc",
    "sharp s": "stra\u00dfe",
    "byte order mark": "\ufeffshop",
    "tag characters": "shop\U000e0041",
}


def test_only_ascii_is_a_name_wherever_a_name_may_stand_in_the_original_api(server: Discovery) -> None:
    """PUT /instances takes any text for a name: it is another one, found over HTTP alone, and no slip of an original client."""
    server.register("shop", "10.0.0.1", 8080)
    server.register("kafka", "10.0.0.1", 8081)
    for what, name in LOOK_ALIKES.items():
        quoted = urllib.parse.quote(name)
        for fields in (
            {"name": name},
            {"tags": [name]},
            {"ports": {name: 80}},
            {"zone": name},
            {"id": name},
            {"protocol": name},
        ):
            assert post(server, "/register", registration(**fields)).status == 400, (what, fields)
        assert post(server, "/heartbeat", registration(name=name)).status == 400, what
        for method, path in (("GET", f"/resolve/{quoted}"), ("DELETE", f"/services/{quoted}")):
            assert post(server, path, {}, method).status == 404, (what, path)
        batch = post(server, "/heartbeats", {"instances": [registration(name=name)]})
        assert (batch.body["updated"], len(batch.body["unknown"])) == (0, 1), what
    assert set(server.request("GET", "/services").body["services"]) == {"shop", "kafka"}


# -- metadata


def test_markup_and_escapes_in_metadata_are_text_that_no_browser_takes_for_a_page(server: Discovery) -> None:
    metadata = {HTML: HTML, "nasty": NASTY, "__proto__": {"admin": True}, "constructor": [HTML, {NASTY: None}]}
    server.register("shop", "10.0.0.1", 8080, id="id-1", metadata=metadata)
    for path in ("/resolve/shop", "/services", "/services?limit=10", "/instances/id-1"):
        answer = ask(server.port, f"GET {path}")
        assert json.dumps(metadata, sort_keys=True) in json.dumps(answer.body, sort_keys=True), path
        assert answer.header("content-type") in ("application/json", "application/json; charset=utf-8")


def test_every_answer_of_the_application_says_that_it_is_no_page(server: Discovery) -> None:
    server.register("shop", "10.0.0.1", 8080)
    for line, status in (
        ("GET /resolve/shop", 200), ("GET /services", 200), ("GET /services?limit=1", 200), ("GET /stats", 200), ("GET /health", 200),
        ("GET /ready", 200), ("GET /openapi.json", 200), ("GET /maintenance", 200),
        (f"GET /{HTML.replace(' ', '%20')}", 404),
        ("GET /resolve/nobody", 404), ("GET /resolve/a.b", 404), ("GET /resolve/a%0Ab", 400),
        ("DELETE /register", 405), ("POST /register", 400),
        ("POST /admin/clear", 200),
    ):  # fmt: skip
        answer = ask(server.port, line)
        assert answer.status == status, (line, answer)
        assert answer.header("x-content-type-options") == "nosniff", line
        policy = answer.header("content-security-policy") or ""
        assert "default-src 'none'" in policy, line
        assert "frame-ancestors 'none'" in policy, line


def test_metadata_in_txt_is_escaped_for_terminals_and_whole_for_programs(server: Discovery) -> None:
    metadata = {"esc": "a\x1b[31mred\x07", "lines": 'one\r\n"two"\\', "uni": "\u202e\u2028é", "html": HTML}
    server.register("shop", "10.0.0.1", 8080, metadata=metadata)
    dug = dig(server, "shop.svc.local", "TXT")
    assert not CONTROL.search(dug.text.replace("\n", "").replace("\t", "")), ascii(dug.text)
    [record] = dug.answer
    assert "\\027[31mred\\007" in record.rdata
    assert '\\013\\010\\"two\\"\\\\' in record.rdata
    [rdata] = server.ask("shop.svc.local", "TXT").answer[0]
    said = dict(string.decode().split("=", 1) for string in rdata.strings)
    assert metadata.items() <= said.items()
