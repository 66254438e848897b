"""A night: a token expires, a host dies, the disk fills (a node is cut off: `cluster/test_accounts`). At each moment DNS, HTTP, the
command line, the page, the metrics and the log are asked, and an SRE who has only these can answer: what is wrong, since when, who is
affected, what to do. All tell the same.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from discovery.plugins.auth.tokens import digest
from tests.stories.dashboard.visits import Visits
from tests.stories.dig import dig
from tests.stories.liveness.volume import Volume, volume
from tests.stories.process import LIMIT, ROOT, Discovery, running, until
from tests.stories.surfaces import agreed, cli, ede, listed

ADMIN, ROLLING = "dsc_admin-0123456789", "dsc_rolling-0123456789"
LEASE = 3
SHOP = [("shop", "127.0.0.1", port) for port in (1, 2, 3)]
DYING = [("pay", "10.0.0.7", 80), ("mail", "10.0.0.7", 25)]
LIVING = [("pay", "10.0.0.8", 80)]
TROUBLESHOOTING = (ROOT / "discovery/docs/troubleshooting.md").read_text()


class Beating:
    """Clients that beat twice a second with a token of their own, until `dead`."""

    def __init__(self, server: Discovery, token: str, keys: Sequence[tuple[str, str, int]]) -> None:
        self._server, self._token, self._keys = server, token, keys
        self.dead = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.statuses: list[int] = []

    def _run(self) -> None:
        while not self.dead.wait(0.5):
            for name, ip, port in self._keys:
                body = json.dumps({"name": name, "ip": ip, "port": port}).encode()
                headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
                request = urllib.request.Request(f"{self._server.http}/heartbeat", body, headers, method="POST")
                try:
                    with urllib.request.urlopen(request, timeout=LIMIT) as reply:
                        self.statuses.append(reply.status)
                except urllib.error.HTTPError as error:
                    self.statuses.append(error.code)


@contextmanager
def beating(server: Discovery, token: str, keys: Sequence[tuple[str, str, int]], ttl: int = 60) -> Iterator[Beating]:
    """Registered with that token, too. `ttl`: others than those whose token ends live, however late they beat."""
    server.token = token
    for key in keys:
        server.register(*key, ttl=ttl)
    server.token = ADMIN
    clients = Beating(server, token, keys)
    clients.thread.start()
    try:
        yield clients
    finally:
        clients.dead.set()
        clients.thread.join()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path, "size=4m") as small:
        yield small


def expires(tokens: Path, when: datetime) -> None:
    """The token that services have; whoever stays up at night has another one."""
    fresh = tokens.with_suffix(".new")
    fresh.write_text(
        f'[[token]]\nname = "admin"\nsha256 = "{digest(ADMIN).hex()}"\nadmin = true\n'
        f'[[token]]\nname = "rolling"\nsha256 = "{digest(ROLLING).hex()}"\nregister = ["shop"]\n'
        f"expires = {when:%Y-%m-%dT%H:%M:%SZ}\n"
    )
    fresh.replace(tokens)


@pytest.fixture
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "tokens.toml"


@pytest.fixture
def server(small: Volume, tokens: Path) -> Iterator[Discovery]:
    expires(tokens, datetime.now(UTC) + timedelta(hours=1))
    with running(
        prefix=small.prefix, DATA_DIR=str(small.folder), TOKENS_FILE=str(tokens), HEARTBEAT_TIMEOUT_SECONDS=LEASE,
        CLEANUP_INTERVAL_SECONDS=300, BRAKE_PERCENT=0, MAX_INSTANCES_PER_SERVICE=1000, LOG_FORMAT="json",
    ) as server:  # fmt: skip
        server.token = ADMIN
        yield server


def warning(server: Discovery, code: str) -> dict[str, Any]:
    """As every surface that shows the list has it: /ready, doctor, the metric, the log. What it says to do is in Troubleshooting."""
    server.token = ADMIN
    found: dict[str, Any] = until(lambda: listed(server, code))
    with urllib.request.urlopen(
        urllib.request.Request(f"{server.http}/metrics", headers={"Authorization": f"Bearer {ADMIN}"}), timeout=LIMIT
    ) as reply:
        assert re.search(
            rf'^discovery_warning{{code="{code}",severity="{found["severity"]}"}} [1-9]', reply.read().decode(), re.M
        )
    until(lambda: any(f'"{code}"' in line and "warning.began" in line for line in server.log))
    assert found["see"] in cli(server, "doctor", token=ADMIN).out
    assert f"### {code}\n" in TROUBLESHOOTING
    assert found["see"].endswith(f"#{code}")
    return found


def clock(iso: str) -> str:
    """As texts have it."""
    return f"{iso[11:19]}Z"


def test_at_three_in_the_morning_every_surface_tells_the_same(
    visit: Visits, server: Discovery, small: Volume, tokens: Path
) -> None:
    with (
        beating(server, ROLLING, SHOP, LEASE) as shop, beating(server, ADMIN, DYING) as dying, beating(server, ADMIN, LIVING),
    ):  # fmt: skip
        (before,) = server.request("GET", "/ready").body["warnings"]
        assert before["code"] == "token_expires"
        assert before["text"].startswith("the token rolling expires at ")
        expires(tokens, datetime.now(UTC) + timedelta(seconds=2))
        _a_token_expires(visit, server, shop)
        _a_host_dies(visit, server, dying)
        _a_disk_fills(server, small)


def _a_token_expires(visit: Visits, server: Discovery, shop: Beating) -> None:
    until(lambda: "of 3 instances" in (listed(server, "heartbeats_refused") or {"text": ""})["text"])
    assert 401 in shop.statuses
    told = warning(server, "heartbeats_refused")
    assert "heartbeats of 3 instances of shop are refused since " in told["text"]
    assert "its token expired" in told["text"]
    assert "`discovery explain shop`" in told["text"]
    assert "rolling" in warning(server, "token_expired")["text"], "and it is still used"
    until(lambda: not dig(server, "shop.svc.local").answer)
    accounts = agreed(server, "shop", ADMIN)
    first = server.request("GET", "/services/shop").body["instances"]
    since = min(each["refusedHeartbeats"]["since"] for each in first)
    assert since[:19] in told["text"], "the list and the accounts have one instant"
    for account in accounts.values():
        assert account["status"] == "unhealthy"
        assert account["why"].startswith(
            f"its lease ran out: no heartbeat for {LEASE} s; its heartbeats are refused since "
        )
        assert "the token rolling expired at " in account["why"]
        assert account["next"] == "without a heartbeat that is taken it is removed"
    text = ede(server, "shop.svc.local")
    assert text.startswith("shop is known, 0 of 3 healthy (3 unhealthy), the last since ")
    assert any(clock(each["since"]) in text for each in first)
    assert re.search(r"its heartbeats are refused since \d\d:\d\d:\d\dZ, \d+ times: its token expired$", text)
    assert any(clock(each["refusedHeartbeats"]["since"]) in text for each in first)
    assert "rolling" not in text, "DNS is for everybody"
    table = cli(server, "explain", "shop", token=ADMIN).out
    assert table.count("the token rolling expired at ") == 3
    page = visit(server, "view=service&service=shop", token=ADMIN)
    row = page.get_by_role("table").first.get_by_role("row").filter(has_text="its heartbeats are refused since").first
    expect(row).to_contain_text("the token rolling expired at")
    page.close()
    emptied = warning(server, "service_emptied")
    assert emptied["text"].startswith("shop has none of 3 instances left since ")


def _a_host_dies(visit: Visits, server: Discovery, dying: Beating) -> None:
    dying.dead.set()
    dying.thread.join()
    server.token = ADMIN
    for key in DYING:
        server.register(*key, ttl=LEASE)
    until(lambda: not dig(server, "mail.svc.local").answer)
    until(lambda: len(dig(server, "pay.svc.local").answer) == 1)
    gone, kept = agreed(server, "pay", ADMIN)[80], agreed(server, "mail", ADMIN)[25]
    assert {kept["status"], kept["why"]} == {"unhealthy", f"its lease ran out: no heartbeat for {LEASE} s"}
    assert gone["status"] in ("healthy", "unhealthy")  # of two at that port, the last in the list
    until(lambda: "mail" in json.dumps(server.request("GET", "/ready").body["warnings"]))
    hosts = cli(server, "get", "hosts", token=ADMIN).out
    assert re.search(r"10\.0\.0\.7 +0 of 2 +2 unhealthy +mail,pay", hosts), hosts
    text = ede(server, "mail.svc.local")
    assert text.startswith(f"mail is known, 0 of 1 healthy (1 unhealthy), it is that since {clock(kept['since'])}: ")
    page = visit(server, "view=hosts&q=10.0.0.7", token=ADMIN)
    expect(page.get_by_role("main").get_by_text("10.0.0.7").first).to_be_visible()
    page.close()


def _a_disk_fills(server: Discovery, small: Volume) -> None:
    numbers = count(1)

    def register() -> Any:
        body = {
            "name": "new",
            "ip": f"10.{1 + (number := next(numbers)) // 256}.{number % 256}.1",
            "port": 80,
            "ttl": 3600,
        }
        return server.request("POST", "/register", body)

    def stays_full() -> Any:
        """The refusal. The journal may help itself at first, by giving back what its log takes."""
        small.fill()
        while (reply := register()).status == 201:
            pass
        for _ in range(30):
            time.sleep(0.1)
            if server.request("GET", "/stats").body["journal"]["writable"]:
                return None
        return reply

    refused = until(stays_full)
    assert refused.body["code"] == "STORAGE_UNAVAILABLE"
    assert "cannot write to its disk" in refused.body["message"]
    assert "database or disk is full" in refused.body["message"]
    assert server.heartbeat("pay", "10.0.0.8", 80).status == 200, "heartbeats go on"
    assert len(dig(server, "pay.svc.local").answer) == 1, "and so do answers"
    assert any("disk is full" in line for line in server.log)
    assert "database or disk is full" in warning(server, "journal_failing")["text"]
    said = cli(server, "register", "new", "--ip", "10.1.1.1", "--port", "81", token=ADMIN)
    assert said.status == 1
    assert "database or disk is full" in said.err
    small.free()
    until(lambda: register().status == 201)
    until(lambda: listed(server, "journal_failing") is None)
    until(lambda: any("warning.ended" in line and "journal_failing" in line for line in server.log))
