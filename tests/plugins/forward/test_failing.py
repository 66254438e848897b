"""Upstreams that fail, hang or come late, and what the whole process is like meanwhile; settings that cannot work."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.plugins.forward.server import SHOP, WWW, forwarding, resolve
from tests.plugins.forward.upstream import (
    Asked,
    Script,
    reply_to,
    says,
    silent,
    upstreams,
)
from tests.stories.process import LIMIT, running, until
from tests.stories.standards.clients import failing_start
from tests.stories.standards.memory import descriptors
from tests.stories.standards.streams import connected, framed


def test_when_all_are_silent_dig_prints_why() -> None:
    with upstreams(silent, silent) as fakes, forwarding(fakes, FORWARD_TIMEOUT_SECONDS="0.2") as server:
        dug = resolve(server, WWW)
        assert (dug.status, "ra" in dug.flags) == ("SERVFAIL", True)
        [line] = [line for line in dug.edns or [] if "EDE" in line]
        assert "EDE: 22 (No Reachable Authority)" in line
        assert all(str(fake.address) in line for fake in fakes)


def test_the_next_upstream_is_asked_when_one_fails() -> None:
    scripts: list[Script] = [silent, says(rcode=dns.rcode.SERVFAIL), says("192.0.2.3")]
    with upstreams(*scripts) as fakes, forwarding(fakes, FORWARD_TIMEOUT_SECONDS="0.2") as server:
        until(
            lambda: resolve(server, WWW).rdata == {"192.0.2.3"}
        )  # not at once, where this process is not run meanwhile


def test_names_are_found_quickly_again_soon_after_the_first_upstream_has_died() -> None:
    with upstreams(silent, says("192.0.2.3")) as fakes, forwarding(fakes, FORWARD_TIMEOUT_SECONDS="0.5") as server:

        def nobody_waits_for_it() -> bool:
            asked = len(fakes[0].asked)
            return resolve(server, WWW).rdata == {"192.0.2.3"} and len(fakes[0].asked) == asked

        until(nobody_waits_for_it)
        assert len(fakes[0].asked) >= 3
        until(lambda: any("did not answer 3 times in a row" in line for line in server.log))


def test_rfc6891_a_failure_that_only_edns_can_tell_is_servfail_for_who_has_no_edns() -> None:
    with upstreams(says(rcode=dns.rcode.BADVERS)) as fakes, forwarding(fakes) as server:
        assert resolve(server, WWW, "+noedns").status == "SERVFAIL", "the lower four bits of BADVERS are NOERROR's"


def test_while_an_upstream_hangs_our_own_names_and_http_do_not_wait_for_it() -> None:
    with upstreams(silent) as fakes, forwarding(fakes, FORWARD_TIMEOUT_SECONDS="30") as server, ExitStack() as stack:
        for _ in range(10):
            stream = stack.enter_context(connected(server.dns_port))
            stream.send(
                b"".join(framed(dns.message.make_query(f"x{n}.example.com", "A").to_wire()) for n in range(300))
            )
        until(lambda: fakes[0].asked)
        for _ in range(100):
            assert server.ask(SHOP).answer
        assert server.request("GET", "/health").status == 200
        with connected(server.dns_port) as stream:
            assert stream.ask(SHOP).answer


def test_with_the_descriptors_of_a_default_system_hanging_upstreams_leave_room_for_others() -> None:
    with (
        upstreams(silent) as fakes,
        descriptors(1024),
        forwarding(fakes, FORWARD_TIMEOUT_SECONDS="5") as server,
        ExitStack() as stack,
    ):
        for _ in range(5):
            stream = stack.enter_context(connected(server.dns_port))
            queries = (dns.message.make_query(f"x{number}.example.com", "A") for number in range(300))
            stream.send(b"".join(framed(query.to_wire()) for query in queries))
            assert stream.ask(SHOP).answer, "all before it have been read"
        assert server.ask(SHOP).answer
        assert server.request("GET", "/health").status == 200
        with connected(server.dns_port) as stream:
            assert stream.ask(SHOP).answer


def test_rfc7766_6_2_1_1_an_answer_from_elsewhere_is_overtaken_on_the_same_connection() -> None:
    release = threading.Event()

    def held(asked: Asked) -> list[bytes]:
        release.wait(LIMIT)
        return [reply_to(asked.query, "192.0.2.1").to_wire()]

    with upstreams(held) as fakes, forwarding(fakes, FORWARD_TIMEOUT_SECONDS="10") as server:
        slow, quick = dns.message.make_query(WWW, "A", id=1), dns.message.make_query(SHOP, "A", id=2)
        with connected(server.dns_port) as stream:
            stream.send(framed(slow.to_wire()) + framed(quick.to_wire()))
            first = stream.receive()
            assert first is not None
            assert quick.is_response(dns.message.from_wire(first))
            release.set()
            second = stream.receive()
            assert second is not None
            assert slow.is_response(dns.message.from_wire(second))


def test_a_client_that_hangs_up_before_its_answer_hurts_nobody() -> None:
    release = threading.Event()

    def held(asked: Asked) -> list[bytes]:
        release.wait(LIMIT)
        return says("192.0.2.1")(asked)

    with upstreams(held) as fakes, forwarding(fakes) as server:
        with connected(server.dns_port) as stream:
            stream.send(framed(dns.message.make_query(WWW, "A").to_wire()) * 5)
            assert stream.ask(SHOP).answer
        release.set()
        assert resolve(server, WWW).rdata == {"192.0.2.1"}


def test_a_server_that_is_told_to_stop_does_not_wait_for_upstreams() -> None:
    with (
        upstreams(silent) as fakes,
        forwarding(fakes, FORWARD_TIMEOUT_SECONDS="30") as server,
        connected(server.dns_port) as stream,
    ):
        stream.send(framed(dns.message.make_query(WWW, "A").to_wire()))
        assert stream.ask(SHOP).answer
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("name", "value"),
    [("FORWARD_TO", "dns.example.com"), ("FORWARD_CLIENTS", "10.0.0.0/33"), ("FORWARD_TIMEOUT_SECONDS", "0")],
)
def test_a_bad_setting_is_an_error_at_start(name: str, value: str) -> None:
    said = failing_start(**{"FORWARD_TO": "127.0.0.1", name: value})
    assert name in said
    assert value in said


def test_without_the_plugin_everything_else_is_refused_and_ra_is_clear() -> None:
    with running() as server:
        dug = resolve(server, WWW)
        assert (dug.status, "ra" in dug.flags) == ("REFUSED", False)
        server.register("shop")
        assert "ra" not in resolve(server, SHOP).flags
