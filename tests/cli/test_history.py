"""`discovery history` and `discovery explain --at`: what happened, and who was in the answers at an instant."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from discovery.client.replies import epoch
from tests.cli.live import At
from tests.stories.process import Discovery, running, until

NASTY = "\x1b[2J\u202e[red]x"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    """What happened in it: web came twice and one of them was drained, billing came and went."""
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, DATA_DIR=str(tmp_path_factory.mktemp("data"))) as server:
        server.register("web", port=1, id="w1")
        server.register("web", port=2, id="w2", ip="10.0.0.2")
        server.request("PUT", "/instances/w1/drain")
        time.sleep(0.005)  # times are told in milliseconds: what is asked about must lie between two
        server.register("billing", id="b1")
        time.sleep(0.005)
        server.request("DELETE", "/instances/b1")
        server.request("PUT", "/services/web/maintenance", {"reason": NASTY, "seconds": 60})
        server.request("DELETE", "/services/web/maintenance")
        at = At(server.http)
        until(lambda: len(at("history", "-o", "json").content["events"]) >= 11)
        yield server


def kinds(at: At, *arguments: str) -> list[str]:
    return [event["kind"] for event in at("history", *arguments, "-o", "json").content["events"]]


def test_it_is_told_oldest_first(server: Discovery) -> None:
    at = At(server.http)
    assert kinds(at, "billing", "--kind", "registered", "--kind", "deregistered") == ["registered", "deregistered"]
    assert kinds(at, "web", "--kind", "registered,draining") == ["registered", "registered", "draining", "draining"]
    assert kinds(at, "web", "--kind", "registered,draining", "-n", "1") == ["draining"]
    assert kinds(at, "--ip", "10.0.0.2", "--kind", "registered") == ["registered"]
    assert kinds(at, "billing", "--actor", "127.0.0.1")[-1] == "deregistered"
    assert kinds(at, "web", "--until", "1h") == []
    assert "started" in kinds(at, "--since", "1h")


def test_it_is_a_table_for_people(server: Discovery) -> None:
    done = At(server.http)("history", "billing", "--kind", "registered,deregistered")
    assert [line.split()[1:4] for line in done.out.splitlines()] == [
        ["KIND", "SERVICE", "ADDRESS"],
        ["registered", "billing", "127.0.0.1:3001"],
        ["deregistered", "billing", "127.0.0.1:3001"],
    ]
    assert At(server.http)("history", "nix", "--kind", "registered").err.startswith("nothing happened\n")


def test_strangers_texts_move_no_cursor(server: Discovery) -> None:
    for output in ("table", "wide", "json", "yaml"):
        out = At(server.http)("history", "web", "-o", output).out
        assert out.replace("\n", "").isprintable()
        assert "[red]x" in out


def test_more_than_a_page_is_all_there(server: Discovery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discovery.cli.history._PAGE", 3)
    at = At(server.http)
    whole = kinds(at)
    assert len(whole) >= 11
    assert kinds(at, "-n", "7") == whole[-7:]


def test_what_does_not_go_back_so_far_is_told(server: Discovery) -> None:
    done = At(server.http)("history", "web", "--since", "2h")
    assert done.status == 0
    assert done.err.startswith("not all of it is here: ")


def test_an_instant_is_explained(server: Discovery) -> None:
    at = At(server.http)
    removed = at("history", "billing", "--kind", "deregistered", "-o", "json").content["events"][0]["timestamp"]
    assert [each["id"] for each in at("explain", "billing", "--at", removed, "-o", "json").content["explained"]] == [
        "b1"
    ]
    then = {
        each["id"]: each["status"] for each in at("explain", "web", "--at", removed, "-o", "json").content["explained"]
    }
    assert then == {"w1": "draining", "w2": "healthy"}
    now = at("explain", "billing", "--at", "now")
    assert now.out == ""
    assert "no instance" in now.err
    assert "gone by then: " in now.err


def test_what_the_history_does_not_know_is_1(server: Discovery) -> None:
    done = At(server.http)("explain", "web", "--at", "2001-01-01T00:00Z")
    assert done.status == 1
    assert re.search(r"does not go back so far; it begins at 20[0-9T:.-]+Z$", done.err)
    never = At(server.http)("explain", "nothing", "--at", "now")
    assert "No service nothing was registered at " in never.err


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["-n", "0"], ["web", "more"]])
def test_wrong_arguments_are_2(server: Discovery, arguments: list[str]) -> None:
    assert At(server.http)("history", *arguments).status == 2
    assert At(server.http)("explain", "web", "--at", "soon").status == 2


def test_what_a_stopped_server_did_not_answer_is_told(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with running(DATA_DIR=data) as server:
        server.register("web")
        assert server.stop() == 0
    with running(DATA_DIR=data) as server:
        at = At(server.http)
        until(lambda: "stopped" in kinds(at))
        [stopped] = [
            event for event in json.loads(at("history", "-o", "json").out)["events"] if event["kind"] == "stopped"
        ]
        middle = (epoch(stopped["timestamp"]) + epoch(stopped["until"])) / 2
        assert "nobody was answered" in at("explain", "web", "--at", f"{middle:.3f}").err
