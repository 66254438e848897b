"""The base Plugin changes nothing: a feature overrides only what it needs."""

from __future__ import annotations

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Registration
from discovery.dns.catalog import Catalog, Lookup
from discovery.plugins import Plugin


async def test_the_base_plugin_is_a_null_object() -> None:
    plugin = Plugin()
    lookup: Lookup = Catalog(()).lookup
    assert plugin.lookup(lookup) is lookup
    assert list(plugin.routes()) == []
    assert list(plugin.middlewares()) == []
    plugin.changed(Change(1, Kind.REGISTERED, Instance("a", 0.0, Registration.of("a", "10.0.0.1", 1)), "new"))
    await plugin.open()
    await plugin.close()
