"""What a server tells of a service on each of its surfaces, brought to the same form: to be compared with each other."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from tests.cli.live import Done, discovery
from tests.stories.dig import dig
from tests.stories.process import Discovery, environment

# What an account says; the times and counts of heartbeats differ from one question to the next.
ACCOUNT = ("status", "served", "why", "since", "by", "next")


def cli(server: Discovery, *arguments: str, token: str = "") -> Done:
    """A command in this process, in a thread of its own: in this one may be Playwright's loop."""
    shown = {"DISCOVERY_TOKEN": token} if token else {}
    given = environment(DISCOVERY_URL=server.http, PORT=server.port, **shown)
    with mock.patch.dict(os.environ, given, clear=True), ThreadPoolExecutor(1) as thread:
        return thread.submit(discovery, *arguments).result()


def accounts(server: Discovery, service: str, token: str = "") -> Mapping[str, dict[int, dict[str, Any]]]:
    """By surface, and by port: what each of them says of the service's instances."""
    server.token = token
    resolved = server.request("GET", f"/resolve/{service}?explain=1").body["explained"]
    listed = server.request("GET", f"/services/{service}").body["instances"]
    past = server.request("GET", f"/services/{service}/explain").body["explained"]
    one = [server.request("GET", f"/instances/{each['id']}").body for each in listed]
    explained = json.loads(cli(server, "explain", service, "-o", "json", token=token).out)["explained"]
    got = json.loads(cli(server, "get", "service", service, "-o", "json", token=token).out)["instances"]
    surfaces = {
        "/resolve": resolved, "/services": listed, "/services/explain": past, "/instances": one,
        "discovery explain": explained, "discovery get": got,
    }  # fmt: skip
    return {
        surface: {each["port"]: _lasting({name: each[name] for name in ACCOUNT}) for each in found}
        for surface, found in surfaces.items()
    }


def _lasting(account: dict[str, Any]) -> dict[str, Any]:
    """Refused heartbeats go on being counted while one surface is asked after the other."""
    return account | {"why": re.sub(r"\d+ times", "N times", account["why"])}


def agreed(server: Discovery, service: str, token: str = "") -> dict[int, dict[str, Any]]:
    """What all of them say."""
    found = accounts(server, service, token)
    (first, expected), *others = found.items()
    for surface, said in others:
        different = {port: (each, expected.get(port)) for port, each in said.items() if each != expected.get(port)}
        assert said.keys() == expected.keys()
        assert not different, f"{surface} and {first} differ: {different}"
    return expected


def ede(server: Discovery, name: str, rtype: str = "A") -> str:
    """The text of the Extended DNS Error, as dig prints it; "" without one."""
    line = next((line for line in dig(server, name, rtype).edns or () if "EDE: " in line), "")
    return line.partition("): (")[2].removesuffix(")")


def listed(server: Discovery, code: str) -> dict[str, Any] | None:
    """The warning of this code in /ready."""
    return next((each for each in server.request("GET", "/ready").body["warnings"] if each["code"] == code), None)
