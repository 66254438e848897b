"""This host: ports, open files, the clock, and the folder of what is kept."""

from __future__ import annotations

import ctypes
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from discovery.cli.doctor.finding import Finding, ok, problem, warning
from discovery.cli.doctor.running import registry_at
from discovery.core.address import authority
from discovery.plugins.journal import JournalSettings, files
from discovery.plugins.journal.inspection import inspect
from discovery.plugins.journal.lock import held_by
from discovery.settings import Settings
from discovery.system.limits import OTHERS
from discovery.system.sockets import DATAGRAM, STREAM, BindError, bind

_MIB = 1 << 20
# Below this a disk is soon full.
_LITTLE = 200 * _MIB
# adjtimex(2): the clock is not synchronized.
_TIME_ERROR = 5
# Octets: more than struct timex has anywhere.
_TIMEX = 1024


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
                running = registry_at(given)
                yield ok(f"{where} is taken by a registry that runs, {running}") if running else problem(str(error))


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
