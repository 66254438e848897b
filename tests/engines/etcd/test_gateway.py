"""The client of etcd's gateway, against a real etcd."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from discovery.engines.etcd import gateway
from discovery.engines.etcd.gateway import Credentials, Etcd
from discovery.engines.etcd.messages import (
    EtcdAway,
    EtcdError,
    created_at,
    delete,
    end_of,
    nested,
    put,
    unchanged_since,
)
from tests.engines.etcd.cluster import EtcdCluster, Proxy, answers, cluster_of
from tests.ports import free_port
from tests.programs import FAKETIME, program
from tests.waiting import LIMIT, until


async def test_a_transaction_takes_the_branch_that_its_comparison_says(client: Etcd) -> None:
    first = await client.txn([created_at(b"a", 0)], [put(b"a", b"1")])
    assert first.succeeded
    assert not (await client.txn([created_at(b"a", 0)], [put(b"a", b"2")])).succeeded
    assert (await client.range(b"a")).found == [(b"a", b"1", first.revision, first.revision)]
    second = await client.txn([unchanged_since(b"a", first.revision)], [delete(b"a"), put(b"b", b"")])
    assert second.succeeded
    assert second.revision == first.revision + 1
    assert (await client.range(b"a")).found == []


async def test_nested_transactions_are_taken_or_left_each_by_itself_in_one_revision(client: Etcd) -> None:
    outcome = await client.txn(
        [], [nested([created_at(b"a", 0)], [put(b"a", b"1")]), nested([created_at(b"b", 7)], [put(b"b", b"1")])]
    )
    assert [each["response_txn"].get("succeeded", False) for each in outcome.responses] == [True, False]
    assert [each.key for each in (await client.range(b"a", b"c")).found] == [b"a"]


async def test_a_range_is_read_in_pages_at_one_revision(client: Etcd) -> None:
    for number in range(5):
        revision = (await client.txn([], [put(b"k%d" % number, b"")])).revision
    page = await client.range(b"k", end_of(b"k"), limit=3)
    assert (len(page.found), page.more, page.revision) == (3, True, revision)
    await client.txn([], [put(b"k9", b"")])
    rest = await client.range(page.found[-1].key + b"\0", end_of(b"k"), revision=page.revision)
    assert [each.key for each in rest.found] == [b"k3", b"k4"]


async def test_a_lease_takes_its_keys_with_it(client: Etcd) -> None:
    lease = await client.grant(30)
    await client.txn([], [put(b"leased", b"", lease)])
    assert await client.keep_alive(lease)
    await client.revoke(lease)
    await client.revoke(lease)  # it may be over already
    assert not await client.keep_alive(lease)
    assert not (await client.range(b"leased")).found


async def test_a_watch_tells_everything_from_its_revision_on_large_values_too(client: Etcd) -> None:
    start = (await client.txn([], [put(b"w/old", b"")])).revision + 1
    large = b"x" * 700_000
    await client.txn([], [put(b"w/a", large), put(b"w/b", b"2")])
    await client.txn([], [delete(b"w/a"), put(b"elsewhere", b"")])
    seen = []
    async with aclosing(client.watch(b"w/", end_of(b"w/"), start, silence=10)) as watched:
        async for changes in watched:
            seen += changes.changes
            if len(seen) == 3:
                break
    assert [(change.key, change.value) for change in seen] == [(b"w/a", large), (b"w/b", b"2"), (b"w/a", None)]
    assert [change.mod_revision - start for change in seen] == [0, 0, 1]


async def test_a_watch_from_a_compacted_revision_says_so(client: Etcd) -> None:
    for _ in range(3):
        revision = (await client.txn([], [put(b"w/a", b"")])).revision
    await client.call("kv/compaction", {"revision": revision})
    with pytest.raises(EtcdError) as caught:
        async for _changes in client.watch(b"w/", end_of(b"w/"), 1, silence=10):
            pass
    assert caught.value.is_compacted


async def test_a_watch_that_hears_nothing_ends(client: Etcd) -> None:
    with pytest.raises(EtcdAway):
        async for _changes in client.watch(b"w/", end_of(b"w/"), 0, silence=0.3):
            pass


async def test_a_member_that_is_away_or_slow_is_passed_over_for_the_next(etcd: EtcdCluster, proxy: Proxy) -> None:
    client = Etcd([f"http://127.0.0.1:{free_port()}", proxy.url, etcd.members[0].url], patience=LIMIT)
    await client.open()
    try:
        await client.range(b"a")
        assert client.endpoint == proxy.url
        proxy.blackhole()
        client._patience = 1.0
        await until(lambda: answers(client))
        assert client.endpoint == etcd.members[0].url
    finally:
        await client.close()


async def test_how_long_one_that_is_silent_is_waited_for_is_the_callers_choice(proxy: Proxy) -> None:
    client = Etcd([proxy.url], patience=0.05)
    await client.open()
    proxy.blackhole()
    try:
        with pytest.raises(EtcdAway, match=r"no answer within 0\.05 s"):
            await client.range(b"a")
    finally:
        await client.close()


async def test_when_none_answers_it_says_which_were_tried() -> None:
    ports = [free_port(), free_port()]
    client = Etcd([f"http://127.0.0.1:{port}" for port in ports])
    await client.open()
    try:
        with pytest.raises(EtcdAway) as caught:
            await client.range(b"a")
        assert all(str(port) in str(caught.value) for port in ports)
    finally:
        await client.close()


async def test_a_line_of_a_watch_may_come_in_pieces_and_one_that_never_ends_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        for piece in (b'{"result":{"header":{"revi', b'sion":"7"}}}\n{"result":', b"x" * 60, b"x" * 60):
            await reply.write(piece)
            await asyncio.sleep(0.05)
        return reply

    monkeypatch.setattr(gateway, "_LINE_OCTETS", 100)
    app = web.Application()
    app.router.add_post("/v3/watch", answer)
    async with TestServer(app) as server:
        client = Etcd([str(server.make_url(""))])
        await client.open()
        watched = client.watch(b"a", b"b", 1, silence=10)
        assert (await anext(watched)).revision == 7
        with pytest.raises(EtcdAway, match="more than 100 bytes"):
            await anext(watched)
        await client.close()


async def test_with_a_password_it_gets_a_token_and_a_new_one_when_that_ends(etcd: EtcdCluster) -> None:
    def ctl(*arguments: str) -> None:
        command = [program("etcdctl"), "--endpoints", etcd.urls[0], "--user", "root:secret", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    for arguments in (
        ("user", "add", "root:secret", "--user", ""),
        ("user", "grant-role", "root", "root", "--user", ""),
        ("role", "add", "registry", "--user", ""),
        ("role", "grant-permission", "registry", "readwrite", "reg/", "--prefix", "--user", ""),
        ("user", "add", "reg:word", "--user", ""),
        ("user", "grant-role", "reg", "registry", "--user", ""),
        ("auth", "enable", "--user", ""),
    ):
        await asyncio.to_thread(ctl, *(each for each in arguments if each not in ("--user", "")))
    nobody, wrong, right = (
        Etcd(etcd.urls, credentials, patience=LIMIT)
        for credentials in (None, Credentials("reg", "no"), Credentials("reg", "word"))
    )
    for each in (nobody, wrong, right):
        await each.open()
    try:
        for refused in (nobody, wrong):
            with pytest.raises(EtcdError):
                await refused.range(b"reg/a")
        await right.txn([], [put(b"reg/a", b"1")])
        right._token = "not a token any more"  # noqa: S105
        assert (await right.range(b"reg/a")).found[0].value == b"1"
        with pytest.raises(EtcdError):
            await right.range(b"other")
        etcd.members[0].kill()  # knows no token when it is back
        await etcd.start()
        assert (await right.range(b"reg/a")).found[0].value == b"1"
    finally:
        for each in (nobody, wrong, right):
            await each.close()


async def test_it_speaks_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    from discovery.engines.etcd.settings import EtcdSettings

    def make() -> None:
        def openssl(*arguments: str, **more: str) -> None:
            command = [program("openssl"), *arguments]
            subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, env={**os.environ, **more})

        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2",
        )  # fmt: skip
        program("faketime")  # OpenSSL's own option for this came with 3.4
        past = {"LD_PRELOAD": FAKETIME, "FAKETIME": "2020-01-01 00:00:00"}
        for name in ("server", "node", "expired"):
            openssl(
                "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
            )  # fmt: skip
            (tmp_path / "ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
            openssl(
                "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem",
                "-days", "2", "-extfile", "ext", **(past if name == "expired" else {}),
            )  # fmt: skip

    await asyncio.to_thread(make)
    client_port, peer_port = free_port(), free_port()
    url, peer = f"https://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    process = subprocess.Popen(  # noqa: ASYNC220
        [
            program("etcd"), "--data-dir", "d", "--unsafe-no-fsync", "--listen-client-urls", url, "--advertise-client-urls", url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
            "--cert-file", "server.pem", "--key-file", "server.key", "--trusted-ca-file", "ca.pem", "--client-cert-auth",
            "--heartbeat-interval", "20", "--election-timeout", "200",
        ],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    settings = EtcdSettings(
        etcd_ca=tmp_path / "ca.pem", etcd_cert=tmp_path / "node.pem", etcd_key=tmp_path / "node.key"
    )
    stranger = EtcdSettings(etcd_ca=tmp_path / "ca.pem")
    client, other = Etcd([url], tls=settings.tls(), patience=LIMIT), Etcd([url], tls=stranger.tls(), patience=LIMIT)
    await client.open()
    await other.open()
    try:

        async def answers() -> bool:
            try:
                await client.range(b"a")
            except (EtcdAway, EtcdError):
                return False
            return True

        await until(answers)
        assert (await client.txn([], [put(b"a", b"1")])).succeeded
        with pytest.raises(EtcdAway):
            await other.range(b"a")
        for kind in ("pem", "key"):  # which etcd reads at each handshake
            (tmp_path / f"expired.{kind}").replace(tmp_path / f"server.{kind}")
        late = Etcd([url], tls=settings.tls(), patience=LIMIT)
        await late.open()
        try:
            with pytest.raises(EtcdAway, match="certificate has expired"):
                await late.range(b"a")
            assert late.refused is None, "somebody listens there"
        finally:
            await late.close()
    finally:
        await client.close()
        await other.close()
        process.kill()
        process.wait()


async def test_a_full_etcd_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    async with cluster_of(tmp_path, 1, "--quota-backend-bytes", "200000") as cluster:
        client = Etcd(cluster.urls, patience=LIMIT)
        await client.open()

        async def fill() -> None:
            for number in range(100):
                await client.txn([], [put(b"k%d" % number, b"x" * 50_000)])

        try:
            with pytest.raises(EtcdError) as caught:
                await fill()
            assert caught.value.is_full
        finally:
            await client.close()
