"""This host: ports, open files, the clock, and the folder of what is kept."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from discovery.cli.doctor.advice import reachable
from discovery.cli.doctor.finding import Finding, ok, problem, warning
from discovery.core.address import authority
from discovery.plugins.journal import files
from discovery.plugins.journal.inspection import inspect
from discovery.plugins.journal.lock import held_by
from discovery.plugins.journal.settings import JournalSettings
from discovery.settings import Settings
from discovery.system.limits import OTHERS
from discovery.system.sockets import DATAGRAM, STREAM, BindError, bind

_MIB = 1 << 20
# Below this a disk is soon full.
_LITTLE = 200 * _MIB
# Seconds for a registry on this host to say that it is one.
_PATIENCE = 2
# adjtimex(2): the clock is not synchronized.
_TIME_ERROR = 5
# Octets: more than struct timex has anywhere.
_TIMEX = 1024


class _Warned(TypedDict):
    code: str
    severity: str
    count: int
    text: NotRequired[str]
    since: NotRequired[str]
    see: NotRequired[str]


def ports(given: Settings) -> Iterator[Finding]:
    wanted = [(given.host, given.port, [STREAM], "HOST or PORT", "http")]
    wanted.append((given.dns_addresses, given.dns_port, [DATAGRAM, STREAM], "DNS_HOST or DNS_PORT", "dns"))
    if given.dot_port is not None:
        wanted.append((given.dns_addresses, given.dot_port, [STREAM], "DNS_HOST or DOT_PORT", "dot"))
    for addresses, port, kinds, names, scheme in wanted:
        for ip in addresses:
            where = f"{scheme}://{authority(ip, port)}"
            try:
                for sock in bind([ip], port, kinds, names):
                    sock.close()
                yield ok(f"{where} is free")
            except BindError as error:
                running = _registry_at(given)
                yield ok(f"{where} is taken by a registry that runs, {running}") if running else problem(str(error))


def _registry_at(given: Settings) -> str | None:
    """The version of the registry that answers on HOST and PORT, if it is one."""
    health = _answer(given, "/health")
    with contextlib.suppress(KeyError, TypeError):
        return f"version {health['version']}" if health["service"] == "service-registry" else None
    return None


def _answer(given: Settings, path: str) -> Any:
    """None: nobody answers there."""
    scheme = "http" if given.tls_cert is None else "https"
    token = os.environ.get("DISCOVERY_TOKEN")
    asked = urllib.request.Request(  # noqa: S310 - http or https
        f"{scheme}://{authority(reachable(given.host[0]), given.port)}{path}",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    with contextlib.suppress(OSError, ValueError):
        try:
            with urllib.request.urlopen(asked, timeout=_PATIENCE) as reply:  # noqa: S310 - http or https
                return json.load(reply)
        except urllib.error.HTTPError as error:
            return json.load(error)
    return None


def warnings(given: Settings) -> Iterator[Finding]:
    """What the server says that runs here."""
    try:
        found = TypeAdapter(list[_Warned]).validate_python(_answer(given, "/ready")["warnings"])
    except (TypeError, LookupError, ValidationError):
        yield ok("no registry answers here that could be asked for its warnings")
        return
    if not found:
        yield ok("the registry that runs here warns of nothing")
    for each in found:
        text = (
            each.get("text")
            or f"{each['count']} of {each['code']}; set DISCOVERY_TOKEN to one that may read to see more"
        )
        since = f" (since {each['since']}, {each['see']})" if "since" in each and "see" in each else ""
        yield (problem if each["severity"] == "critical" else warning)(text + since)


def open_files(given: Settings) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = given.http_max_connections + OTHERS
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        yield ok(
            f"{'any number of' if hard == resource.RLIM_INFINITY else f'{hard:,}'} open files are allowed, {wanted:,} may be needed"
        )
    else:
        yield warning(
            f"{hard:,} open files are allowed and HTTP_MAX_CONNECTIONS may need {wanted:,}: fewer connections will be held; "
            "raise `ulimit -Hn`, or LimitNOFILE= in the unit"
        )


def clock(given: Settings) -> Iterator[Finding]:
    """Leases run on the monotonic clock; the wall clock is for people, tokens' ends and windows of maintenance."""
    if not sys.platform.startswith("linux"):
        return
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    if state == _TIME_ERROR:
        yield warning(
            "the clock is not synchronized (adjtimex): times in answers, ends of tokens may be off; run chrony or ntpd"
        )
    elif state >= 0:
        yield ok("the clock is synchronized")


def journal(given: Settings) -> Iterator[Finding]:
    folder = JournalSettings.read().data_dir
    if folder is None:
        yield warning("DATA_DIR is empty: everything registered is gone after a restart")
        return
    file = folder / files.FILE
    if not folder.exists():
        yield ok(f"{folder} (DATA_DIR) is made at the first start")
    elif not file.exists():
        yield ok(f"{folder} (DATA_DIR) has nothing in it yet")
    else:
        yield from _file(folder, file)
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    text = f"{free // _MIB:,} MiB are free on the disk of {folder}"
    yield ok(text) if free > _LITTLE else problem(f"{text}: writes will soon be refused (507, 503)")


def _file(folder: Path, file: Path) -> Iterator[Finding]:
    """Damaged, NewerFormat, CannotRead: their texts say what to do."""
    pid = held_by(folder)
    if pid is not None:  # it may be writing what would be read here
        yield ok(f"{folder} is used by the server that runs with pid {pid}")
        return
    content = inspect(file)
    yield ok(f"{file} is whole: {content.counted}")
