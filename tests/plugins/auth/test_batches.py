"""Many heartbeats in one request, some of them of services that the token does not own."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.auth.house import ADMIN, OWNER, House, bearer
from tests.rest.harness import serving


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
