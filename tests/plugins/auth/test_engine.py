"""The gate in front of the engine: every kind of write and heartbeat, by the owner, by others and by an admin."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.errors import Forbidden
from discovery.core.health import Finding
from discovery.core.instance import Key
from discovery.core.kinds import RegistrySettings
from discovery.core.maintenance import Scope, Window
from discovery.store import operations, registration
from discovery.store.errors import UnknownInstance, UnknownService
from discovery.store.operations import (
    ChangeSettings,
    DeregisterMany,
    Drain,
    EndMaintenance,
    Maintain,
    PutDocument,
    ReloadZones,
    RestoreToken,
    RevokeToken,
    Settle,
)
from discovery.store.registration import Deregister, Register, Report, ReportCheck, Revive, Upsert
from discovery.store.write import Write
from tests.plugins.auth.house import ADMIN, FOREIGN, NONE, OWNER, READER, House, bearer
from tests.rest.harness import serving
from tests.store.making import START, WALL, spec

KEY = Key("web", "10.0.0.1", 80)
ID = "web-1"
WINDOW = Window("a new disk", WALL + 60)
PLACE, SERVICE = Scope.of(KEY), Scope("web")

# By name: the write, and what one who does not own `web` lacks.
OWNED = "register:web"
KINDS: dict[str, tuple[Write[Any], str]] = {
    "register": (Register(spec(port=81)), OWNED),
    "register again": (Register(spec(weight=1)), OWNED),
    "register by another case": (Register(spec("WEB", port=81)), OWNED),
    "upsert": (Upsert(spec(port=81)), OWNED),
    "drain": (Drain(KEY, True, "asked"), OWNED),
    "drain by id": (Drain(ID, True, "asked"), OWNED),
    "undrain": (Drain(KEY, False, "asked"), OWNED),
    "deregister": (Deregister(KEY, "asked"), OWNED),
    "deregister by id": (Deregister(ID, "asked"), OWNED),
    "deregister many": (DeregisterMany((KEY,), "asked"), "admin"),
    "deregister all": (DeregisterMany((KEY,), "asked", "web"), OWNED),
    "revive": (Revive(KEY), OWNED),
    "revive by id": (Revive(ID), OWNED),
    "report": (Report(KEY, Finding.of("warning", None)), OWNED),
    "maintain": (Maintain(PLACE, WINDOW), OWNED),
    "end": (EndMaintenance(PLACE, "asked"), OWNED),
    "maintain all": (Maintain(SERVICE, WINDOW), "admin"),
    "end all": (EndMaintenance(SERVICE, "asked"), "admin"),
    "settle": (Settle(PLACE), OWNED),
    "settle all": (Settle(SERVICE), "admin"),
    "report check": (ReportCheck(KEY, "ttl", Finding()), OWNED),
    "document": (PutDocument("plugin", "key", {"a": 1}, "web"), OWNED),
    "document of nobody": (PutDocument("plugin", "key", {"a": 1}), "admin"),
    "settings": (ChangeSettings(RegistrySettings(60.0, 5, 100, 1000)), "admin"),
    "zones": (ReloadZones("read again"), "admin"),
    "revoke": (RevokeToken(bytes(32), "a", None, "asked"), "admin"),
    "restore": (RestoreToken(b"\1" * 32, "asked"), "admin"),
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """With `web` at KEY, in maintenance, so that each write has something to change."""
    house = House(tmp_path / "tokens.toml")
    house.registry.register(spec(id=ID, checks=[{"ttl": 30}]), START, WALL)
    for scope in (PLACE, SERVICE):
        house.registry.maintain(scope, WINDOW, START, WALL)
    house.registry.carry_out(RevokeToken(b"\1" * 32, "b", None, "asked"), START, WALL)
    return house


def caller(house: House, name: str) -> Caller:
    return house.let_in("GET", "/services", bearer(name))


def test_the_table_has_every_kind_of_write() -> None:
    """But what time brings, which nobody can ask for over HTTP."""
    kinds = {
        value
        for module in (registration, operations)
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }
    assert {type(write) for write, _ in KINDS.values()} == kinds


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_is_its_owners_or_an_admins(house: House, kind: str) -> None:
    write, missing = KINDS[kind]
    before = house.registry.index, len(house.registry), dict(house.registry.windows)
    strangers = [FOREIGN, READER, NONE, *([OWNER] if missing == "admin" else [])]
    for by in (*(caller(house, name) for name in strangers), NOBODY, Caller("10.0.0.1")):
        with pytest.raises(Forbidden) as caught:
            await house.engine.submit(write, by)
        assert caught.value.facts["missing"] == missing
        assert missing in str(caught.value)
    assert (house.registry.index, len(house.registry), dict(house.registry.windows)) == before
    await house.engine.submit(write, caller(house, ADMIN if missing == "admin" else OWNER))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", [ADMIN, "the server"])
async def test_an_admin_and_the_server_itself_may_do_all(house: House, kind: str, by: str) -> None:
    await house.engine.submit(KINDS[kind][0], SERVER if by == "the server" else caller(house, by))


@pytest.mark.parametrize(
    "write", [Deregister(Key("gone", "10.0.0.1", 80), ""), Drain(Key("gone", "10.0.0.1", 80), False, "")]
)
async def test_a_missing_right_is_not_disguised_as_not_found(house: House, write: Write[Any]) -> None:
    for name in (FOREIGN, OWNER):
        with pytest.raises(Forbidden) as caught:
            await house.engine.submit(write, caller(house, name))
        assert caught.value.facts["missing"] == "register:gone"
    with pytest.raises(UnknownInstance):
        await house.engine.submit(write, caller(house, ADMIN))


async def test_what_is_not_there_is_not_found_by_its_owner(house: House) -> None:
    for write, error in (
        (Deregister(Key("web-2", "10.0.0.1", 80), ""), UnknownInstance),
        (DeregisterMany((), "", "web-2"), UnknownService),
        (Maintain(Scope("web", "10.0.0.1", 81), WINDOW), UnknownInstance),
    ):
        with pytest.raises(error):
            await house.engine.submit(write, caller(house, OWNER))


@pytest.mark.parametrize("name", [OWNER, FOREIGN, READER])
async def test_an_id_that_is_nobodys_is_not_found_by_anybody(house: House, name: str) -> None:
    for write in (Deregister("nobody", ""), Drain("nobody", True, "")):
        with pytest.raises(UnknownInstance):
            await house.engine.submit(write, caller(house, name))
    with pytest.raises(UnknownInstance):
        house.engine.renew("nobody", caller(house, name))


@pytest.mark.parametrize("which", [KEY, ID])
def test_a_heartbeat_is_the_owners_or_an_admins(house: House, which: Key | str) -> None:
    for by in (*(caller(house, name) for name in (FOREIGN, READER, NONE)), NOBODY):
        with pytest.raises(Forbidden) as caught:
            house.engine.renew(which, by)
        assert caught.value.facts["missing"] == OWNED
    assert house.registry.renewals == 0
    for name in (OWNER, ADMIN):
        assert house.engine.renew(which, caller(house, name)).instance.id == ID
    assert house.registry.renewals == 2


def test_a_heartbeat_of_what_is_foreign_and_unknown_lacks_the_right(house: House) -> None:
    with pytest.raises(Forbidden) as caught:
        house.engine.renew(Key("gone", "10.0.0.1", 80), caller(house, OWNER))
    assert caught.value.facts["missing"] == "register:gone"


async def test_a_foreign_item_of_a_batch_is_told_of_and_fails_nobody_else(tmp_path: Path) -> None:
    house = House(tmp_path / "tokens.toml")
    async with serving(admit=house.admit, seams=house.seams) as api:
        spec = {"ip": "10.0.0.1", "port": 80}
        admin, owner = ({"Authorization": bearer(name)} for name in (ADMIN, OWNER))
        for name in ("web", "foreign"):
            reply = await api.request("POST", "/register", spec | {"name": name, "id": name}, admin)
            assert reply.status == 201
        items = [spec | {"name": "web"}, spec | {"name": "foreign"}, {"id": "foreign"}, {"id": "web"}, {"id": "nobody"}]
        reply = await api.request("POST", "/heartbeats", {"instances": items}, owner)
        assert (reply.status, reply.body["updated"]) == (200, 2)
        assert [each.get("name", each.get("id")) for each in reply.body["unknown"]] == ["foreign", "foreign", "nobody"]
