"""`discovery top` and `discovery log`, off a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.live import At
from tests.stories.process import Discovery, running, until


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running() as server:
        yield server


def test_top_tells_who_asks_and_for_what_that_is_not_there(server: Discovery) -> None:
    at = At(server.http)
    assert at("top").out == "nothing was asked or changed in the last 10 minutes\n"
    server.register("web")
    for _ in range(64):  # one in 16 is looked at
        server.ask("nix.svc.local")
    found = at("top", "-o", "json").content
    assert found["unknownNames"][0]["name"] == "nix.svc.local"
    assert found["services"][0] == {"service": "web", "changes": 1, "error": 0}
    out = at("top").out
    assert "NAME THAT DOES NOT EXIST  QUERIES\nnix.svc.local" in out
    assert "\n\nSERVICE  CHANGES\nweb            1\n" in out
    assert "nix.svc.local\n" in at("top", "-o", "name").out
    assert at("top", "--minutes", "0").status == 2
    assert "minutes" in at("top", "--minutes", "11").said


def test_names_from_the_wire_move_no_cursor(server: Discovery) -> None:
    for _ in range(64):
        server.ask(r"\027[2J[red]\032x.svc.local")
    for output in ("table", "json", "yaml", "name"):
        out = At(server.http)("top", "-o", output).out
        assert out.replace("\n", "").isprintable()
        assert "[red]" in out


def test_logs_go_on_and_off(server: Discovery) -> None:
    at = At(server.http)
    assert at("log", "-o", "json").content["queries"] is False
    arguments = "log --queries --accesses --for 1m --name web --client 127.0.0.0/8 --answer -o json"
    done = at(*arguments.split())
    assert {key: done.content[key] for key in ("queries", "accesses", "name", "client", "answer")} == {
        "queries": True, "accesses": True, "name": "web", "client": "127.0.0.0/8", "answer": True,
    }  # fmt: skip
    server.ask("web.svc.local")
    until(lambda: any("discovery.queries" in line and "web.svc.local" in line for line in server.log))
    shown = dict(line.split(maxsplit=1) for line in at("log").out.splitlines() if line.count(" "))
    assert shown["queries"] == "true"
    assert json.loads(at("log", "off", "-o", "json").out)["queries"] is False


@pytest.mark.parametrize(
    "arguments", [["--answer"], ["off", "--queries"], ["on"], ["--level", "loud"], ["--queries", "--for", "soon"]]
)
def test_what_makes_no_sense_is_2(server: Discovery, arguments: list[str]) -> None:
    assert At(server.http)("log", *arguments).status == 2


def test_what_the_server_refuses_is_1(server: Discovery) -> None:
    assert "client" in At(server.http)("log", "--queries", "--client", "nowhere").said
    assert "seconds" in At(server.http)("log", "--queries", "--for", "0").said
