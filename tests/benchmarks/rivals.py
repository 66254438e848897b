"""The programs that the benchmarks measure against, each serving the same data on one core (`taskset`)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query

from tests.benchmarks.fleet import fleet
from tests.benchmarks.isolation import program

SERVER_CORE, CLIENT_CORE = "0", "1"
_ZONE = "svc.local"


@contextmanager
def started(command: list[str], port: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The program on the servers' core, once it answers DNS on the port."""
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        if port is not None:
            _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def echo(folder: Path, port: int) -> Iterator[int]:
    """Its process id."""
    binary = folder / "echo"
    subprocess.run(["cc", "-O2", "-o", binary, Path(__file__).parent / "echo.c"], check=True)
    with started([str(binary), str(port)], port) as process:
        yield process.pid


@contextmanager
def bind9(folder: Path, port: int, services: int, instances: int) -> Iterator[None]:
    zone = _zone_file(folder, services, instances)
    config = folder / "named.conf"
    config.write_text(
        f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; '
        f'recursion no; notify no; pid-file none; session-keyfile "{folder}/session.key"; minimal-responses no; }};\n'
        f'controls {{ }};\nzone "{_ZONE}" {{ type primary; file "{zone}"; }};\n'
    )
    with started([program("named"), "-n", "1", "-f", "-c", str(config)], port):
        yield


@contextmanager
def knot(folder: Path, port: int, services: int, instances: int) -> Iterator[None]:
    zone = _zone_file(folder, services, instances)
    config = folder / "knot.conf"
    config.write_text(
        f"server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
        f"database:\n  storage: {folder}/db\nzone:\n  - domain: {_ZONE}\n    file: {zone}\n    zonefile-load: whole\n"
    )
    with started([program("knotd"), "-c", str(config)], port):
        yield


@contextmanager
def dnsmasq(folder: Path, port: int, services: int, instances: int) -> Iterator[None]:
    config = folder / "dnsmasq.conf"
    lines = ["no-resolv", "no-hosts", "bind-interfaces", "listen-address=127.0.0.1", f"port={port}", "cache-size=0"]
    for one in fleet(services, instances):
        host = f"ip-{one.ip.replace('.', '-')}-p{one.port}.{one.name}.{_ZONE}"
        lines += [f"host-record={one.name}.{_ZONE},{one.ip}", f"host-record={host},{one.ip}"]
        lines += [f"srv-host={one.name}.{_ZONE},{host},{one.port},10,100"]
    config.write_text("\n".join(lines) + "\n")
    with started([program("dnsmasq"), "-k", "--pid-file=", f"--conf-file={config}", "--user=root"], port):
        yield


@contextmanager
def unbound(folder: Path, port: int, forward_to: int) -> Iterator[None]:
    """A resolver that asks the server on 127.0.0.1:`forward_to` about our zone, and nobody about anything else."""
    config = folder / "unbound.conf"
    config.write_text(
        f'server:\n  interface: 127.0.0.1@{port}\n  access-control: 127.0.0.0/8 allow\n  do-daemonize: no\n  username: ""\n'
        f'  chroot: ""\n  directory: "{folder}"\n  pidfile: ""\n  use-syslog: no\n  num-threads: 1\n'
        f'  do-not-query-localhost: no\n  module-config: "iterator"\n  local-zone: "." refuse\n'
        f'  local-zone: "{_ZONE}" transparent\n  domain-insecure: "{_ZONE}"\nremote-control:\n  control-enable: no\n'
        f'forward-zone:\n  name: "{_ZONE}"\n  forward-addr: 127.0.0.1@{forward_to}\n'
    )
    with started([program("unbound"), "-d", "-c", str(config)], port):
        yield


def _zone_file(folder: Path, services: int, instances: int) -> Path:
    path = folder / f"{_ZONE}.zone"
    lines = [
        f"$ORIGIN {_ZONE}.",
        "$TTL 5",
        "@ IN SOA ns hostmaster 1 60 10 604800 2",
        "@ IN NS ns",
        "ns IN A 127.0.0.1",
    ]
    for one in fleet(services, instances):
        host = f"ip-{one.ip.replace('.', '-')}-p{one.port}.{one.name}"
        lines += [f"{one.name} IN A {one.ip}", f"{host} IN A {one.ip}", f"{one.name} IN SRV 10 100 {one.port} {host}"]
    path.write_text("\n".join(lines) + "\n")
    return path


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    query = dns.message.make_query(f"s0.{_ZONE}", "A")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with status {process.returncode}"
        try:
            dns.query.udp(query, "127.0.0.1", port=port, timeout=0.2, ignore_errors=True)
        except (OSError, dns.exception.DNSException):
            continue
        return
    raise AssertionError(f"{process.args!r} does not answer")
