"""One account of an instance on all surfaces: a server with instances in each state, asked by everybody who may ask, in the same words and
with the same instants. Names of tokens, actors and clients are for admins and owners.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.plugins.auth.house import ADMIN, FOREIGN, OLD, OWNER, READER, SECRETS, written
from tests.stories.process import Discovery, running, until
from tests.stories.surfaces import accounts, agreed, cli, ede

TTL = 600
SILENT, CLOSED, REFUSED = 2, 9, 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    """`web` has one instance of each state by port; of `crowd` the brake holds all; the token `old` has expired meanwhile."""
    folder = tmp_path_factory.mktemp("accounts")
    expires = datetime.now(UTC) + timedelta(seconds=8)
    text = written((OWNER, READER, FOREIGN, ADMIN, OLD))
    (folder / "tokens.toml").write_text(re.sub("expires = .*", f"expires = {expires:%Y-%m-%dT%H:%M:%SZ}", text))
    with running(
        DATA_DIR=str(folder / "data"), TOKENS_FILE=str(folder / "tokens.toml"), HEARTBEAT_TIMEOUT_SECONDS=TTL,
        CLEANUP_INTERVAL_SECONDS=300, BRAKE_MAX_SECONDS=600, BRAKE_PERCENT=70, BRAKE_PROBE="false",
    ) as server:  # fmt: skip
        server.token = SECRETS[ADMIN]
        for port in range(1, 8):
            server.register("web", port=port, ttl={SILENT: 1}.get(port, TTL))
        server.register("web", port=CLOSED, check={"tcp": True, "interval": 1, "failures": 1, "timeout": 0.5})
        ids = {each["port"]: each["id"] for each in server.request("GET", "/services/web").body["instances"]}
        server.request("PUT", f"/instances/{ids[3]}/drain")
        server.request("PUT", f"/instances/{ids[4]}/maintenance", {"reason": "a new disk", "seconds": 600})
        server.register_together(
            [{"name": "crowd", "ip": f"10.0.0.{number}", "port": 3001, "ttl": 1} for number in range(1, 4)]
        )
        for name in ("left", "fell"):
            server.register(name, ttl=1 if name == "fell" else TTL)
        server.request("DELETE", "/services/left")
        until(lambda: datetime.now(UTC) > expires)
        server.token = SECRETS[OLD]
        assert [server.heartbeat("web", port=REFUSED).status for _ in range(2)] == [401, 401]
        server.token = SECRETS[ADMIN]
        server.heartbeat("lost", port=80)
        until(lambda: _statuses(server) >= {"unhealthy", "failing"} and ede(server, "crowd.svc.local"))
        yield server


def _statuses(server: Discovery) -> set[str]:
    return {each["status"] for each in server.request("GET", "/services/web").body["instances"]}


@pytest.mark.parametrize("who", [ADMIN, OWNER, READER, FOREIGN, ""])
def test_every_surface_says_the_same_of_each_instance(server: Discovery, who: str) -> None:
    found = agreed(server, "web", SECRETS[who] if who else "")
    knows = who in (ADMIN, OWNER)
    somebody = "admin at 127.0.0.1" if knows else "somebody"
    assert found[1]["why"] == "its lease runs"
    assert found[1]["next"] == "without a heartbeat it leaves the answers"
    assert found[SILENT]["why"] == "its lease ran out: no heartbeat for 1 s"
    assert found[3]["why"] == f"it is draining, {somebody} asked for it"
    assert found[4]["why"] == f"it is in maintenance, {somebody} asked for it: a new disk"
    assert {found[port]["by"] for port in (3, 4)} == {"admin at 127.0.0.1" if knows else None}
    assert found[CLOSED]["why"].startswith("the checks of it fail: ")
    refused = re.fullmatch(
        r"its lease runs; its heartbeats are refused since \d\d:\d\d:\d\dZ, N times: (.*)",
        found[REFUSED]["why"],
    )
    assert refused is not None
    assert re.fullmatch(r"the token old expired at \S+" if knows else "its token expired", refused[1])
    assert {port: each["status"] for port, each in found.items() if not each["served"]} == {
        SILENT: "unhealthy", 3: "draining", 4: "maintenance", CLOSED: "failing",
    }  # fmt: skip


def test_the_brake_began_at_one_instant_on_all_surfaces(server: Discovery) -> None:
    held = agreed(server, "crowd", SECRETS[ADMIN])
    server.token = SECRETS[ADMIN]
    (hold,) = server.request("GET", "/stats").body["brakeHolds"]
    since = {each["since"] for each in held.values()}
    assert since == {hold["since"]}
    clock = hold["since"][11:19] + "Z"
    text = ede(server, "crowd.svc.local")
    assert text.startswith(f"crowd: 3 of 3 answers are suspect since {clock}: it fell silent together with many others")


def test_until_when_the_brake_holds_is_the_same_everywhere(server: Discovery) -> None:
    """It moves while the process stands still, as it does where others use all cores: then both are asked again."""
    server.token = SECRETS[ADMIN]

    def is_the_same() -> bool:
        (hold,) = server.request("GET", "/stats").body["brakeHolds"]
        return f"until {hold['until'][11:19]}Z" in ede(server, "crowd.svc.local")

    until(is_the_same)


def test_dns_names_nobody_and_says_why_since_when(server: Discovery) -> None:
    server.token = SECRETS[ADMIN]
    silent = next(each for each in server.request("GET", "/services/web").body["instances"] if each["port"] == SILENT)
    text = ede(server, f"p{SILENT}.web.svc.local")
    assert text == (
        f"p{SILENT}.web is known, 0 of 1 healthy (1 unhealthy), it is that since {silent['since'][11:19]}Z: "
        "its lease ran out: no heartbeat for 1 s"
    )
    drained = ede(server, "p3.web.svc.local")
    assert drained.endswith("it is draining, somebody asked for it")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("left", r"one of this name was until \d\d:\d\d:\d\dZ: it was deregistered{} \(history\)"),
        ("lost", r"heartbeats{} are refused since \d\d:\d\d:\d\dZ, once: "),
    ],
)
def test_of_what_is_not_there_all_surfaces_say_what_became_of_it(server: Discovery, name: str, said: str) -> None:
    nobody, admin = said.format(""), said.format("( by admin at 127.0.0.1| of 127.0.0.1 port 80)")
    assert re.search(nobody, ede(server, f"{name}.svc.local"))
    for token, expected in (("", nobody), (SECRETS[ADMIN], admin)):
        server.token = token
        assert re.search(expected, server.request("GET", f"/services/{name}").body["message"])
        assert re.search(nobody, server.request("GET", f"/resolve/{name}").body["message"])
        for command in (["get", "service"], ["explain"]):
            assert re.search(expected, cli(server, *command, name, token=token).err)


def test_a_name_that_nobody_ever_had_says_no_more(server: Discovery) -> None:
    assert ede(server, "never-heard-of.svc.local") == "no service never-heard-of"


def test_the_last_check_is_told_with_its_time(server: Discovery) -> None:
    server.token = SECRETS[ADMIN]
    failing = next(each for each in server.request("GET", "/services/web").body["instances"] if each["port"] == CLOSED)
    assert failing["lastCheck"]["failure"]
    assert failing["lastCheck"]["at"] >= failing["registeredAt"]


def test_all_surfaces_go_on_to_agree_when_the_process_stood_still(server: Discovery) -> None:
    before = accounts(server, "crowd", SECRETS[ADMIN])
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(3)  # for so long it stands still
    server.process.send_signal(signal.SIGCONT)
    until(lambda: any("stood still" in line for line in server.log))
    assert accounts(server, "crowd", SECRETS[ADMIN]) == before
    (hold,) = server.request("GET", "/stats").body["brakeHolds"]
    assert {each["since"] for each in before["/resolve"].values()} == {hold["since"]}
