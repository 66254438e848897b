from __future__ import annotations

import uuid

from discovery.core.ids import is_made_here, new_id


def test_each_is_a_uuid_of_version_4_and_another_one() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    for id in ids:
        assert is_made_here(id)
        parsed = uuid.UUID(id)
        assert (str(parsed), parsed.version, parsed.variant) == (id, 4, uuid.RFC_4122)


def test_another_is_told_from_them() -> None:
    assert not any(map(is_made_here, ("", "web-1", new_id().upper(), new_id() + "0", str(uuid.uuid1()))))
