"""TSIG with dnspython as the other side: it signs what is checked here, and verifies what is signed here."""

from __future__ import annotations

import struct
import time
from typing import Any

import dns.message
import dns.name
import dns.tsig
import pytest
from dns.tsig import Key
from hypothesis import given
from hypothesis import strategies as st

from discovery.dns.message.query import UDP, parse
from discovery.dns.message.query import Malformed as NoQuery
from discovery.plugins.transfer import tsig
from discovery.plugins.transfer.tsig import Signer, Unverified
from tests.plugins.transfer.primary import SECRET, key, request, signed

OURS = Key("sec-1", SECRET)
KEYS = {OURS.name: OURS}
NAMES = ["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]


def checked(packet: bytes, keys: tsig.Keys | None = None, ahead: int = 0) -> Signer | Unverified:
    found = tsig.find(packet)
    assert found is not None
    return tsig.check(packet, found, KEYS if keys is None else keys, int(time.time()) + ahead)


def made(**options: Any) -> bytes:
    return signed(request(**options)).to_wire()


@pytest.mark.parametrize("algorithm", NAMES)
def test_what_dnspython_signs_is_verified_and_our_reply_is_by_dnspython(algorithm: str) -> None:
    query = signed(request(), key(algorithm=algorithm))
    ours = Key("sec-1", SECRET, algorithm)
    signer = checked(query.to_wire(), {ours.name: ours})
    assert isinstance(signer, Signer)
    reply = signer.sign(dns.message.make_response(request()).to_wire(), int(time.time()))
    message = dns.message.from_wire(reply, keyring=query.keyring, request_mac=query.mac)
    assert message.had_tsig
    assert message.keyalgorithm == dns.name.from_text(algorithm)


def test_names_of_keys_are_compared_without_case() -> None:
    assert isinstance(checked(signed(request(), key("SEC-1")).to_wire()), Signer)


def test_a_compressed_name_of_a_key_is_followed() -> None:
    """dnspython compresses where it can, as BIND may: here the key is called as the zone is."""
    ours = Key("svc.local", SECRET)
    packet = signed(request(use_edns=False), key("svc.local")).to_wire()
    found = tsig.find(packet)
    assert found is not None
    assert packet[found.at : found.at + 2] == b"\xc0\x0c"
    assert isinstance(checked(packet, {ours.name: ours}), Signer)


@pytest.mark.parametrize(
    ("by", "error"),
    [
        (key("other"), tsig.BADKEY),
        (key(algorithm="hmac-sha512"), tsig.BADKEY),
        (key(algorithm="hmac-sha1"), tsig.BADKEY),
        (key(secret=b"another secret of thirty-two oct"), tsig.BADSIG),
        (key(secret=b""), tsig.BADSIG),
    ],
)
def test_rfc8945_5_2_key_and_mac_are_told_apart_and_such_errors_are_not_signed(by: dns.tsig.Key, error: int) -> None:
    unverified = checked(signed(request(), by).to_wire())
    assert isinstance(unverified, Unverified)
    assert (unverified.error, unverified.signer) == (error, None)
    reply = unverified.unsigned(dns.message.make_response(request()).to_wire())
    found = tsig.find(reply)
    assert found is not None
    assert (found.rdata.error, found.rdata.mac, found.key) == (error, b"", unverified.tsig.key)


@pytest.mark.parametrize(("ahead", "right"), [(0, True), (299, True), (-299, True), (302, False), (-302, False)])
def test_rfc8945_5_2_3_the_time_counts_after_the_mac(ahead: int, right: bool) -> None:
    result = checked(made(), ahead=ahead)
    if right:
        assert isinstance(result, Signer)
        return
    assert isinstance(result, Unverified)
    assert result.error == tsig.BADTIME
    assert result.signer is not None
    forged = checked(signed(request(), key(secret=b"another secret of thirty-two oct")).to_wire(), ahead=ahead)
    assert isinstance(forged, Unverified)
    assert (forged.error, forged.signer) == (tsig.BADSIG, None), "nobody without the key gets anything signed"


@pytest.mark.parametrize(
    ("fudge", "ahead", "right"),
    [(65535, 299, True), (65535, 302, False), (65535, -302, False), (10, 12, False), (10, 8, True)],
)
def test_rfc8945_10_a_request_may_allow_less_difference_of_clocks_than_300_s_and_not_more(
    fudge: int, ahead: int, right: bool
) -> None:
    query = request()
    query.use_tsig(key(), fudge=fudge)
    result = checked(query.to_wire(), ahead=ahead)
    assert isinstance(result, Signer) is right
    assert right or (isinstance(result, Unverified) and result.error == tsig.BADTIME)


def test_every_octet_that_is_signed_counts() -> None:
    packet = made()
    found = tsig.find(packet)
    assert found is not None
    for at in range(found.at):
        changed = packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :]
        try:
            parse(changed, "", UDP)
            result = checked(changed)
        except (NoQuery, tsig.Malformed, AssertionError):
            continue
        # A forwarder may change the id: the original one is in the record (§4.2). Names are signed in lower case only for the key.
        assert (at < 2) == isinstance(result, Signer), at


def _with_mac(packet: bytes, mac: bytes) -> bytes:
    found = tsig.find(packet)
    assert found is not None
    return tsig.appended(tsig.without(packet, found), found.key, found.rdata.replace(mac=mac))


@pytest.mark.parametrize(("size", "error"), [(16, tsig.BADTRUNC), (31, tsig.BADTRUNC)])
def test_rfc8945_5_2_4_a_truncated_mac_is_not_enough(size: int, error: int) -> None:
    packet = made()
    found = tsig.find(packet)
    assert found is not None
    result = checked(_with_mac(packet, found.rdata.mac[:size]))
    assert isinstance(result, Unverified)
    assert result.error == error
    assert result.signer is not None
    wrong = checked(_with_mac(packet, bytes(size)))
    assert isinstance(wrong, Unverified)
    assert (wrong.error, wrong.signer) == (tsig.BADSIG, None)


@pytest.mark.parametrize("size", [0, 1, 9, 15, 33, 64])
def test_rfc8945_5_2_2_1_a_mac_of_another_size_is_a_format_error(size: int) -> None:
    with pytest.raises(tsig.Malformed):
        checked(_with_mac(made(), bytes(size)))


def _record(klass: int = 255, ttl: int = 0, rdata: bytes | None = None) -> bytes:
    found = tsig.find(made())
    assert found is not None
    data = found.rdata.to_wire() if rdata is None else rdata
    assert data is not None
    return b"\5sec-1\0" + struct.pack("!HHIH", 250, klass, ttl, len(data)) + data


def _message(*additional: bytes) -> bytes:
    plain = request(use_edns=False).to_wire()
    return plain[:10] + len(additional).to_bytes(2, "big") + plain[12:] + b"".join(additional)


def _in_the_answer(packet: bytes) -> bytes:
    return packet[:6] + b"\0\1" + packet[8:10] + b"\0\0" + packet[12:]


OPT = b"\0\0\x29\4\xd0\0\0\0\0\0\0"
A_RECORD = b"\1a\0\0\1\0\1\0\0\0\0\0\4\x0a\0\0\1"


@pytest.mark.parametrize(
    "packet",
    [
        _message(_record(), OPT),
        _message(_record(), A_RECORD),
        _message(_record(), _record()),
        _message(_record(klass=1)),
        _message(_record(ttl=1)),
        _message(_record(rdata=b"")),
        _message(_record(rdata=b"\0" * 9)),
        _message(_record(rdata=_record()[17:] + b"\0")),
        _message(_record(rdata=_record()[17:-1])),
        _message(_record(rdata=b"\xc0\xff" + bytes(16))),
        _in_the_answer(made(use_edns=False)),
    ],
    ids=[
        "OPT after it",
        "A after it",
        "two",
        "class IN",
        "TTL",
        "empty",
        "cut",
        "longer",
        "shorter",
        "pointer",
        "answer",
    ],
)
def test_rfc8945_5_1_a_record_that_is_not_as_it_has_to_be_is_a_format_error(packet: bytes) -> None:
    with pytest.raises(tsig.Malformed):
        tsig.find(packet)


def test_a_message_without_one_has_none() -> None:
    assert tsig.find(request().to_wire()) is None


@given(st.binary(max_size=80), st.integers(0, 120), st.integers(0, 255))
def test_garbage_is_a_format_error_or_not_ours_and_nothing_else(rdata: bytes, at: int, octet: int) -> None:
    packets = [_message(_record(rdata=rdata))]
    whole = bytearray(made())
    whole[min(at, len(whole) - 1)] = octet
    packets.append(bytes(whole))
    for packet in packets:
        try:
            parse(packet, "", UDP)
            found = tsig.find(packet)
            if found is not None:
                tsig.check(packet, found, KEYS, int(time.time()))
        except (NoQuery, tsig.Malformed):
            continue
