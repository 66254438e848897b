"""DNS over HTTPS (RFC 8484) by curl: GET and POST, with and without TLS, how long it may be kept, and errors as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.stories.process import Discovery, until
from tests.stories.standards.clients import run
from tests.stories.standards.secure import Secure, running_secure

MEDIA_TYPE = "application/dns-message"
SHOP = "shop.svc.local"


class Curled(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dns.message.Message:
        assert (self.status, self.headers["content-type"]) == (200, MEDIA_TYPE), self
        return dns.message.from_wire(self.body)

    @property
    def max_age(self) -> int:
        return int(self.headers["cache-control"].removeprefix("max-age="))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with running_secure(tmp_path_factory.mktemp("tls"), HEARTBEAT_TIMEOUT_SECONDS=3600) as one:
        one.register("shop", "10.0.0.1")
        one.register("shop", "10.0.0.2")
        one.register("shop", "2001:db8::1")
        one.register("lasting", "10.0.0.3")
        yield one
        assert "Traceback" not in "\n".join(one.server.log)


@pytest.fixture(params=["https", "http"])
def url(request: pytest.FixtureRequest, secure: Secure, shops: Discovery) -> str:
    """Of /dns-query: with TLS, and without, as behind a proxy that ends it."""
    base = f"https://127.0.0.1:{secure.https_port}" if request.param == "https" else shops.http
    return f"{base}/dns-query"


@pytest.fixture
def curl(secure: Secure, tmp_path: Path) -> Curl:
    return Curl(secure.pair.cert, tmp_path)


class Curl:
    def __init__(self, cert: Path, folder: Path) -> None:
        self._cert = cert
        self._folder = folder

    def __call__(self, url: str, *arguments: str) -> Curled:
        heads, body = self._folder / "head", self._folder / "body"
        run("curl", "-sS", "--cacert", str(self._cert), "-D", str(heads), "-o", str(body), *arguments, url)
        first, *lines = heads.read_text().rstrip().splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Curled(int(first.split()[1]), headers, body.read_bytes() if body.exists() else b"")

    def get(self, url: str, message: bytes) -> Curled:
        return self(f"{url}?dns={base64.urlsafe_b64encode(message).decode().rstrip('=')}")

    def post(self, url: str, message: bytes, media_type: str = MEDIA_TYPE) -> Curled:
        path = self._folder / "query"
        path.write_bytes(message)
        return self(url, "--data-binary", f"@{path}", "-H", f"Content-Type: {media_type}")


def query(name: str = SHOP, rtype: str = "A", **options: int) -> dns.message.Message:
    """RFC 8484 §4.1: with id 0, so that caches know it again."""
    return dns.message.make_query(name, rtype, id=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(("rtype", "count"), [("A", 2), ("SRV", 3), ("AAAA", 1), ("MX", 0)])
def test_rfc8484_4_the_answer_is_a_dns_message(curl: Curl, url: str, method: str, rtype: str, count: int) -> None:
    asked = query(rtype=rtype)
    curled = getattr(curl, method)(url, asked.to_wire())
    message = curled.message
    assert asked.is_response(message)
    assert sum(map(len, message.answer)) == count
    assert message.flags & dns.flags.AA


def test_rfc8484_5_1_it_may_be_kept_as_long_as_its_shortest_ttl(curl: Curl, secure: Secure) -> None:
    url = f"https://127.0.0.1:{secure.https_port}/dns-query"
    secure.register("brief", "10.0.0.1", ttl=3)
    secure.register("brief", "10.0.0.2")
    for name, rtype in (
        ("brief.svc.local", "A"),
        ("brief.svc.local", "SRV"),
        ("lasting.svc.local", "A"),
        ("svc.local", "SOA"),
        ("nobody.svc.local", "A"),
    ):
        curled = curl.get(url, query(name, rtype).to_wire())
        ttls = [rrset.ttl for rrset in (*curled.message.answer, *curled.message.authority)]
        assert curled.max_age == min(ttls), name
    assert curl.get(url, query("lasting.svc.local").to_wire()).max_age == 5
    assert curl.get(url, query("nobody.svc.local").to_wire()).max_age == 2
    brief = query("brief.svc.local").to_wire()
    until(lambda: curl.get(url, brief).max_age == 5)  # the shorter lease is over
    assert curl.get(url, query("www.example.com").to_wire()).max_age == 0


@pytest.mark.parametrize(
    ("name", "rcode"), [("nobody.svc.local", dns.rcode.NXDOMAIN), ("www.example.com", dns.rcode.REFUSED)]
)
def test_what_dns_says_no_to_is_200_for_http(curl: Curl, url: str, name: str, rcode: dns.rcode.Rcode) -> None:
    assert curl.get(url, query(name).to_wire()).message.rcode() == rcode


def test_garbage_in_a_message_is_a_format_error_of_dns(curl: Curl, url: str) -> None:
    assert curl.post(url, query().to_wire()[:-3]).message.rcode() == dns.rcode.FORMERR
    assert curl.post(url, bytes(12)).message.rcode() == dns.rcode.FORMERR


def test_rfc8467_4_1_padded_for_who_pads_over_either(curl: Curl, url: str) -> None:
    assert len(curl.post(url, query(use_edns=0, pad=128).to_wire()).body) % 468 == 0
    assert len(curl.post(url, query(use_edns=0).to_wire()).body) < 468


def test_there_is_no_datagrams_limit(curl: Curl, url: str, shops: Discovery) -> None:
    message = curl.get(url, query("_shop._tcp.svc.local", "PTR").to_wire()).message
    assert not message.flags & dns.flags.TC


ERRORS: dict[str, tuple[str, list[str], int]] = {
    "no parameter": ("", [], 400),
    "bad base64": ("?dns=!!!", [], 400),
    "a length that base64 cannot have": ("?dns=AAAAA", [], 400),
    "empty": ("?dns=", [], 400),
    "a response": ("?dns=AACBgAABAAAAAAAABHNob3ADc3ZjBWxvY2FsAAABAAE", [], 400),
    "a wrong media type": ("", ["--data-binary", "x", "-H", "Content-Type: application/json"], 415),
    "curl's own media type": ("", ["--data-binary", "x"], 415),
    "no media type": ("", ["--data-binary", "x", "-H", "Content-Type:"], 415),
    "a wrong method": ("", ["-X", "PUT", "--data-binary", "x"], 405),
    "another wrong method": ("", ["-X", "DELETE"], 405),
}


@pytest.mark.parametrize("row", ERRORS)
def test_errors_of_http_are_json_that_says_what_is_wrong(curl: Curl, url: str, row: str) -> None:
    path, arguments, status = ERRORS[row]
    curled = curl(url + path, *arguments)
    assert curled.status == status
    assert curled.headers["content-type"].startswith("application/json")
    body = json.loads(curled.body)
    assert {"error", "message", "timestamp"} <= set(body)
    if "dns" in path or row == "no parameter":
        assert "dns" in body["message"].lower()
    if status == 415:
        assert MEDIA_TYPE in body["message"]


def test_a_message_longer_than_dns_has_is_too_large(curl: Curl, url: str) -> None:
    curled = curl.post(url, bytes(65536))
    assert (curled.status, json.loads(curled.body)["code"]) == (413, "BODY_TOO_LARGE")


def test_rfc8484_4_1_a_media_type_may_be_spelt_with_capitals_or_parameters(curl: Curl, url: str) -> None:
    for media_type in ("Application/DNS-Message", f"{MEDIA_TYPE}; charset=binary"):
        assert query().is_response(curl.post(url, query().to_wire(), media_type).message)


def test_curl_itself_finds_a_service_by_doh(curl: Curl, secure: Secure) -> None:
    """curl resolves the host of its URL by our DoH, then speaks to it: the service is this server's own HTTPS port."""
    port = secure.https_port
    secure.register("registry-itself", "127.0.0.1", port)
    doh = f"https://127.0.0.1:{port}/dns-query"
    # A service's name is no name of the server's own: as a Host it would be refused (421).
    host = ("-H", "Host: localhost")
    curled = curl(f"https://registry-itself.svc.local:{port}/health", "-k", *host, "--doh-insecure", "--doh-url", doh)
    assert (curled.status, json.loads(curled.body)["status"]) == (200, "healthy")
