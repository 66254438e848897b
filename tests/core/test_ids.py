from __future__ import annotations

import uuid

from discovery.core.ids import new_id


def test_each_is_a_uuid_of_version_4_and_another_one() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    for id in ids:
        parsed = uuid.UUID(id)
        assert (str(parsed), parsed.version, parsed.variant) == (id, 4, uuid.RFC_4122)
