"""Zone files as an operator has them: fixed hosts, names that are taken, reload on SIGHUP, several zones, none at all."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.dig import dig
from tests.stories.liveness.starting import refused
from tests.stories.process import Discovery, running, until

HEAD = """$TTL 60
@ IN SOA ns hostmaster 0 60 10 604800 2
@ IN NS ns
ns IN A 127.0.0.1
"""
PRINTER = HEAD + "printer IN A 192.0.2.7\n"


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    path = tmp_path / "svc.local.zone"
    path.write_text(PRINTER)
    return path


@pytest.fixture
def server(zone_file: Path) -> Iterator[Discovery]:
    with running(ZONES_DIR=str(zone_file.parent), HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        yield discovery


def test_a_fixed_host_lives_beside_services_and_its_name_is_taken(server: Discovery) -> None:
    server.register("user-service", "10.0.0.1")
    assert dig(server, "printer.svc.local").rdata == {"192.0.2.7"}
    assert dig(server, "user-service.svc.local").rdata == {"10.0.0.1"}
    for name in ("printer", "PRINTER", "ns"):
        reply = server.request("POST", "/register", {"name": name, "ip": "10.0.0.1", "port": 1})
        assert reply.status == 409
        assert name in reply.body["message"]
    assert dig(server, "printer.svc.local").rdata == {"192.0.2.7"}
    assert set(server.request("GET", "/services").body["services"]) == {"user-service"}


def test_sighup_reads_the_files_again(server: Discovery, zone_file: Path) -> None:
    server.register("user-service", "10.0.0.1")
    _write(server, zone_file, HEAD + "scanner IN A 192.0.2.8\n")
    until(lambda: dig(server, "scanner.svc.local").rdata == {"192.0.2.8"})
    assert dig(server, "printer.svc.local").status == "NXDOMAIN"
    assert server.register("printer", "10.0.0.2")
    assert server.request("POST", "/register", {"name": "scanner", "ip": "10.0.0.3", "port": 1}).status == 409
    assert dig(server, "user-service.svc.local").rdata == {"10.0.0.1"}, "services are not touched"


def test_a_host_name_that_is_an_alias_here_or_may_become_one_is_refused(zone_file: Path) -> None:
    zone_file.write_text(HEAD + "fixed IN A 192.0.2.1\nalias IN CNAME fixed\n")
    with running(ZONES_DIR=str(zone_file.parent), HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        for host, said in (
            ("web.svc.local", "names of services"),
            ("Blue.WEB.svc.local.", "names of services"),
            ("alias.svc.local", "take fixed.svc.local"),
            ("fixed.svc.local", ""),
            ("ip-10-0-0-1-p80.web.svc.local", ""),
        ):
            reply = server.request("PUT", "/instances", {"name": "web", "ip": host, "port": 1})
            assert (reply.status, said in reply.body["message"]) == (400 if said else 201, True), reply
        zone_file.write_text(HEAD + "fixed IN CNAME web\n")  # a circle, and web had that host name before
        until(lambda: any("circle" in str(option) for option in server.ask("web.svc.local", use_edns=0).options))
        assert server.request("GET", "/health").status == 200


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Discovery, Path]]:
    """A server and its zone file; who breaks the file mends it."""
    path = tmp_path_factory.mktemp("zones") / "svc.local.zone"
    path.write_text(PRINTER)
    with running(ZONES_DIR=str(path.parent), HEARTBEAT_TIMEOUT_SECONDS=600) as discovery:
        yield discovery, path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}scanner IN A 192.0.2.800\n", r"\W{1,3}(line )?5\b"),
        (f"{HEAD}scanner IN A 192.0.2.800\n\n; the end\n", r"\W{1,3}(line )?5\b"),
        (f"{HEAD}$TTL\n", r"\W{1,3}(line )?5\b"),
        (f"{HEAD}scanner IN A 192.0.2.8\nplotter IN NONSENSE 1\n", r"\W{1,3}(line )?6\b"),
        ("printer 60 IN A 192.0.2.9\n", r".*\bSOA\b"),
    ],
    ids=["bad address in the last line", "bad address", "bad directive", "unknown type", "no SOA"],
)
def test_a_bad_file_keeps_the_old_zone_and_the_log_says_which_file_and_line(
    reloaded: tuple[Discovery, Path], text: str, said: str
) -> None:
    server, path = reloaded
    before = len(server.log)
    _write(server, path, text)
    lines = until(lambda: [line for line in server.log[before:] if str(path) in line])
    assert "Traceback" not in "\n".join(server.log)
    assert dig(server, "printer.svc.local").rdata == {"192.0.2.7"}
    assert dig(server, "scanner.svc.local").status == "NXDOMAIN"

    _write(server, path, PRINTER + "mended IN A 192.0.2.9\n")
    until(lambda: dig(server, "mended.svc.local").rdata == {"192.0.2.9"})
    _write(server, path, PRINTER)
    until(lambda: dig(server, "mended.svc.local").status == "NXDOMAIN")
    until(lambda: any("over after" in line for line in server.log[before:]))
    assert re.search(re.escape(str(path)) + said, lines[0]), lines


def test_a_fifo_in_the_folder_is_named_and_neither_reloads_nor_the_end_wait_for_it(zone_file: Path) -> None:
    with running(ZONES_DIR=str(zone_file.parent), HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        fifo = zone_file.parent / "pipe.example.zone"
        os.mkfifo(fifo)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: any(str(fifo) in line for line in server.log))
        assert dig(server, "printer.svc.local").rdata == {"192.0.2.7"}
        fifo.unlink()
        _write(server, zone_file, PRINTER + "mended IN A 192.0.2.9\n")
        until(lambda: dig(server, "mended.svc.local").rdata == {"192.0.2.9"})
        os.mkfifo(fifo)
        server.process.send_signal(signal.SIGHUP)
        assert server.stop() == 0


def test_a_fifo_at_the_start_is_an_error_that_names_it(zone_file: Path) -> None:
    fifo = zone_file.parent / "pipe.example.zone"
    os.mkfifo(fifo)
    assert str(fifo) in refused(ZONES_DIR=str(zone_file.parent))


def test_a_name_that_could_not_be_found_is_refused_while_the_zone_is_there(zone_file: Path) -> None:
    child = zone_file.parent / "child.svc.local.zone"
    child.write_text(HEAD)
    with running(ZONES_DIR=str(zone_file.parent), HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        body = {"name": "Child", "ip": "10.0.0.1", "port": 1}
        reply = server.request("POST", "/register", body)
        assert (reply.status, reply.body["code"]) == (409, "NAME_RESERVED")
        assert "the label of the zone child.svc.local" in reply.body["message"]
        child.unlink()
        until(lambda: server.request("POST", "/register", body).status == 201)
        child.write_text(HEAD)
        until(lambda: any("service child: its name is the label of the zone" in line for line in server.log))
        assert server.heartbeat("child", "10.0.0.1", 1).status == 200


@pytest.fixture(scope="module")
def two_zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    """svc.local has a file, corp.example has none, and a third file is a zone without services."""
    folder = tmp_path_factory.mktemp("zones")
    (folder / "svc.local.zone").write_text(HEAD)
    (folder / "fixed.example.zone").write_text(HEAD + "www IN A 192.0.2.1\n*.wild IN A 192.0.2.2\n")
    with running(
        ZONES_DIR=str(folder), DNS_DOMAIN="svc.local, corp.example", HEARTBEAT_TIMEOUT_SECONDS=600
    ) as discovery:
        discovery.register("user-service", "10.0.0.1", 3001)
        yield discovery


def test_a_zone_without_a_file_gets_an_soa_and_a_name_server_with_an_address(two_zones: Discovery) -> None:
    [soa] = dig(two_zones, "corp.example", "SOA").answer
    assert soa.rdata.split()[-1] == "2"
    ns = dig(two_zones, "corp.example", "NS")
    [host] = ns.rdata
    assert host.endswith(".corp.example.")
    assert dig(two_zones, host).rdata == {"127.0.0.1"}
    assert two_zones.request("POST", "/register", {"name": "ns", "ip": "10.0.0.1", "port": 1}).status == 409


@pytest.mark.parametrize("zone", ["svc.local", "corp.example"])
def test_each_zone_answers_in_itself(two_zones: Discovery, zone: str) -> None:
    srv = dig(two_zones, f"_user-service._tcp.{zone}", "SRV")
    target = f"ip-10-0-0-1-p3001.user-service.{zone}."
    assert [record.rdata.split()[3] for record in srv.answer] == [target]
    assert srv.additional_addresses == {f"{target} 10.0.0.1"}
    assert dig(two_zones, target).rdata == {"10.0.0.1"}
    negative = dig(two_zones, f"nobody.{zone}")
    assert (negative.status, [soa.name for soa in negative.authority]) == ("NXDOMAIN", [f"{zone}."])


def test_a_file_of_another_zone_is_served_without_services(two_zones: Discovery) -> None:
    assert dig(two_zones, "www.fixed.example").rdata == {"192.0.2.1"}
    assert dig(two_zones, "anything.wild.fixed.example").rdata == {"192.0.2.2"}
    assert dig(two_zones, "user-service.fixed.example").status == "NXDOMAIN"
    assert two_zones.register("www", "10.0.0.5"), "its names are not taken from the services of the other zones"


def _write(server: Discovery, path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)  # whole at once: the server watches the folder, and would read half a file
    server.process.send_signal(signal.SIGHUP)
