"""The base Plugin is in no seam and has nothing to say: a feature overrides only what it needs."""

from __future__ import annotations

from dataclasses import fields

from discovery.engines.local import LocalEngine
from discovery.plugins import Plugin, Seams
from tests.store.making import a_registry


async def test_the_base_plugin_is_a_null_object() -> None:
    plugin, seams = Plugin(), Seams()
    plugin.install(seams)
    for each in fields(seams):
        seam = getattr(seams, each.name)
        if hasattr(seam, "wanted"):
            assert not seam.wanted
            assert not seam.samples
        else:
            assert not seam or callable(seam) or seam == each.default
    engine = LocalEngine(a_registry(), lambda: 0.0, lambda: 0.0, seams)
    await plugin.open(engine)
    assert plugin.stats() == {}
    await plugin.close()
