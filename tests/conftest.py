"""What runs alone, what runs first, and what runs with `--all` alone.

Alone: tests that load the machine, or measure how long something takes. All others run side by side, several at a time, a file by one
worker (tests/run). The longest files come first, so that in the end no worker has one of them before it while the others are done.
"""

from __future__ import annotations

import functools
import gc
import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

import tests.examples  # noqa: F401 - the profiles
from tests.patient import PatientLoop

# Where a shell starts pytest in the background, SIGINT is ignored, by every program that tests start too; some are sent it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What is collected lives until the end: to look at it again and again took the collector a third of the time that reading the tests takes.
gc.disable()

ALONE = (
    "engines/etcd/test_chaos.py",
    "engines/etcd/test_silence.py",
    "stories/attack/test_dns_flood.py",
    "stories/attack/test_readers.py",
    "stories/attack/test_slow_http.py",
    "stories/cluster/test_brake_asks.py",
    "stories/test_start_time.py",
    "plugins/journal/test_speed.py",
)
# What starts no program and waits for nothing: `--part pure` is these, `--part others` all others. tests/run has one process for them,
# beside several for the others: each of those would collect these too, and to share them takes 3 ms a case.
PURE = ("core/", "dns/", "rest/", "store/")
# Longest first, by what they took on a quiet machine; then all other stories, then the rest.
FIRST = (
    "stories/security/test_schemathesis.py",
    "stories/dashboard/test_night.py",
    "stories/liveness/test_kill.py",
    "engines/etcd/test_static_stability.py",
    "stories/client/test_run.py",
    "stories/liveness/test_brake_cut.py",
    "docs/test_cluster",
    "stories/container",
    "stories/installed",
    "stories/cluster",
    "stories/dashboard",
    "engines/etcd",
    "docs",
    "cli/test_migrate.py",
    "stories",
    "deploy",
    "cli",
    "plugins",
    "",
)


# What tests other people's programs more than ours, or takes long: with `--all`, as CI does, or by name; a single test of a file by the
# mark `with_all`. What they would show of ours is tested elsewhere: what is served in dns/ and rest/, how long a cache keeps it in
# judges/test_caches.py, nodes in stories/cluster.
WITH_ALL = (
    "deploy/test_members.py",  # etcd with the settings of compose.cluster.yaml and kubernetes.cluster.yaml, which test_manifests.py reads
    "docs/test_cluster",  # test_cluster.py and test_cluster_recovery.py: each line of the page, with systemd and etcd
    "engines/etcd/test_chaos.py",  # stories/faults has each trouble by itself
    "engines/etcd/test_silence.py",  # test_static_stability has the same of one instance
    "plugins/journal/test_speed.py",
    "stories/attack/test_slow_http.py",  # slowhttptest; rest/http/test_slow_clients.py has every bound
    "stories/cluster/test_brake_asks.py",  # stories/liveness has one node, plugins/brake who is asked
    "stories/cluster/test_haproxy.py",
    "stories/cluster/test_secondary.py",  # BIND; stories/transfer has it with one node, test_nodes.py that serials are the same on all
    "stories/container",
    "stories/dashboard/test_reference.py",  # Swagger UI in a browser
    "stories/dashboard/test_harness.py",  # whether the stories would find what is wrong with a page
    "stories/faults",
    "stories/installed",  # pip makes a wheel and installs it
    "stories/judges/test_caddy.py",
    "stories/judges/test_dnsmasq.py",
    "stories/judges/test_haproxy.py",
    "stories/judges/test_in_front.py",
    "stories/judges/test_java.py",
    "stories/judges/test_nginx.py",
    "stories/judges/test_prometheus.py",
    "stories/judges/test_resolved.py",
    "stories/judges/test_srv_clients.py",
    "stories/security/test_schemathesis.py",
    "stories/test_alerts.py",  # Prometheus; deploy/test_alerts.py has each rule
    "stories/test_start_time.py",
)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("all" if config.option.all else "plain")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also what tests other people's programs more than ours")
    parser.addoption("--part", choices=("pure", "others"), help="those that start no program, or all others")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"patient": PatientLoop}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of a run that would deselect them all, files need not even be read."""
    if collection_path.suffix != ".py":
        return None
    within = _within_tests(collection_path)
    if within.startswith(WITH_ALL) and not _has_all(config):
        return True
    if config.option.part and within.startswith(PURE) != (config.option.part == "pure"):
        return True
    marked = "alone" if within.startswith(ALONE) else "not alone"
    return True if config.option.markexpr in {"alone", "not alone"} - {marked} else None


def pytest_report_header(config: pytest.Config) -> str:
    return "" if config.option.all else f"without --all: not {', '.join(WITH_ALL)}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [] if _has_all(config) else [item for item in items if item.get_closest_marker("with_all")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        if _within_tests(item.path).startswith(ALONE):
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: _turn(_within_tests(item.path)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _has_all(config: pytest.Config) -> bool:
    return config.option.all or config.args_source is pytest.Config.ArgsSource.ARGS


@functools.cache  # asked of each test, thrice
def _within_tests(path: Path) -> str:
    here = Path(__file__).parent
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else ""


@functools.cache
def _turn(path: str) -> int:
    return next(turn for turn, start in enumerate(FIRST) if path.startswith(start))
