"""`discovery doctor`: what it finds on a host, in words; and that real resolvers take the lines that it prints."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from discovery.cli.doctor import host
from discovery.cli.doctor import running as running_registry
from discovery.cli.doctor.finding import State
from discovery.cli.doctor.resolver import hosts_sources, local_pitfalls, name_servers
from discovery.cli.setting_list import names
from discovery.settings import Settings
from tests.cli.live import Done, discovery, without_variables
from tests.ports import free_port
from tests.stories.dig import dig
from tests.stories.judges.daemon import answers_tcp, daemon
from tests.stories.process import Discovery, running


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty working folder, and no setting set."""
    monkeypatch.chdir(tmp_path)
    with without_variables(*names()):
        yield tmp_path


FREE = ["doctor", "--port", "0", "--dns-port", "0"]


def found(done: Done) -> dict[str, list[tuple[str, str]]]:
    by_check: dict[str, list[tuple[str, str]]] = {}
    for row in json.loads(done.out):
        by_check.setdefault(row["check"], []).append((row["state"], row["finding"]))
    return by_check


def test_a_host_where_all_is_well_ends_with_0_and_is_left_as_it_is(folder: Path) -> None:
    done = discovery(*FREE)
    assert done.status == 0, done
    assert done.out.startswith("STATE")
    assert done.out.endswith("no problems\n")
    assert list(folder.iterdir()) == []
    checks = set(found(discovery(*FREE, "-o", "json")))
    assert {"settings", "zones", "ports", "journal", "resolver"} <= checks


def test_what_would_keep_the_server_from_starting_is_a_problem(folder: Path) -> None:
    (folder / "zones").mkdir()
    (folder / "zones" / "a.example.zone").write_text("nonsense\n")
    (folder / "data").mkdir()
    (folder / "data" / "registry.db").write_text("nonsense")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = discovery(
            "doctor", "--port", str(taken.getsockname()[1]), "--dns-port", "0", "-o", "json", HOST="0.0.0.0"
        )
    assert (done.status, done.err) == (1, "")
    problems = {name: text for name, each in found(done).items() for state, text in each if state == "problem"}
    assert "the server would not start" in problems["settings"]
    assert "a.example.zone" in problems["zones"]
    assert "in use" in problems["ports"]
    assert "damaged" in problems["journal"]


def test_bad_settings_are_told_one_by_one() -> None:
    done = discovery("doctor", PORT="x", AUDIT_KEEP="0")
    assert done.status == 1
    assert [line.split()[:3] for line in done.out.splitlines()[1:3]] == [
        ["problem", "settings", "PORT:"],
        ["problem", "settings", "AUDIT_KEEP:"],
    ]
    assert done.out.endswith("2 problems\n")


def test_a_slip_in_the_file_is_told(folder: Path) -> None:
    (folder / ".env").write_text("DNS_DOMIAN=a.example\nUNHEARD_OF=1\nDNS_TTL_SECONDS=3\n")
    settings = found(discovery(*FREE, "-o", "json"))["settings"]
    assert ("warning", ".env has DNS_DOMIAN, which is no setting; did you mean DNS_DOMAIN?") in settings
    assert "UNHEARD_OF" not in str(settings)
    assert "3 set here: PORT, DNS_PORT, DNS_TTL_SECONDS" in str(settings)


def test_a_registry_that_runs_here_is_no_problem(folder: Path) -> None:
    with running(folder, DATA_DIR=str(folder / "data")) as server:
        ports = {"PORT": str(server.port), "DNS_PORT": str(server.dns_port)}
        done = discovery("doctor", "-o", "json", DATA_DIR=str(folder / "data"), **ports)
        assert done.status == 0, done.out
        assert all("is taken by a registry that runs" in text for _, text in found(done)["ports"])
        assert f"the server that runs with pid {server.process.pid}" in str(found(done)["journal"])
    assert "is whole: 0 instances" in str(
        found(discovery(*FREE, "--data-dir", str(folder / "data"), "-o", "json"))["journal"]
    )


def test_memory_only_is_worth_a_warning() -> None:
    assert "gone after a restart" in str(found(discovery(*FREE, "--data-dir", "", "-o", "json"))["journal"])


def test_few_open_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for hard, state in ((1024, State.WARNING), (20_000, State.OK), (resource.RLIM_INFINITY, State.OK)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, hard=hard: (256, hard))
        assert [finding.state for finding in host.open_files(Settings.read())] == [state]


@pytest.mark.parametrize(
    ("nsswitch", "servers", "said"),
    [
        ("hosts: files dns", ["10.0.0.1"], []),
        (
            "hosts: files mdns4_minimal [NOTFOUND=return] dns",
            ["10.0.0.1"],
            ["asks mdns4_minimal for names in .local first"],
        ),
        (
            "hosts:\tfiles mdns [notfound=return] resolve [!UNAVAIL=return] dns",
            [],
            ["put dns (or resolve) before mdns"],
        ),
        ("hosts: files dns mdns4_minimal [NOTFOUND=return]", ["10.0.0.1"], []),
        ("hosts: files mdns4 dns", ["10.0.0.1"], []),
        ("# hosts: mdns [NOTFOUND=return]\npasswd: files", ["10.0.0.1"], []),
        ("", ["127.0.0.53"], ["only where that zone is named in Domains="]),
    ],
)
def test_pitfalls_of_local_names_are_known(nsswitch: str, servers: list[str], said: list[str]) -> None:
    warnings = [finding.text for finding in local_pitfalls("svc.local", nsswitch, servers)]
    assert len(warnings) == len(said)
    assert all(text in warning for text, warning in zip(said, warnings, strict=True))
    assert list(local_pitfalls("svc.example", nsswitch, servers)) == []


def test_the_files_of_the_resolver_are_read_as_it_reads_them() -> None:
    text = "# nameserver 1.1.1.1\nnameserver 10.0.0.1\nnameserver\t::1\n nameserver 9.9.9.9\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"
    assert name_servers(text) == ["10.0.0.1", "::1", "10.0.0.3"]
    assert hosts_sources("") == ["files", "dns"]
    assert hosts_sources("hosts:files  [ SUCCESS=continue ] dns # a") == ["files", "[ SUCCESS=continue ]", "dns"]


def test_the_lines_name_every_zone_and_an_address_that_can_be_asked() -> None:
    done = discovery("doctor", "--resolver", "all", DNS_DOMAIN="svc.local,a.example", DNS_HOST="::", DNS_PORT="53")
    assert done.status == 0
    for line in (
        "DNS=[::1]:53", "Domains=~svc.local ~a.example", "server=/a.example/::1#53", "stub-addr: ::1@53",
        "forwarders { ::1 port 53; }", "forward . [::1]:53", "a.example:53 {",
    ):  # fmt: skip
        assert line in done.out
    assert discovery("doctor", "--resolver", "bind", DNS_PORT="0").status == 2


# -- the lines, in the programs that they are for


LOOPBACK = "127.3.2.1"  # not the first one
ZONE_FILE = "$TTL 60\n@ IN SOA ns.svc.local. host.svc.local. 0 20 5 60 2\n@ IN NS ns.svc.local.\n"
ZONE_FILES = {
    "legacy.example": ZONE_FILE + "printer IN A 10.1.2.9\n",
    "2.1.10.in-addr.arpa": ZONE_FILE + "9 IN PTR printer.legacy.example.\n",
}
QUESTIONS = [
    ("web.svc.local", "A", "10.1.2.3"),
    ("printer.legacy.example", "A", "10.1.2.9"),
    ("9.2.1.10.in-addr.arpa", "PTR", "printer.legacy.example."),
    ("3.2.1.10.in-addr.arpa", "PTR", "ip-10-1-2-3-p3001.web.svc.local."),
]


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    zones = tmp_path_factory.mktemp("zones")
    for name, text in ZONE_FILES.items():
        (zones / f"{name}.zone").write_text(text)
    return zones


@pytest.fixture(scope="module")
def server(zones: Path) -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, DNS_HOST=LOOPBACK, ZONES_DIR=str(zones)) as server:
        server.register("web", ip="10.1.2.3")
        yield server


DNSMASQ = "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\nuser=\nlog-facility=-\nstop-dns-rebind\n"
UNBOUND = """
server:
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  interface: 127.0.0.1@{port}
  private-address: 10.0.0.0/8
  private-domain: "example"
remote-control:
  control-enable: no
"""
NAMED = """
options {{ directory "{folder}"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion yes; dnssec-validation auto; {options} }};
controls {{ }};
"""


@pytest.mark.parametrize(
    ("resolver", "program", "arguments", "config"),
    [
        ("dnsmasq", "dnsmasq", ["--keep-in-foreground", "--conf-file={file}"], DNSMASQ),
        ("unbound", "unbound", ["-d", "-p", "-c", "{file}"], UNBOUND),
        ("bind", "named", ["-g", "-c", "{file}"], NAMED),
    ],
)
def test_a_resolver_with_the_lines_finds_our_services(
    server: Discovery, zones: Path, folder: Path, resolver: str, program: str, arguments: list[str], config: str
) -> None:
    port, file = free_port(), folder / "config"
    settings = {"DNS_HOST": LOOPBACK, "ZONES_DIR": str(zones)}
    text = discovery("doctor", "--resolver", resolver, "--dns-port", str(server.dns_port), **settings).out
    options = "".join(re.findall(r"^#   (.*;)$", text, re.MULTILINE))
    file.write_text(config.format(port=port, folder=folder, options=options) + text)
    with daemon(program, *(each.format(file=file) for each in arguments), folder=folder) as resolving:
        resolving.until(lambda: answers_tcp(port))
        for name, rtype, expected in QUESTIONS:
            resolving.until(partial(finds, server, port, name, rtype, expected))


def finds(server: Discovery, port: int, name: str, rtype: str, expected: str) -> bool:
    return dig(server, "-p", str(port), "+recurse", name, rtype).rdata == {expected}


def test_a_server_that_runs_is_asked_for_its_warnings_and_says_more_to_who_may_read(tmp_path: Path) -> None:
    known = "a-longer-secret-of-this-test"
    with running(API_TOKEN=known, DNS_POTR=5, DATA_DIR=str(tmp_path / "data")) as server:

        def warnings(token: str = "") -> list[dict[str, object]]:
            server.token = token
            body: dict[str, list[dict[str, object]]] = server.request("GET", "/ready").body
            return body["warnings"]

        kind = {"code": "unknown_setting", "severity": "warning", "count": 1}
        assert warnings() == warnings("a-wrong-secret-of-this-test") == [kind]
        [told] = warnings(known)
        assert told.items() >= (kind | {"see": "discovery/docs/troubleshooting.md#unknown_setting"}).items()
        assert told["text"] == "the environment has DNS_POTR, which is no setting; did you mean DNS_PORT?"

        asked = ["doctor", "--port", str(server.port), "--dns-port", "0", "-o", "json"]
        [(state, text)] = found(discovery(*asked))["warnings"]
        assert (state, text) == (
            "warning",
            "1 of unknown_setting; set DISCOVERY_TOKEN to one that may read to see more",
        )
        [(state, text)] = found(discovery(*asked, DISCOVERY_TOKEN=known))["warnings"]
        assert text == f"{told['text']} (since {told['since']}, {told['see']})"
        assert sum("DNS_POTR" in line for line in server.log) == 1, "once, when it began"


def test_those_without_a_lease_are_told_of_when_nothing_checks_them_and_nothing_has_changed_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running() as server:
        for number in range(22):
            body = {"name": f"db{number}", "ip": "10.0.0.1", "port": 5432, "lease": "none"}
            assert server.request("PUT", "/instances", body).status == 201
        server.request("PUT", "/instances", body | {"name": "checked", "check": {"tcp": True}})
        server.request("PUT", "/instances", body | {"name": "reported", "checks": [{"ttl": 600}, {"tcp": True}]})
        server.register("beats")
        settings = Settings(port=server.port)
        [young] = running_registry.permanent(settings)
        assert young.state is State.OK
        monkeypatch.setattr(running_registry, "_LONG", -60.0)  # as if a month had passed
        *told, rest = running_registry.permanent(settings)
    assert {finding.state for finding in (*told, rest)} == {State.WARNING}
    assert (len(told), rest.text[:7]) == (20, "2 more ")
    assert told[0].text.startswith("db0 10.0.0.1:5432 [id ")
    [nobody] = running_registry.permanent(settings)
    assert "no registry answers here" in nobody.text


def test_slips_in_the_environment_are_told_as_those_in_the_file() -> None:
    settings = found(discovery(*FREE, "-o", "json", DNS_POTR="5"))["settings"]
    assert ("warning", "the environment has DNS_POTR, which is no setting; did you mean DNS_PORT?") in settings
