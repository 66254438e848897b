"""What Eureka's clients send, and what nobody should: every body is read, or refused in Eureka's words."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.errors import DiscoveryError
from discovery.plugins.eureka import xml_text
from discovery.plugins.eureka.record import read
from tests.plugins.eureka.house import DATA_CENTER, sent

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = sorted(
    [*sent()["instance"], "securePort", "lastDirtyTimestamp", "countryId", "overriddenStatus", "homePageUrl"]
)


def altered(more: dict[str, Any]) -> dict[str, Any]:
    """A body; None leaves a field out."""
    fields = {**sent()["instance"], **more}
    return {"instance": {name: value for name, value in fields.items() if value is not None}}


_AMAZON = {"@class": "com.netflix.appinfo.AmazonInfo", "name": "Amazon", "metadata": {"availability-zone": "z1"}}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"ip": "10.0.0.1", "port": 8080, "ttl": 25.0, "name": "web"}),
        ({"ipAddr": "not-known", "hostName": "db.example.com"}, {"ip": "db.example.com"}),
        ({"port": {"$": "80", "@enabled": "true"}}, {"port": 80}),
        ({"port": None}, {"port": 7001}),
        ({"port": {"$": 0, "@enabled": "true"}}, {"port": 0}),
        ({"port": {"$": 80, "@enabled": "false"}, "securePort": {"$": 443, "@enabled": "true"}}, {"port": 443}),
        ({"leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 30}}, {"ttl": 65.0}),
        ({"leaseInfo": {"renewalIntervalInSecs": "30", "durationInSecs": -5}}, {"ttl": 90.0}),
        ({"leaseInfo": {"durationInSecs": 10**6}}, {"ttl": 3600.0}),
        ({"leaseInfo": None}, {"ttl": 90.0}),
        ({"leaseInfo": {"renewalIntervalInSecs": None, "durationInSecs": None}}, {"ttl": 90.0}),
        ({"metadata": {"a": 1, "b": True, "@class": "x"}}, {"metadata": b'{"a":"1","b":"true"}'}),
        ({"metadata": {"zone": "eu-a"}}, {"zone": "eu-a"}),
        ({"metadata": {"zone": "no zone!"}}, {"zone": None}),
        ({"dataCenterInfo": _AMAZON}, {"zone": "z1"}),
        ({"app": "Com.Example_App"}, {"name": "com.example_app"}),
    ],
)  # fmt: skip
def test_a_registration_is_made_of_it(more: dict[str, Any], expected: dict[str, Any]) -> None:
    body = altered(more)
    spec = read(body, body["instance"]["app"]).spec
    assert {name: getattr(spec, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"hostName": None}, "^Missing hostname$"),
        ({"ipAddr": None}, "^Missing ip address$"),
        ({"dataCenterInfo": None}, "^Missing dataCenterInfo$"),
        ({"app": "OTHER"}, "^Mismatched appName, expecting WEB but was OTHER$"),
        ({"app": None}, "cannot parse request body: app is missing"),
        ({"port": 80}, "port must be an object"),
        ({"port": {"$": {"$": 1}}}, "port must be a whole number"),
        ({"countryId": -(2**70)}, "countryId must be a whole number"),
        ({"port": {"$": 65536}}, "port: is out of range"),
        ({"port": {"$": -1}}, "port: is out of range"),
        ({"metadata": {"a": {"b": "c"}}}, "metadata.a must be a text"),
        ({"metadata": {"a": "x" * 2**15}}, "metadata: is 32776 octets"),
        ({"metadata": []}, "metadata must be an object"),
        ({"dataCenterInfo": {"name": "MyOwn"}}, "no @class that is known"),
        ({"dataCenterInfo": {"@class": "evil.Class", "name": "MyOwn"}}, "no @class that is known"),
        ({"dataCenterInfo": {"@class": [], "name": "MyOwn"}}, "no @class that is known"),
        ({"dataCenterInfo": {**DATA_CENTER, "name": "Mine"}}, "name must be one of MyOwn"),
        ({"instanceId": "x" * 10_000}, "instanceId has 10,000 characters, at most 512"),
        ({"homePageUrl": ["x"]}, "homePageUrl must be a text"),
        ({"leaseInfo": 7}, "leaseInfo must be an object"),
        ({"lastDirtyTimestamp": "soon"}, "lastDirtyTimestamp must be milliseconds"),
        ({"ipAddr": "nowhere", "hostName": "also nowhere"}, "ip: must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(more: dict[str, Any], why: str) -> None:
    with pytest.raises(DiscoveryError, match=why):
        read(altered(more), "WEB")


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4))
def test_whatever_a_field_is_the_body_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        spec = read({"instance": {**sent()["instance"], **fields}}, "WEB").spec
    except DiscoveryError:
        return
    assert 1 <= (spec.ttl or 0) <= 3600


# -- XML


def test_xml_is_read_as_the_json_that_says_the_same() -> None:
    text = b"""<?xml version="1.0"?><instance><hostName>a&amp;b</hostName><port enabled="true">80</port>
      <dataCenterInfo class="x.Y"><name>MyOwn</name></dataCenterInfo><metadata/></instance>"""
    assert xml_text.read(text) == {
        "instance": {
            "hostName": "a&b", "port": {"$": "80", "@enabled": "true"}, "dataCenterInfo": {"@class": "x.Y", "name": "MyOwn"},
            "metadata": "",
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "DOCTYPE"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "DOCTYPE"),
        (b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><a>&b;</a>', "DOCTYPE"),
        (b"<a>&x;</a>", "undefined entity"),
        (b"<a>" * 17 + b"</a>" * 17, "more than 16 levels"),
        (b"<a>" + b"<b/>" * 10_000 + b"</a>", "more than 10000 elements"),
        (b"<a>", "no element found"),
        (b"", "no element found"),
        (b"\xff\xfe", "not well-formed|no element"),
        (b'<?xml version="1.0" encoding="none"?><a/>', "unknown encoding"),
    ],
)
def test_xml_that_would_take_long_or_reach_out_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        xml_text.read(text)


_NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)


@given(
    st.dictionaries(
        _NAMES, st.text().map(str.strip) | st.dictionaries(_NAMES, st.text().map(str.strip), max_size=3), max_size=4
    )
)
def test_what_is_written_is_read_again_but_for_what_xml_cannot_say(tree: dict[str, Any]) -> None:
    clean = {key: _said(each) for key, each in tree.items()}
    for depth in (0, None):
        assert xml_text.read(xml_text.write("root", tree, depth).encode()) == {"root": clean or ""}


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _said(each) for key, each in value.items()} or ""
    return xml_text._clean(value).replace("\r\n", "\n").replace("\r", "\n").strip()


@given(st.binary(max_size=60) | st.from_regex(rb"<[a-z]( [a-z]=\"[a-z]\")?>.{0,9}</[a-z]>"))
def test_whatever_octets_come_they_are_xml_or_a_value_error(octets: bytes) -> None:
    try:
        found = xml_text.read(octets)
    except ValueError:
        return
    assert len(found) == 1
