"""`discovery get holds` of a single node: nothing, then what the brake holds, since when and for how much longer."""

from __future__ import annotations

from pathlib import Path

from tests.cli.live import At
from tests.stories.process import running, until


def test_what_the_brake_holds_is_shown_with_its_end(tmp_path: Path) -> None:
    with running(tmp_path, HEARTBEAT_TIMEOUT_SECONDS=1, BRAKE_MAX_SECONDS=3600, BRAKE_PROBE="false") as server:
        at = At(server.http)
        assert at("get", "holds").status == 0
        server.register_together([{"name": "web", "ip": f"10.0.0.{number + 1}", "port": 80} for number in range(4)])
        until(lambda: server.request("GET", "/stats").body["instancesByStatus"]["suspect"] == 4)
        [hold] = server.request("GET", "/stats").body["brakeHolds"]
        assert (hold["serviceName"], hold["suspects"]) == ("web", 4)
        assert hold["since"] < hold["until"]
        head, row = at("get", "holds").out.splitlines()
        assert head.split() == ["HELD", "BY", "SINCE", "LETS", "GO", "INSTANCES", "SERVICES"]
        assert row.startswith("the brake: too many fell silent at once")
        assert row.split()[-2:] == ["4", "web"]
        assert " in 59 min" in row or " in 60 min" in row or " in 1 h" in row, row
