"""What a node says that cannot start, or finds in etcd what is not ours: one clear line, what it is about, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.etcd.cluster import EtcdCluster
from tests.ports import free_port
from tests.stories.cluster.nodes import (
    TTL,
    addresses,
    engine,
    etcd_of,
    etcdctl,
    metric,
    node,
    ready,
    starts_and_fails,
    url_of,
)  # fmt: skip
from tests.stories.process import running, until


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with etcd_of(tmp_path_factory.mktemp("etcd")) as found:
        yield found


def test_while_etcd_is_away_it_does_not_start_and_says_whom_it_asked() -> None:
    port = free_port()
    status, said = starts_and_fails(ENGINE_URL=f"etcd://127.0.0.1:{port}")
    assert status == 1
    assert f"ENGINE_URL: no etcd member answers (http://127.0.0.1:{port}: Connection refused)" in said
    assert "Traceback" not in said


def test_a_url_of_another_kind_is_named_with_what_there_is() -> None:
    status, said = starts_and_fails(ENGINE_URL="redis://127.0.0.1")
    assert status == 2
    assert "ENGINE_URL" in said
    assert "etcd" in said
    assert "Traceback" not in said


def test_another_server_of_http_is_told_from_an_etcd() -> None:
    with running() as other:
        status, said = starts_and_fails(ENGINE_URL=f"etcd://127.0.0.1:{other.port}")
    assert status == 1
    assert f"ENGINE_URL: http://127.0.0.1:{other.port} refuses: what answers there is not etcd's gateway" in said
    assert "the client port (2379) of an etcd 3.4 or later" in said
    assert "Traceback" not in said


def test_who_has_a_wrong_password_or_no_right_to_the_prefix_is_told_so_and_the_password_is_in_no_line(
    tmp_path: Path,
) -> None:
    for name, password in (("right", "right-secret"), ("wrong", "wrong-secret")):
        (tmp_path / name).write_text(password)
    with etcd_of(tmp_path) as etcd:
        for command in (
            "user add root:root-secret", "user grant-role root root", "role add registry",
            "role grant-permission --prefix=true registry readwrite reg/", "user add discovery:right-secret",
            "user grant-role discovery registry", "auth enable",
        ):  # fmt: skip
            etcdctl(etcd, *command.split())
        access = {"ENGINE_URL": url_of(etcd.urls), "ETCD_USER": "discovery"}
        wrong = starts_and_fails(**access, ETCD_PASSWORD_FILE=str(tmp_path / "wrong"))
        elsewhere = starts_and_fails(**access, ETCD_PASSWORD_FILE=str(tmp_path / "right"), ETCD_PREFIX="other/")
        nobody = starts_and_fails(ENGINE_URL=url_of(etcd.urls))
        for (status, said), word in (
            (wrong, "is ETCD_USER right, and the password in ETCD_PASSWORD_FILE?"),
            (elsewhere, "permission denied; the role of ETCD_USER needs read and write on ETCD_PREFIX"),
            (nobody, "user name is empty; set ETCD_USER and ETCD_PASSWORD_FILE"),
        ):
            assert status == 1, said
            assert word in said
            assert "Traceback" not in said
            assert "-secret" not in said
        with node(etcd, ETCD_USER="discovery", ETCD_PASSWORD_FILE=str(tmp_path / "right")) as server:
            server.register("web", "10.0.0.1", 80)
            assert addresses(server, "web") == {"10.0.0.1"}
            assert "-secret" not in "\n".join(server.log)


def test_a_password_or_tls_that_etcd_does_not_have_is_named_with_what_to_do(etcd: EtcdCluster, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    url = url_of(etcd.urls)
    credentials = {"ETCD_USER": "me", "ETCD_PASSWORD_FILE": str(tmp_path / "password")}
    status, said = starts_and_fails(ENGINE_URL=url, **credentials)
    assert status == 1
    assert "authentication is not enabled; unset ETCD_USER, or enable it there" in said
    status, said = starts_and_fails(ENGINE_URL=url.replace("etcd:", "etcds:"))
    assert status == 1
    assert "it speaks no TLS, or another one); write etcd:// without the s" in said


def test_keys_of_somebody_else_below_the_prefix_are_named_counted_and_passed_over(etcd: EtcdCluster) -> None:
    prefix = {"ETCD_PREFIX": "shared/"}
    with node(etcd, **prefix) as first:
        known = first.register("web", "10.0.0.1", 80)["instance"]["id"]
    broken = {
        "shared/i/web/theirs": "not json",
        "shared/i/web/hers": '{"id": 7}',
        "shared/i/deep/er/than/that": "{}",
        "shared/w/web/odd": "{}",
        "shared/t/x": "[[1]]",
        "shared/v/web/deeper": "1",
        "shared/h/theirs": "odd",
        "shared/unheard-of": "1",
        "shared/": "1",
        "shared/i": "\x1b[31mred",
    }
    for key, value in broken.items():
        etcdctl(etcd, "put", key, value)
    with node(etcd, **prefix) as second:
        assert addresses(second, "web") == {"10.0.0.1"}
        assert engine(second)["skippedKeys"] >= 4
        assert metric(second, "discovery_engine_skipped_keys_total") == engine(second)["skippedKeys"]
        said = "\n".join(second.log)
        assert "shared/i/web/theirs" in said
        assert "Traceback" not in said
        for key, value in broken.items():  # and while it runs
            etcdctl(etcd, "put", key, value + " ")
        second.register("web", "10.0.0.2", 80)
        until(lambda: addresses(second, "web") == {"10.0.0.1", "10.0.0.2"})
        etcdctl(etcd, "put", f"shared/i/web/{known}", "spoilt by hand")
        second.register("web", "10.0.0.3", 80)
        assert ready(second)
        assert "10.0.0.3" in addresses(second, "web")
        assert "Traceback" not in "\n".join(second.log)


def test_the_second_of_two_with_other_settings_adopts_those_of_the_first_and_says_so(etcd: EtcdCluster) -> None:
    with ExitStack() as stack:
        url, prefix = url_of(etcd.urls), "two/"
        one = stack.enter_context(node(etcd, ETCD_PREFIX=prefix))
        other = stack.enter_context(
            running(ENGINE_URL=url, ETCD_PREFIX=prefix, HEARTBEAT_TIMEOUT_SECONDS=7, ETCD_FLUSH_SECONDS=0.5)
        )
        assert other.request("GET", "/stats").body["heartbeatTimeout"] == f"{TTL}s"
        assert engine(other)["cluster"] == engine(one)["cluster"]
        until(lambda: any("MAX_INSTANCES_PER_SERVICE is 10 here and 50 for all nodes" in line for line in other.log))
        said = "\n".join(other.log)
        assert f"HEARTBEAT_TIMEOUT_SECONDS is 7.0 here and {TTL}.0 for all nodes, which holds" in said
        assert "ETCD_FLUSH_SECONDS is" not in said
        reply = other.register("web", "10.0.0.1", 80)
        assert reply["heartbeatIntervalMs"] <= TTL * 1000 / 2
