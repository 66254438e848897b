"""Alerts and dashboard ask for metrics that there are; and those about files tell which of them is bad, until it is mended."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from discovery.plugins.auth.tokens import digest
from tests.deploy.rules import ALERTS, DEPLOY
from tests.stories.cluster.nodes import etcd_of, metrics, node
from tests.stories.process import until
from tests.stories.standards.secure import Secure, running_secure
from tests.stories.transfer import keys

README = (DEPLOY.parent / "plugins" / "metrics" / "README.md").read_text()
TOKEN = "a-secret-of-a-test"  # noqa: S105 - of nothing else
_NAME = re.compile(r"\b(?:discovery|process)_[a-z_]+\b")
FILES = ("zones", "certificate", "tokens", "transfer_keys", "client_zones")


class All(Secure):
    """A server with every feature that has metrics of its own. `files`: by what they are."""

    files: dict[str, Path]

    def metrics(self) -> str:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.https_port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, context=self.context(), timeout=60) as reply:
            return str(reply.read().decode())

    def says(self, name: str, value: str) -> bool:
        return f"\n{name} {value}\n" in self.metrics()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[All]:
    folder = tmp_path_factory.mktemp("all")
    tokens = folder / "tokens.toml"
    tokens.write_text(f'[[token]]\nname = "prometheus"\nsha256 = "{digest(TOKEN).hex()}"\nread = true\n')
    zones = folder / "zones"
    zones.mkdir()
    (folder / "client-zones").write_text("127.0.0.0/8=eu-a\n")
    settings = keys.settings(
        folder,
        CLIENT_ZONES=str(folder / "client-zones"),
        TOKENS_FILE=str(tokens),
        DATA_DIR=str(folder / "data"),
        ZONES_DIR=str(zones),
    )
    with running_secure(folder, METRICS_PER_SERVICE="true", **settings) as secure:
        one = All(secure.server, secure.pair)
        one.files = {
            "zones": zones / "bad.zone",
            "certificate": secure.pair.key,
            "tokens": tokens,
            "client_zones": folder / "client-zones",
            "transfer_keys": folder / "keys.conf",
        }
        yield one


@pytest.fixture(scope="module")
def there(server: All, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """All metrics that there are: those of the server, and those of one whose engine is etcd."""
    with etcd_of(tmp_path_factory.mktemp("etcd")) as etcd, node(etcd) as other:
        page = server.metrics() + metrics(other)
    return set(re.findall(r"^# TYPE (\S+)", page, re.M))


def base(name: str, names: set[str]) -> str:
    """Of a histogram's parts."""
    stem = re.sub(r"_(bucket|count|sum)$", "", name)
    return stem if stem in names else name


def test_every_metric_that_is_asked_for_is_there(there: set[str]) -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    names = {name for expr in asked for name in _NAME.findall(re.sub(r'"[^"]*"', "", expr))}
    assert len(names) > 40
    assert {base(name, there) for name in names} - there == set()


def test_the_page_of_the_metrics_has_those_of_every_feature(there: set[str]) -> None:
    listed = {
        name
        for row in re.findall(r"^\| (`(?:discovery|process)_[^|]*) \|", README, re.M)
        for name in re.findall(r"`([a-z_]+)`", row)
    }
    assert listed == there


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_bad_is_told_until_it_is_mended(server: All, what: str) -> None:
    file, name = server.files[what], f"discovery_{what}_last_reload_successful"
    assert server.says(name, "1.0")
    before = file.read_text() if file.exists() else ""
    file.write_text("this is nothing\n")
    server.server.process.send_signal(signal.SIGHUP)
    until(lambda: server.says(name, "0.0"))
    warned = f'discovery_warning{{code="{what}_failed",severity="warning"}}'
    until(lambda: server.says(warned, "1.0"))
    if what == "zones":
        file.unlink()
    else:
        file.write_text(before)
    server.server.process.send_signal(signal.SIGHUP)
    until(lambda: server.says(name, "1.0"))
    until(lambda: server.says(warned, "0.0"))


def test_when_the_certificate_ends_is_told(server: All) -> None:
    [end] = re.findall(r"^discovery_certificate_expires_timestamp_seconds (\S+)$", server.metrics(), re.M)
    [now] = re.findall(r"^process_start_time_seconds (\S+)$", server.metrics(), re.M)
    assert 0.9 * 86400 < float(end) - float(now) < 1.1 * 86400, "it was made for a day"
