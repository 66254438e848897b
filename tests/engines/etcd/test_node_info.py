"""What nodes tell of themselves: their zones are compared, and each difference is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from discovery.core import exact_json
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change
from discovery.engines.etcd.node_info import NodeInfos

ZONES = {"svc.local": "", "example.com": "7 00ff"}


class House:
    def __init__(self, zones: Mapping[str, str]) -> None:
        self.zones = zones
        self.silent: set[str] = set()
        self.node_infos = NodeInfos(Etcd([]), Layout("reg/"), "me", "1.0", lambda: self.zones, self.silent.__contains__)

    def hears(self, node: str, **info: Any) -> None:
        self.node_infos.on_node_info(node, Change(b"", exact_json.dumps(info), 1, 1))


def test_nodes_with_the_same_zones_are_no_concern() -> None:
    house = House(ZONES)
    house.hears("b", version="1.1", zones=dict(ZONES))
    assert house.node_infos.differences() == []
    assert house.node_infos.versions() == {"me": "1.0", "b": "1.1"}
    assert house.node_infos.version_of("c") is None


def test_each_kind_of_difference_is_said_with_who_has_what() -> None:
    house = House(ZONES)
    house.hears("b", version="1.1", zones={"svc.local": "3 00aa", "example.com": "8 00fe", "more.test": "1 01"})
    assert house.node_infos.differences() == [
        "example.com is a file with serial 8 and content 00fe at b and a file with serial 7 and content 00ff here",
        "b serves more.test, this node does not",
        "svc.local is a file with serial 3 and content 00aa at b and without a file here",
    ]
    house.hears("b", version="1.1", zones={"svc.local": ""})
    assert house.node_infos.differences() == ["this node serves example.com, b does not"]


def test_a_node_that_is_silent_or_gone_is_not_compared() -> None:
    house = House(ZONES)
    house.hears("b", version="1.1", zones={})
    assert len(house.node_infos.differences()) == 2
    house.silent.add("b")
    assert house.node_infos.differences() == []
    house.silent.clear()
    house.node_infos.on_node_info("b", Change(b"", None, 1, 2))
    assert house.node_infos.differences() == []
    assert house.node_infos.version_of("b") is None


def test_it_follows_when_this_node_reads_its_zones_again() -> None:
    house = House({})
    house.hears("b", version="1.1", zones=dict(ZONES))
    assert len(house.node_infos.differences()) == 2
    house.zones = dict(ZONES)
    assert house.node_infos.differences() == []


def test_of_many_differences_as_many_are_kept_as_a_node_tells_of() -> None:
    house = House({f"z{number:05}.test": "1 00" for number in range(3000)})
    house.hears("b", version="1.1", zones={})
    assert len(house.node_infos.differences()) == 1000, "as many as a node tells of"


@pytest.mark.parametrize("value", [b"[]", b"{", b'{"zones": []}'])
def test_what_is_no_card_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"object|JSON|json|unexpected|EOF"):
        House({}).node_infos.on_node_info("b", Change(b"", value, 1, 1))
