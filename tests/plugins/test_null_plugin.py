"""The base Plugin changes nothing: a feature overrides only what it needs."""

from __future__ import annotations

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Registration
from discovery.dns.zones.catalog import Catalog, Lookup
from discovery.engines.local import LocalEngine
from discovery.plugins import Plugin
from discovery.store.engine import Engine
from tests.store.making import a_registry


async def test_the_base_plugin_is_a_null_object() -> None:
    plugin = Plugin()
    lookup: Lookup = Catalog(()).lookup
    assert plugin.lookup(lookup) is lookup
    assert list(plugin.routes()) == []
    assert list(plugin.middlewares()) == []
    plugin.changed(Change(1, Kind.REGISTERED, Instance("a", 0.0, Registration.of("a", "10.0.0.1", 1)), "new"))
    engine: Engine = LocalEngine(a_registry(), lambda: 0.0)
    assert plugin.engine(engine) is engine
    assert plugin.stats() == {}
    assert not plugin.recurses("192.0.2.1")
    await plugin.open(engine)
    await plugin.close()
