"""Certificates that are exchanged while connections go on, clients that must show one (mTLS), and strangers who never shake hands.

That TLS below 1.2 is refused, standards/test_dot.py tells for both ports.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import dns.message
import dns.query
import pytest

from discovery.client import RegistryClient, Unreachable
from tests.cli.live import Done, discovery
from tests.stories.process import LIMIT, running, until
from tests.stories.standards.clients import run
from tests.stories.standards.secure import Pair, Secure, make_certificate, running_secure

# Of discovery.tls: what may pass between a connection and the end of its handshake.
HANDSHAKE_SECONDS = 5.0
SHOP = "shop.svc.local"


def any_context() -> ssl.SSLContext:
    """Of a client that looks at what it is shown by itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Web:
    """One HTTPS connection that is kept."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=LIMIT)

    def get(self, path: str = "/health") -> int:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        response.read()
        assert not response.will_close
        return response.status

    @property
    def shown(self) -> str:
        return fingerprint(self._connection.sock)

    def close(self) -> None:
        self._connection.close()


class Names:
    """One connection of DNS over TLS that is kept."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        sock = socket.create_connection(("127.0.0.1", port), LIMIT)
        self._sock = context.wrap_socket(sock, server_hostname="127.0.0.1")

    def ask(self) -> int:
        """How many records."""
        query = dns.message.make_query(SHOP, "A")
        dns.query.send_tcp(self._sock, query)
        reply, _ = dns.query.receive_tcp(self._sock, time.time() + LIMIT)
        assert query.is_response(reply)
        return len(reply.answer)

    @property
    def shown(self) -> str:
        return fingerprint(self._sock)

    def close(self) -> None:
        self._sock.close()


def fingerprint(sock: ssl.SSLSocket) -> str:
    shown = sock.getpeercert(binary_form=True)
    assert shown is not None
    return hashlib.sha256(shown).hexdigest()


def of_file(cert: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(cert.read_text())).hexdigest()


def shown_to_newcomers(secure: Secure) -> set[str]:
    found = set()
    for port in (secure.https_port, secure.dot_port):
        with socket.create_connection(("127.0.0.1", port), LIMIT) as sock, any_context().wrap_socket(sock) as wrapped:
            found.add(fingerprint(wrapped))
    return found


def another(folder: Path) -> Pair:
    folder.mkdir()
    return make_certificate(folder)


# -- exchanged


def put(pair: Pair, secure: Secure) -> None:
    """In place of the one there is: replaced, as tools that renew certificates do, the key first."""
    for fresh, old in ((pair.key, secure.pair.key), (pair.cert, secure.pair.cert)):
        aside = old.with_suffix(".new")
        shutil.copy(fresh, aside)
        aside.rename(old)


def exchanged_on_change(secure: Secure, pair: Pair) -> None:
    put(pair, secure)


def exchanged_on_sighup(secure: Secure, pair: Pair) -> None:
    put(pair, secure)
    secure.server.process.send_signal(signal.SIGHUP)


@pytest.fixture(params=["in its folder", "behind links"])
def exchanging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Secure, Callable[[Pair], None]]]:
    """A server and how its certificate is exchanged: it sees the change itself, or, where it cannot, SIGHUP tells it."""
    real = tmp_path / "real"
    real.mkdir()
    pair = make_certificate(real)
    if request.param == "behind links":
        links = Pair(tmp_path / "cert.pem", tmp_path / "key.pem")
        for link, file in zip(links, pair, strict=True):
            link.symlink_to(file)
        exchange, paths = exchanged_on_sighup, links
    else:
        exchange, paths = exchanged_on_change, pair
    with running(
        DOT_PORT=0, TLS_CERT=str(paths.cert), TLS_KEY=str(paths.key), HEARTBEAT_TIMEOUT_SECONDS=3600
    ) as server:
        secure = Secure(server, pair)
        secure.register("shop", "10.0.0.1")
        yield secure, lambda fresh: exchange(secure, fresh)
        assert "Traceback" not in "\n".join(server.log)


def test_open_connections_go_on_and_new_ones_see_the_new_certificate(
    exchanging: tuple[Secure, Callable[[Pair], None]], tmp_path: Path
) -> None:
    secure, exchange = exchanging
    first, second = of_file(secure.pair.cert), another(tmp_path / "second")
    with ExitStack() as stack:
        webs = [Web(secure.https_port, any_context()) for _ in range(10)]
        names = [Names(secure.dot_port, any_context()) for _ in range(10)]
        kept: list[Web | Names] = [*webs, *names]
        for one in kept:
            stack.callback(one.close)
        assert {web.get() for web in webs} == {200}
        assert {name.ask() for name in names} == {1}
        exchange(second)
        until(lambda: shown_to_newcomers(secure) == {of_file(second.cert)})
        for _ in range(3):
            assert {web.get() for web in webs} == {200}
            assert {name.ask() for name in names} == {1}
        assert {one.shown for one in kept} == {first}, "they were not connected anew"


@pytest.mark.parametrize("bad", ["no certificate", "", "another's key"])
def test_a_bad_certificate_is_reported_and_the_old_one_stays(tmp_path: Path, bad: str) -> None:
    with running_secure(tmp_path) as secure:
        good, other = of_file(secure.pair.cert), another(tmp_path / "other")
        assert shown_to_newcomers(secure) == {good}
        text = other.key.read_text() if bad == "another's key" else bad
        (secure.pair.key if bad == "another's key" else secure.pair.cert).write_text(text)
        until(lambda: any("stays in use" in line for line in secure.server.log))
        assert shown_to_newcomers(secure) == {good}
        put(other, secure)
        until(lambda: shown_to_newcomers(secure) == {of_file(other.cert)})
        assert "Traceback" not in "\n".join(secure.server.log)
        assert "PRIVATE KEY" not in "\n".join(secure.server.log)


# -- clients that must show one


class Authority:
    """Signs certificates of clients."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        # Each has its own name: of two with one name, OpenSSL before 3.2 writes not into a certificate which has signed it.
        self.pair = make_certificate(folder, folder.name)
        self._folder = folder

    def sign(self, name: str) -> Pair:
        made = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request = self._folder / f"{name}.csr"
        run(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", str(made.key), "-out", str(request), "-subj", f"/CN={name}",
        )  # fmt: skip
        run(
            "openssl", "x509", "-req", "-in", str(request), "-CA", str(self.pair.cert), "-CAkey", str(self.pair.key),
            "-CAcreateserial", "-days", "1", "-out", str(made.cert),
        )  # fmt: skip
        return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours") / "ca")


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("mutual")
    shutil.copy(authority.pair.cert, folder / "clients.pem")
    with running_secure(folder, TLS_CLIENT_CA=str(folder / "clients.pem"), HEARTBEAT_TIMEOUT_SECONDS=3600) as secure:
        yield secure
        assert "Traceback" not in "\n".join(secure.server.log)


def showing(secure: Secure, pair: Pair | None, newest: bool = True) -> ssl.SSLContext:
    """A client's context that verifies the server and shows this certificate."""
    context = secure.context()
    if not newest:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def ways_in(secure: Secure, context: ssl.SSLContext) -> list[Callable[[], int]]:
    """REST, DNS over HTTPS and DNS over TLS; each gives what it got."""
    query = base64.urlsafe_b64encode(dns.message.make_query(SHOP, "A", id=0).to_wire()).decode().rstrip("=")

    def web(path: str) -> int:
        client = Web(secure.https_port, context)
        try:
            return client.get(path)
        finally:
            client.close()

    def names() -> int:
        client = Names(secure.dot_port, context)
        try:
            return client.ask()
        finally:
            client.close()

    return [lambda: web("/stats"), lambda: web(f"/dns-query?dns={query}"), names]


@pytest.mark.parametrize("newest", [True, False], ids=["1.3", "1.2"])
def test_without_a_certificate_of_ours_there_is_no_handshake(
    mutual: Secure, authority: Authority, tmp_path: Path, newest: bool
) -> None:
    """TLS 1.3 tells the client with its first read (RFC 8446 §4.4.2.4)."""
    strangers = Authority(tmp_path / "strangers")
    for pair in (None, strangers.sign("somebody"), another(tmp_path / "self-signed")):
        for way in ways_in(mutual, showing(mutual, pair, newest)):
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                way()


@pytest.mark.parametrize("newest", [True, False], ids=["1.3", "1.2"])
def test_with_one_of_ours_all_ways_are_open(mutual: Secure, authority: Authority, newest: bool) -> None:
    context = showing(mutual, authority.sign("client"), newest)
    connection = http.client.HTTPSConnection("127.0.0.1", mutual.https_port, context=context, timeout=LIMIT)
    body = '{"name": "shop", "ip": "10.0.0.1", "port": 80}'
    connection.request("POST", "/register", body, {"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    connection.close()
    assert [way() for way in ways_in(mutual, context)] == [200, 200, 1]


def asking(secure: Secure, *arguments: str, **environment: str) -> Done:
    return discovery(*arguments, DISCOVERY_URL=f"https://127.0.0.1:{secure.https_port}", **environment)


def test_the_command_line_shows_its_certificate_and_says_which_setting_is_missing(
    mutual: Secure, authority: Authority
) -> None:
    ours, ca = authority.sign("operator"), str(mutual.pair.cert)
    stats = ("get", "nodes", "-o", "name")
    assert "DISCOVERY_CA" in asking(mutual, *stats).said
    assert "DISCOVERY_CERT" in asking(mutual, "--ca", ca, *stats).said
    files = ("--cert", str(ours.cert), f"--key={ours.key}", "--ca", ca)
    assert asking(mutual, *stats, *files).status == 0
    named = {"DISCOVERY_CERT": str(ours.cert), "DISCOVERY_KEY": str(ours.key), "DISCOVERY_CA": ca}
    assert asking(mutual, *stats, **named).status == 0
    program = ("run", "--name", "shop", "--port", "80", "--probe", "none", *files, "--", "true", "--cert", "its-own")
    assert asking(mutual, *program).status == 0
    for name, wrong in (("--ca", "/nowhere"), ("--cert", str(ours.key)), ("--key", ca)):
        done = asking(mutual, *stats, *files, name, wrong)
        assert done.status == 2
        assert f"DISCOVERY_{name[2:].upper()}" in done.err
        assert done.err.count("\n") == 1
    assert asking(mutual, *stats, "--key").err == "discovery: --key: the file is missing\n"


async def test_the_sdk_reads_its_certificate_again_when_it_was_exchanged(
    mutual: Secure, authority: Authority, tmp_path: Path
) -> None:
    """One that cannot be used leaves the one before in use."""
    cert, key = tmp_path / "client.pem", tmp_path / "client.key"

    def exchange(pair: Pair) -> None:
        shutil.copy(pair.cert, cert)
        shutil.copy(pair.key, key)

    exchange(authority.sign("old"))
    url, ca = f"https://127.0.0.1:{mutual.https_port}", mutual.pair.cert
    async with RegistryClient(url, tls=ca, cert=cert, key=key) as registry:
        assert (await registry.request("GET", "/stats")).status == 200
        exchange(another(tmp_path / "stranger"))
        # In TLS 1.3 the client may write before the server has looked at its certificate: the reset may come before the alert.
        with pytest.raises(Unreachable, match=r"DISCOVERY_CERT|reset by peer"):
            await registry.request("GET", "/stats")
        exchange(authority.sign("new"))
        assert (await registry.request("GET", "/stats")).status == 200
        cert.write_text("half of")
        assert (await registry.request("GET", "/stats")).status == 200


def test_a_handshake_that_is_refused_is_a_line_and_many_are_not_more(authority: Authority, tmp_path: Path) -> None:
    with running_secure(tmp_path, TLS_CLIENT_CA=str(authority.pair.cert)) as secure:
        began = time.monotonic()
        for _ in range(30):
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                ways_in(secure, showing(secure, None))[0]()
        said = "the TLS handshake of 127.0.0.1 failed: peer did not return a certificate"
        until(lambda: any(said in line for line in secure.server.log))
        lines = sum("the TLS handshake of" in line for line in secure.server.log)
        assert lines <= 3 + (time.monotonic() - began) / 10, "one in ten seconds"


def test_another_authority_is_trusted_from_when_its_file_is_there(
    mutual: Secure, authority: Authority, tmp_path: Path
) -> None:
    file = mutual.pair.cert.with_name("clients.pem")
    newcomers = Authority(tmp_path / "newcomers")
    context = showing(mutual, newcomers.sign("client"))

    def let_in() -> bool:
        try:
            return ways_in(mutual, context)[0]() == 200
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return False

    assert not let_in()
    with closing(Web(mutual.https_port, showing(mutual, authority.sign("old")))) as old:
        assert old.get() == 200
        file.write_text(authority.pair.cert.read_text() + newcomers.pair.cert.read_text())
        until(let_in)
        assert old.get() == 200
    file.write_text(authority.pair.cert.read_text())
    until(lambda: not let_in())


# -- who never shakes hands


@pytest.mark.parametrize("port", ["https_port", "dot_port"])
def test_300_that_connect_and_say_nothing_keep_nobody_out_and_are_gone_after_5_s(tmp_path: Path, port: str) -> None:
    with running_secure(tmp_path, HEARTBEAT_TIMEOUT_SECONDS=3600) as secure, ExitStack() as stack:
        secure.register("shop", "10.0.0.1")
        files = Path(f"/proc/{secure.server.process.pid}/fd")

        def asked_while_all_are_there() -> list[socket.socket]:
            """Those who say nothing; none where it took so long that they had to go."""
            silent = [
                stack.enter_context(
                    socket.create_connection(
                        ("127.0.0.1", getattr(secure, port)), LIMIT, (f"127.0.0.{10 + number % 3}", 0)
                    )
                )
                for number in range(300)
            ]
            came = time.monotonic()
            until(lambda: len(os.listdir(files)) >= 300 or time.monotonic() - came > HANDSHAKE_SECONDS)
            for _ in range(5):
                web, names = Web(secure.https_port, secure.context()), Names(secure.dot_port, secure.context())
                assert (web.get(), names.ask()) == (200, 1)
                web.close()
                names.close()
            return silent if len(os.listdir(files)) >= 300 else []

        began = time.monotonic()
        for sock in until(asked_while_all_are_there):
            sock.settimeout(LIMIT)
            assert ended(sock)
        assert time.monotonic() - began > HANDSHAKE_SECONDS - 0.5
        assert "Traceback" not in "\n".join(secure.server.log)


def ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_nor_do_those_of_one_address_keep_others_out(tmp_path: Path) -> None:
    """Beyond its share a crowd is refused at once; other addresses have theirs."""
    with running_secure(tmp_path) as secure, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", secure.https_port), LIMIT, ("127.0.0.10", 0)))
        web = Web(secure.https_port, secure.context())
        stack.callback(web.close)
        assert web.get() == 200
