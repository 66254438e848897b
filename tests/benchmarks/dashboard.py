"""The dashboard under 1,000 services of 10 instances, in a headless Chromium: how soon it can be read, how it moves under 1,000 events a
second, and what it keeps of 100,000.

Everything is seen from inside the page: rows on the screen by the animation frame after them, frames by the time between two. The heap
is that of JavaScript after a collection.

python -m tests.benchmarks.dashboard [seconds]
"""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.benchmarks import report
from tests.benchmarks.changes import Changes
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.isolation import enter
from tests.stories.dashboard.chromium import chromium
from tests.stories.dashboard.visits import DESKTOP, PHONE, Tabs, Visits, type_token
from tests.stories.process import Discovery, running

SERVICES, INSTANCES = 1000, 10
VISITS, SECONDS, EVENTS_A_SECOND, REPLAYED = 5, 10.0, 1000, 100_000
QUIET: dict[str, Any] = {"LOG_LEVEL": "error", "REGISTERS_PER_SECOND": 0}
TOKENS = ("a-first-token-of-the-benchmark", "a-second-token-of-the-benchmark")

# Rows that are on the screen, in the frame in which they first are.
_FIRST_ROWS = """(() => {
    const look = () => {
        const row = document.querySelector("%s");
        if (row && row.getBoundingClientRect().height) window.firstRows = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})()"""
_ROW = "[role=row] [role=cell]"

_FRAMES = """seconds => new Promise(resolve => {
    const gaps = [], start = performance.now();
    let last = start;
    const frame = now => {
        const at = performance.now();
        gaps.push(at - last);
        last = at;
        if (at - start < seconds * 1000) requestAnimationFrame(frame);
        else resolve(gaps);
    };
    requestAnimationFrame(frame);
})"""


def first_view(browser: Browser, server: Discovery) -> None:
    """Each visit with empty caches."""
    found = []
    for _ in range(VISITS):
        with visiting(browser, server) as page:
            page.wait_for_function("() => window.firstRows")
            found.append(page.evaluate("window.firstRows") / 1000)
            page.close()
    report.at_most("First view: navigation to rows on the screen, median", report.percentile(found, 50), 1, "s")
    report.fact("… the slowest of five", max(found), "s")


def moving(page: Page, title: str, changes: Changes, seconds: float) -> None:
    with changes.at(EVENTS_A_SECOND):
        gaps = page.evaluate(_FRAMES, seconds)[1:]
    told = f"{changes.rate:,.0f} events/s"
    report.at_least(f"{title}: frames a second, median", 1000 / report.percentile(gaps, 50), 30, "", told)
    report.at_most("… the longest gap", max(gaps), 250, "ms", f"p99 {report.percentile(gaps, 99):.0f} ms")


def layouts(browser: Browser, server: Discovery, seconds: float) -> None:
    everybody = Changes(server.port, list(fleet(SERVICES, INSTANCES)))
    for title, query, size in (
        ("Services", "", DESKTOP),
        ("Services on a phone", "", PHONE),
        ("Services, searched", "q=s12", DESKTOP),
        ("Hosts", "view=hosts", DESKTOP),
        ("The feed", "view=feed", DESKTOP),
        ("A service", "view=service&service=s0", DESKTOP),
    ):
        with visiting(browser, server, query, size) as page:
            page.wait_for_function("() => window.firstRows")
            moving(page, title, everybody, seconds)
    with visiting(browser, server, "view=service&service=s0") as page:
        page.wait_for_function("() => window.firstRows")
        moving(page, "A service that all events are about", Changes(server.port, list(fleet(1, INSTANCES))), seconds)


def memory(browser: Browser, folder: Path) -> None:
    """Through 100,000 events, a change of token and a restart of the server under the page."""
    members = list(fleet(SERVICES, INSTANCES))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "tokens.toml").write_text("".join(map(_token, TOKENS)))
    settings: dict[str, Any] = {
        **QUIET, "PORT": port, "DATA_DIR": str(folder / "data"), "TOKENS_FILE": str(folder / "tokens.toml"),
        "REQUIRE_READ_TOKEN": "true",
    }  # fmt: skip
    changes = Changes(port, members, TOKENS[0])
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        server = first.enter_context(running(**settings))
        register(port, iter(members), token=TOKENS[0])
        page = stack.enter_context(visiting(browser, server, expected=("401", "ERR_")))
        type_token(page, TOKENS[0])
        page.wait_for_function("() => window.firstRows")
        _has_heard(page, server, "before")
        before = heap(page)
        report.fact("The heap with 10,000 instances, after a collection", before, "MiB")
        for title, count in (("1,000 events more", 1000), ("100,000 events", REPLAYED)):
            changes.make(count)
            _has_heard(page, server, f"after-{count}")
            _compare(f"… after {title}", page, before)
        page.get_by_role("button", name="Token").click()
        type_token(page, TOKENS[1])
        changes.make(1000)
        _has_heard(page, server, "another-token")
        _compare("… after a change of token", page, before)
        first.close()
        server = stack.enter_context(running(**settings))
        _has_heard(page, server, "after-the-restart")
        changes.make(1000)
        _has_heard(page, server, "restarted")
        _compare("… after a restart of the server", page, before)


def _compare(title: str, page: Page, before: float) -> None:
    report.at_most(title, heap(page) / before, 1.1, "×")


def _token(secret: str) -> str:
    return f'[[token]]\nname = "{secret[2:8].strip("-")}"\nsha256 = "{sha256(secret.encode()).hexdigest()}"\nadmin = true\n'


def _has_heard(page: Page, server: Discovery, name: str) -> None:
    """All up to now: a service that registers now is found. Its name is the last, so it is read last too."""
    name = f"zz-{name}"
    server.token = TOKENS[0]
    server.register(name, ttl=3600)
    page.get_by_role("searchbox").fill(name)
    expect(page.get_by_role("link", name=name)).to_be_visible()
    page.get_by_role("searchbox").fill("")


def heap(page: Page) -> float:
    """MiB that JavaScript uses after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    for _ in range(3):  # finalizers free more in the next
        session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(used["usedSize"]) / 1024**2


@contextmanager
def visiting(
    browser: Browser, server: Discovery, query: str = "", size: tuple[int, int] = DESKTOP, expected: Iterable[str] = ()
) -> Iterator[Page]:
    tabs = Tabs(browser, before=_FIRST_ROWS % _ROW)
    visits = Visits(tabs)
    visits.faults.expect(*expected)
    try:
        yield visits(server, query, size=size)
        assert not visits.faults.found, visits.faults.found
    finally:
        tabs.close()


def main(seconds: float) -> None:
    report.machine()
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        with running(DATA_DIR="", **QUIET) as server:
            register(server.port, fleet(SERVICES, INSTANCES))
            first_view(browser, server)
            layouts(browser, server, seconds)
        memory(browser, Path(folder))


if __name__ == "__main__":
    enter()
    main(float(sys.argv[1]) if sys.argv[1:] else SECONDS)
