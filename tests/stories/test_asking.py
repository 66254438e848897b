"""curl asks for some of a service's instances, and why the others are not among them; dig agrees."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.programs import program
from tests.stories.dig import dig
from tests.stories.process import LIMIT, Discovery, running, until

SHOP: dict[int, dict[str, Any]] = {
    3001: {"tags": ["blue", "v2"], "zone": "eu-1", "weight": 300, "metadata": {"version": "2.1", "canary": True}},
    3002: {"tags": ["green"], "zone": "eu-1", "weight": 100, "metadata": {"version": "2.0"}},
    3003: {"tags": ["blue"], "zone": "us-1", "weight": 100, "metadata": {"version": "2.1"}},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        for port, fields in SHOP.items():
            server.register("shop", port=port, **fields)
        yield server


def curl(server: Discovery, path: str, *arguments: str) -> tuple[int, Any]:
    """The status, and the JSON."""
    command = [
        program("curl"),
        "-sS",
        "--globoff",
        "--max-time",
        str(LIMIT),
        "-w",
        "\n%{http_code}",
        *arguments,
        server.http + path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(body)


def resolved(server: Discovery, query: str) -> list[int]:
    status, body = curl(server, f"/resolve/shop?{query}")
    assert status == 200, body
    return [each["port"] for each in body["instances"]]


@pytest.mark.parametrize(
    ("query", "name"),
    [("tag=blue", "blue.shop"), ("zone=EU-1", "eu-1.zone.shop"), ("port=3003", "p3003.shop"), ("tag=v2", "v2.shop")],
)
def test_a_filter_means_what_a_name_in_dns_means(shop: Discovery, query: str, name: str) -> None:
    in_dns = {int(rdata.split()[2]) for rdata in dig(shop, f"{name}.svc.local", "SRV").rdata}
    assert set(resolved(shop, query)) == in_dns


def test_metadata_and_several_filters_at_once(shop: Discovery) -> None:
    assert resolved(shop, "meta.version=2.1") == [3003, 3001]
    assert resolved(shop, "meta.version=2.1&meta.canary=true&zone=eu-1&tag=blue&tag=v2") == [3001]
    _, body = curl(shop, "/services?meta.version=2.0&limit=5")
    assert [each["port"] for each in body["services"]["shop"]["instances"]] == [3002]


def test_one_at_a_time_goes_round_and_a_weight_draws_more(shop: Discovery) -> None:
    assert sorted(resolved(shop, "strategy=round_robin&limit=1") for _ in SHOP) == [[3001], [3002], [3003]]
    first = [resolved(shop, "strategy=weighted&limit=1") for _ in range(60)]
    assert 20 <= first.count([3001]) <= 52  # of 60 at 3 in 5: all but one in 100,000 times


def test_a_slip_in_a_parameter_is_told_with_the_right_one(shop: Discovery) -> None:
    status, body = curl(shop, "/resolve/shop?tags=blue")
    assert (status, body["code"], body["suggestion"]) == (400, "PARAMETER_UNKNOWN", "tag")
    status, body = curl(shop, "/resolve/shop?meta[version]=2.1")
    assert (status, body["suggestion"]) == (400, "meta.KEY")
    status, body = curl(shop, "/resolve/shop?limit=none")
    assert (status, body["field"]) == (400, "limit")
    assert curl(shop, "/resolve/shop?_=1700000000")[0] == curl(shop, "/health?tags=blue")[0] == 200


def test_a_slip_in_a_body_is_taken_and_told(shop: Discovery) -> None:
    body = '{"name":"other","ip":"127.0.0.1","port":3004,"tag":"blue"}'
    status, reply = curl(shop, "/register", "-H", "Content-Type: application/json", "-d", body)
    assert (status, reply["warnings"]) == (201, ["'tag' is not read here; did you mean tags?"])


def test_explain_tells_at_three_in_the_morning_why_one_is_missing(shop: Discovery) -> None:
    for port in SHOP:
        shop.register("night", port=port)
    shop.register("night", port=3009, ttl=1)
    curl(shop, "/services/night/instances/drain?ip=127.0.0.1&port=3001", "-X", "PUT")
    window = '{"reason":"a new disk","seconds":600}'
    path = "/services/night/instances/maintenance?ip=127.0.0.1&port=3002"
    curl(shop, path, "-X", "PUT", "-H", "Content-Type: application/json", "-d", window)

    def explained() -> dict[int, Any]:
        return {each["port"]: each for each in curl(shop, "/resolve/night?explain=1")[1]["explained"]}

    until(lambda: explained()[3009]["status"] == "unhealthy")
    found = explained()
    assert found[3001]["why"] == "it is draining, 127.0.0.1 asked for it"
    assert found[3002]["why"] == "it is in maintenance, 127.0.0.1 asked for it: a new disk"
    assert found[3003]["why"] == "its lease runs"
    assert found[3009]["why"] == "its lease ran out: no heartbeat for 1 s"
    since, until_then = (datetime.fromisoformat(found[3002][name]) for name in ("since", "until"))
    assert 599 < (until_then - since).total_seconds() < 601
    served = {each["port"] for each in found.values() if each["served"]}
    assert served == {int(rdata.split()[2]) for rdata in dig(shop, "night.svc.local", "SRV").rdata} == {3003}
