"""Who gets a transfer and who does not: address × key × zone × way, and what each is told; all other messages as before."""

from __future__ import annotations

import base64
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.tsig
import pytest

from discovery.dns.message.query import HTTPS, UDP, Request, Transport
from discovery.dns.message.values import Answer, Deferred
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.replies import Replies
from discovery.dns.server.responder import Responder
from discovery.plugins.transfer import sending, tsig
from tests.dns.world import INDEX, ORIGIN, World, make_query, parsed
from tests.plugins.transfer.primary import FILE, INSIDE, OUTSIDE, Primary, key, numbers, request, signed, verified

RIGHT, WRONG = key(), key(secret=b"another secret of thirty-two oct")


@pytest.fixture(name="primary")
def _primary(tmp_path: Path) -> Primary:
    world = World()
    world.add("web", "10.0.0.1")
    return Primary(tmp_path, world)


class Told(NamedTuple):
    """Of a reply that is one message: rcode, error in its TSIG record (None without one), whether that is signed, EDE code and text."""

    rcode: str
    error: int | None
    mac: bool
    ede: int | None
    text: str


def told(reply: bytes) -> Told:
    message = dns.message.from_wire(reply, keyring=False)
    assert not message.answer
    found = tsig.find(reply)
    errors = [option for option in message.options if isinstance(option, dns.edns.EDEOption)]
    ede = (int(errors[0].code), errors[0].text or "") if errors else (None, "")
    return Told(
        dns.rcode.to_text(message.rcode()), found.rdata.error if found else None, bool(found and found.rdata.mac), *ede
    )


@pytest.mark.parametrize("rtype", ["AXFR", "IXFR"])
@pytest.mark.parametrize(
    ("client", "by", "rcode", "error", "mac", "said"),
    [
        (INSIDE, None, "REFUSED", None, False, ["signed with a TSIG key"]),
        (
            OUTSIDE,
            None,
            "REFUSED",
            None,
            False,
            ["signed with a TSIG key", "192.0.2.1 is in no network of TRANSFER_ALLOW"],
        ),
        (OUTSIDE, RIGHT, "REFUSED", 0, True, ["192.0.2.1 is in no network of TRANSFER_ALLOW"]),
        (INSIDE, WRONG, "NOTAUTH", tsig.BADSIG, False, ["was not signed with the key sec-1"]),
        (INSIDE, key("sec-2"), "NOTAUTH", tsig.BADKEY, False, ["no such key"]),
        (INSIDE, key(algorithm="hmac-sha512"), "NOTAUTH", tsig.BADKEY, False, ["no such key"]),
        (OUTSIDE, WRONG, "NOTAUTH", tsig.BADSIG, False, []),
        ("", RIGHT, "REFUSED", 0, True, ["TRANSFER_ALLOW"]),
        ("::ffff:192.0.2.1", RIGHT, "REFUSED", 0, True, ["TRANSFER_ALLOW"]),
        ("fe80::1%eth0", RIGHT, "REFUSED", 0, True, ["TRANSFER_ALLOW"]),
    ],
)
async def test_address_and_key_are_both_needed_and_the_reply_says_which_is_missing(
    primary: Primary,
    rtype: str,
    client: str,
    by: dns.tsig.Key | None,
    rcode: str,
    error: int | None,
    mac: bool,
    said: list[str],
) -> None:
    query = request(rtype=rtype)
    for transport in (primary.tcp, UDP, HTTPS):
        packet = (query if by is None else signed(query, by)).to_wire()
        [reply] = await primary.send(packet, client, transport)
        answer = told(reply)
        assert (answer.rcode, answer.error, answer.mac, answer.ede) == (rcode, error, mac, 18)
        for text in said:
            assert text in answer.text
        assert ("TRANSFER_ALLOW" in answer.text) == any("TRANSFER_ALLOW" in text for text in said)


async def test_the_log_says_why_once_in_a_while(primary: Primary, caplog: pytest.LogCaptureFixture) -> None:
    asked = [(signed(request()), OUTSIDE, 0.0), (request(), INSIDE, 9.0), (signed(request(), WRONG), INSIDE, 10.0)]
    for query, client, now in asked:
        await primary.send(query.to_wire(), client, now=now)
    lines = [record.getMessage() for record in caplog.records if record.name == "discovery.transfer"]
    assert [line.partition(" asked for a transfer of svc.local and did not get it: ")[0] for line in lines] == [
        OUTSIDE,
        INSIDE,
    ]
    assert "TRANSFER_ALLOW" in lines[0]


async def test_who_asks_by_datagram_is_no_line_of_the_log(primary: Primary, caplog: pytest.LogCaptureFixture) -> None:
    await primary.send(request().to_wire(), OUTSIDE, UDP)
    assert not caplog.records, "its address may be forged"


@pytest.mark.parametrize("client", [INSIDE, "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"])
async def test_with_both_it_comes(primary: Primary, client: str) -> None:
    assert len(await primary.axfr(client=client)) > 10


@pytest.mark.parametrize("ahead", [-400, 400])
async def test_rfc8945_5_2_3_a_wrong_clock_is_told_signed_with_both_times(primary: Primary, ahead: int) -> None:
    primary.ahead = ahead
    query = signed(request())
    [reply] = await primary.send(query.to_wire())
    answer = told(reply)
    assert (answer.rcode, answer.error, answer.mac, answer.ede) == ("NOTAUTH", tsig.BADTIME, True, 18)
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(reply, keyring=query.keyring, request_mac=query.mac)
    found = tsig.find(reply)
    sent = tsig.find(query.to_wire())
    assert found is not None
    assert sent is not None
    assert abs(found.rdata.time_signed - sent.rdata.time_signed) <= 1, "the client's"
    assert abs(int.from_bytes(found.rdata.other, "big") - sent.rdata.time_signed - ahead) <= 1, "the server's"


async def test_a_malformed_signature_is_a_format_error(primary: Primary) -> None:
    packet = signed(request(use_edns=False)).to_wire()
    [reply] = await primary.send(packet[:-1] + b"\1" + b"\0")
    assert parsed(reply).rcode() == dns.rcode.FORMERR
    found = tsig.find(packet)
    assert found is not None
    two = tsig.appended(packet, found.key, found.rdata)
    [reply] = await primary.send(two)
    assert parsed(reply).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("origin", "options"),
    [("web.svc.local", {}), ("example.com", {}), (".", {}), (ORIGIN, {"rdclass": "CH"}), (ORIGIN, {"rdclass": "ANY"})],
)
async def test_rfc5936_2_2_1_what_is_no_zone_here_is_notauth_for_who_may_transfer(
    primary: Primary, origin: str, options: dict[str, Any]
) -> None:
    [reply] = await primary.send(signed(request(origin, **options)).to_wire())
    answer = told(reply)
    assert (answer.rcode, answer.error, answer.mac, answer.ede) == ("NOTAUTH", 0, True, 20)
    [reply] = await primary.send(signed(request(origin, **options)).to_wire(), OUTSIDE)
    assert told(reply).rcode == "REFUSED"


@pytest.mark.parametrize("transport", [UDP, HTTPS])
async def test_axfr_needs_a_connection(primary: Primary, transport: Transport) -> None:
    query = signed(request())
    replies = await primary.send(query.to_wire(), transport=transport)
    assert len(verified(replies, query)) == 1
    assert told(replies[0]).rcode == "REFUSED"
    assert "over TCP or TLS" in told(replies[0]).text


@pytest.mark.parametrize("transport", [UDP, HTTPS])
@pytest.mark.parametrize("serial", [1, INDEX + 1, INDEX + 2])
async def test_rfc1995_2_ixfr_without_a_connection_gets_the_soa_alone(
    primary: Primary, transport: Transport, serial: int
) -> None:
    query = signed(request(rtype="IXFR", serial=serial))
    [message] = verified(await primary.send(query.to_wire(), transport=transport), query)
    [soa] = message.answer
    assert soa[0].serial == INDEX + 1
    assert message.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("serial", "whole"),
    [(INDEX, True), (0, True), (INDEX + 1, False), (INDEX + 2, False), (INDEX + 2**31 - 1, False), (2**32 - 1, True)],
)
async def test_rfc1995_4_ixfr_is_the_whole_zone_when_there_is_anything_newer(
    primary: Primary, serial: int, whole: bool
) -> None:
    query = signed(request(rtype="IXFR", serial=serial))
    records = [rr for message in verified(await primary.send(query.to_wire()), query) for rr in message.answer]
    assert (len(records) > 10) == whole
    assert len(records) == 1 or whole
    assert records[0][0].serial == records[-1][0].serial == INDEX + 1


async def test_ixfr_without_a_serial_is_a_format_error(primary: Primary) -> None:
    query = request(rtype="IXFR")
    query.authority.clear()
    [reply] = await primary.send(signed(query).to_wire())
    assert told(reply).rcode == "FORMERR"


async def test_a_registry_that_is_still_being_filled_transfers_nothing(primary: Primary) -> None:
    primary.world.registry.loaded = False
    [reply] = await primary.send(signed(request()).to_wire())
    assert (told(reply).rcode, told(reply).ede) == ("SERVFAIL", 14)


async def test_only_a_few_at_a_time(primary: Primary) -> None:
    packet = signed(request()).to_wire()
    begun = []
    for _ in range(sending.MAX_TRANSFERS + 1):
        assert primary.respond(packet, 0.0, INSIDE, primary.tcp) is None
        begun.append(primary.streamed.pop())
    for stream in begun[:-1]:
        assert len(await anext(stream)) > 300
    query = signed(request())
    [reply] = [message async for message in begun[-1]]
    assert told(reply).rcode == "SERVFAIL"
    assert "transfers are under way" in told(reply).text
    await begun[0].aclose()
    assert len(verified(await primary.send(query.to_wire()), query)) == 1
    await begun[1].aclose()
    assert numbers(primary) == {"sent": 1, "cutShort": 2, "underWay": 0}


# -- what is signed and no transfer; what is neither


@pytest.mark.parametrize("name", ["web.svc.local", "nobody.svc.local", ORIGIN, "example.com"])
@pytest.mark.parametrize("rtype", ["A", "SOA", "SRV"])
@pytest.mark.parametrize("client", [INSIDE, OUTSIDE])
async def test_whoever_signs_gets_the_usual_answer_signed(primary: Primary, name: str, rtype: str, client: str) -> None:
    plain = make_query(name, rtype, edns=1232)
    query = dns.message.from_wire(plain.to_wire())
    assert isinstance(query, dns.message.QueryMessage)
    signed(query)
    for transport in (UDP, primary.tcp, HTTPS):
        [reply] = await primary.send(query.to_wire(), client, transport)
        message = dns.message.from_wire(reply, keyring=query.keyring, request_mac=query.mac)
        [unsigned] = await primary.send(plain.to_wire(), client, transport)
        expected = dns.message.from_wire(unsigned)
        assert message.had_tsig
        assert (message.rcode(), message.flags, message.options) == (expected.rcode(), expected.flags, expected.options)
        assert (message.answer, message.authority) == (expected.answer, expected.authority)


async def test_a_signed_question_with_a_bad_signature_is_answered_by_nobody(primary: Primary) -> None:
    query = make_query("web.svc.local", edns=1232)
    [reply] = await primary.send(signed(query, WRONG).to_wire())
    assert (told(reply).rcode, told(reply).error) == ("NOTAUTH", tsig.BADSIG)


@pytest.mark.parametrize("edns", [None, 512, 1232])
async def test_rfc8945_5_3_where_the_signature_does_not_fit_nothing_else_comes_and_tc(
    primary: Primary, edns: int | None
) -> None:
    for number in range(200):
        primary.world.add("many", f"10.1.0.{number}")
    query = signed(make_query("many.svc.local", edns=edns))
    [reply] = await primary.send(query.to_wire(), transport=UDP)
    assert len(reply) <= (edns or 512)
    message = dns.message.from_wire(reply, keyring=query.keyring, request_mac=query.mac)
    assert (message.answer, message.rcode()) == ([], dns.rcode.NOERROR)
    assert message.flags & dns.flags.TC
    whole = signed(make_query("many.svc.local", edns=edns))
    [reply] = await primary.send(whole.to_wire())
    assert len(dns.message.from_wire(reply, keyring=whole.keyring, request_mac=whole.mac).answer[0]) == 200


async def test_an_answer_that_is_elsewhere_is_signed_when_it_comes(tmp_path: Path) -> None:
    async def ask() -> Answer:
        return Answer.refused()

    def lookup(request: Request, now: float) -> Deferred:
        return Deferred(ask)

    primary = Primary(tmp_path)
    plain = Responder(lookup, Replies(Cookies(bytes(16)), b"me", None), Random(1))
    primary.respond = primary.plugin.respond(plain.respond)
    query = signed(make_query("www.example.com", flags=dns.flags.RD))
    [reply] = await primary.send(query.to_wire(), transport=UDP)
    assert dns.message.from_wire(reply, keyring=query.keyring, request_mac=query.mac).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize(
    "packet",
    [
        make_query("web.svc.local").to_wire(),
        make_query("web.svc.local", edns=1232).to_wire(),
        b"\0\xfa\0\xff\0\0" + make_query("web.svc.local").to_wire()[6:],
        b"", b"\0", b"\0\0", bytes(11), bytes(12), b"\0\xfc" * 20, b"\0\xfa\0\xff\0\0" * 8,
        request().to_wire()[:-3],
        bytes(2) + b"\x84" + request().to_wire()[3:],
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("transport", [UDP, Transport(keepalive=10.0), HTTPS], ids=["udp", "tcp", "https"])
async def test_everything_else_is_the_responders(primary: Primary, packet: bytes, transport: Transport) -> None:
    expected = primary.world.plain.respond(packet, 0.0, INSIDE, transport)
    assert await primary.send(packet, transport=transport) == ([] if expected is None else [expected])


async def test_keys_are_read_again_and_a_bad_file_keeps_the_old(tmp_path: Path) -> None:
    primary = Primary(tmp_path)
    other = key("sec-2", b"another secret of thirty-two oct")
    (tmp_path / "keys.conf").write_text("nonsense")
    await primary.plugin._keys.reload()
    assert await primary.axfr()
    secret = base64.b64encode(other.secret).decode()
    (tmp_path / "keys.conf").write_text(FILE.replace("sec-1", "sec-2").replace(FILE.split('"')[3], secret))
    await primary.plugin._keys.reload()
    [reply] = await primary.send(signed(request()).to_wire())
    assert told(reply).error == tsig.BADKEY
    query = signed(request(), other)
    assert verified(await primary.send(query.to_wire()), query)
