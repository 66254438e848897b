"""A node that does not hear of what happens at the others says with every answer for how many seconds, even where all are healthy."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from discovery.core.caller import NOBODY, Caller
from discovery.core.instance import Key
from discovery.store.engine import Engine
from discovery.store.errors import EngineAway, UnknownForNow, UnknownInstance
from discovery.store.service import Entry, NodeStatus
from tests.driven import DrivenRegistry
from tests.rest.harness import USER, Api, serving

RESOLVE = "/resolve/user-service"
PATHS = [
    RESOLVE,
    f"{RESOLVE}?limit=5",
    "/services",
    "/services?limit=5",
    "/changes",
    "/stats",
    "/resolve/nobody",
    "/health",
]


async def test_every_answer_says_how_old_it_is_in_a_header_and_in_its_body(api: Api) -> None:
    await api.register()
    for seconds in (0, 37):
        api.registry.stale_seconds = partial(int, seconds)
        for path in PATHS:
            reply = await api.get(path)
            said = (reply.headers.get("X-Registry-Stale"), reply.body.get("stale"))
            assert said == (("37", 37) if seconds else (None, None)), path


async def test_a_304_and_a_refused_heartbeat_say_so_too(api: Api) -> None:
    await api.register()
    api.registry.stale_seconds = lambda: 37
    api.registry.staleness_changed()
    tag = (await api.get(RESOLVE)).headers["ETag"]
    reply = await api.get(RESOLVE, **{"If-None-Match": tag})
    assert (reply.status, reply.headers["X-Registry-Stale"]) == (304, "37")
    api.registry.stale_seconds = lambda: 38
    assert (await api.get(RESOLVE, **{"If-None-Match": tag})).status == 304, "as of the same moment, a second later"
    reply = await api.post("/heartbeat", USER | {"port": 9})
    assert (reply.status, reply.body["stale"]) == (404, 38)


async def test_entity_tags_change_when_staleness_does_and_when_somebody_becomes_a_suspect(api: Api) -> None:
    await api.register()
    [entry] = api.registry
    entry.through = NodeStatus("other")
    seen = []
    for stale, silent, changes in ((0, False, 0), (5, False, 0), (5, True, 1), (0, True, 1), (0, False, 1)):
        api.registry.stale_seconds = partial(int, stale)
        entry.through.silent = silent
        for _ in range(changes):
            api.registry.staleness_changed()
        reply = await api.get(RESOLVE)
        assert reply.body["instances"][0]["status"] == ("suspect" if silent else "healthy")
        seen.append(reply.headers["ETag"])
    assert len(set(seen)) == 5
    assert "ETag" in (await api.get("/services")).headers
    api.registry.has_own_statuses = True
    assert "ETag" not in (await api.get("/services")).headers, "the index does not say all"


async def test_it_is_ready_for_reads_while_it_can_answer_and_for_writes_while_it_can_be_written() -> None:
    why: dict[str, str | None] = {"registry": None, "engine": None}
    checks = {"registry": lambda: why["registry"], "engine": lambda: why["engine"]}
    async with serving(checks=checks) as api:

        async def ready() -> list[int]:
            return [(await api.get(path)).status for path in ("/ready", "/ready?for=writes", "/ready?for=reads")]

        assert await ready() == [200, 200, 200]
        why["engine"], api.registry.stale_seconds = "etcd is away", lambda: 37
        assert await ready() == [503, 503, 200]
        assert (await api.get("/ready?for=reads")).body["stale"] == 37
        why["registry"] = "it is still being filled"
        assert await ready() == [503, 503, 503]
        assert (await api.get("/ready?for=nothing")).status == 400


class Away:
    """As an engine whose etcd is away: heartbeats are noted and refused."""

    def __init__(self, inner: Engine, registry: DrivenRegistry) -> None:
        self._inner = inner
        self._registry = registry
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def renew(self, which: Key | str, by: Caller = NOBODY, check: str | None = None) -> Entry:
        if not self.is_away:
            return self._inner.renew(which, by)
        try:
            self._inner.renew(which, by)
        except UnknownInstance:
            raise UnknownForNow("etcd is away") from None
        raise EngineAway("etcd is away")


@pytest.mark.parametrize("many", [False, True])
async def test_a_refused_heartbeat_is_a_sign_of_life_in_whatever_spelling(many: bool) -> None:
    made: list[Away] = []

    def wrapped(inner: Engine, registry: DrivenRegistry) -> Engine:
        made.append(Away(inner, registry))
        return made[0]

    async with serving(engine=wrapped) as api:
        await api.register()
        made[0].is_away = True
        api.forward(5)
        spelt = USER | {"name": " USER-Service", "port": str(USER["port"])}
        path, body = ("/heartbeats", {"instances": [spelt]}) if many else ("/heartbeat", spelt)
        reply = await api.post(path, body)
        assert (reply.status, reply.body["code"], reply.headers["Retry-After"]) == (503, "ENGINE_UNAVAILABLE", "1")
        [entry] = api.registry
        assert entry.lease.renewed_at == api.clock.now
