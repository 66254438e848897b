"""BIND is a secondary of two nodes, in a network without a way out; the one that it asks dies: it goes on from the other."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.stories.cluster.nodes import SETTINGS
from tests.stories.judges.daemon import Daemon, daemon
from tests.stories.judges.namespace import Namespace, isolated
from tests.stories.process import ROOT, running, until
from tests.stories.transfer import keys
from tests.stories.transfer.secondaries import PORT, bind

ZONE = """$TTL 60
@ IN SOA ns hostmaster 0 1 1 604800 2
@ IN NS ns
ns IN A 127.0.0.1
printer IN A 192.0.2.9
"""
FIRST, SECOND = "127.0.0.1", "127.0.0.2"


class Story(NamedTuple):
    first: Namespace
    second: Namespace

    def zone(self, address: str, port: int = 53) -> set[tuple[str, str, str]]:
        """Transferred from there: name, type, data of each record."""
        signed = ("-y", keys.FOR_DIG) if port == 53 else ()
        text = self.second.run(
            "dig", "-r", f"@{address}", "-p", str(port), *signed, "+tries=1", "+time=5", "svc.local", "AXFR"
        ).stdout
        lines = [line.split(None, 4) for line in text.splitlines() if line and not line.startswith(";")]
        return {(name, rtype, rdata) for name, _, _, rtype, rdata in lines if rtype != "TSIG"}

    def metrics(self, http: str) -> str:
        return self.second.run("curl", "-sSf", f"{http}/metrics").stdout

    def serial(self, address: str = FIRST, port: int = PORT) -> int:
        options = ("+short", "+tries=1", "+time=2", "-p", str(port))
        found = self.second.run("dig", "-r", f"@{address}", *options, "svc.local", "SOA", check=False).stdout.split()
        return int(found[2]) if len(found) == 7 else 0


@contextmanager
def etcd_in(prefix: list[str], folder: Path) -> Iterator[Daemon]:
    url = f"http://{FIRST}:2379"
    arguments = [
        "--data-dir", str(folder / "etcd-data"), "--unsafe-no-fsync", "--listen-client-urls", url,
        "--advertise-client-urls", url, "--listen-peer-urls", f"http://{FIRST}:2380",
    ]  # fmt: skip
    with daemon("etcd", *arguments, folder=folder, prefix=prefix) as etcd:
        etcd.until(lambda: "ready to serve client requests" in etcd.output)
        yield etcd


def test_bind_goes_on_from_the_other_primary_with_the_same_zone_and_its_serial_never_goes_back(tmp_path: Path) -> None:
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "svc.local.zone").write_text(ZONE)
    settings = SETTINGS | keys.settings(
        tmp_path, ENGINE_URL=f"etcd://{FIRST}:2379", ZONES_DIR=str(zones), TRANSFER_NOTIFY=f"{FIRST}:{PORT}", DNS_PORT=53,
        HOST=FIRST,
    )  # fmt: skip
    with (
        isolated(tmp_path) as prefix,
        etcd_in(prefix, tmp_path),
        running(ROOT, prefix, DNS_HOST=FIRST, **settings) as one,
        running(ROOT, prefix, DNS_HOST=SECOND, **settings) as two,
    ):
        story = Story(Namespace(prefix, one), Namespace(prefix, two))
        story.first.register("web", "10.0.0.1", 80, ports={"metrics": 9100}, metadata={"version": "1.0"})
        story.first.register("web", "2001:db8::1", 80)
        for number in range(20):
            story.first.register(f"svc{number}", f"10.0.1.{number + 1}", 80)
        with bind(story.first, tmp_path, (FIRST, SECOND)) as secondary:
            serials = [0]

            def in_step() -> bool:
                serials.append(max(story.serial(), 0) or serials[-1])  # 0: it does not answer yet
                return serials[-1] == story.serial(SECOND, 53)

            secondary.until(in_step)
            assert story.zone(FIRST, PORT) == story.zone(FIRST) == story.zone(SECOND)

            one.stop(signal.SIGKILL)
            for number in range(5):
                story.second.register("cart", f"10.0.2.{number + 1}", 8080)
                secondary.until(in_step)
            story.second.deregister("web", "2001:db8::1", 80)
            secondary.until(in_step)
            # The second node is in doubt of those that the first has heard. That is no commit, so it is not in the zone.
            until(lambda: "discovery_engine_held_instances 0" not in story.metrics(two.http))
            ours = story.zone(SECOND)
            assert story.zone(FIRST, PORT) == ours
            assert ("cart.svc.local.", "A", "10.0.2.5") in ours
            assert ("web.svc.local.", "SRV", "10 100 80 ip-10-0-0-1-p80.web.svc.local.") in ours
            assert not any("2001:db8" in rdata for _, _, rdata in ours)
            assert serials == sorted(serials)
        for server in (one, two):
            assert "Traceback" not in "\n".join(server.log)
