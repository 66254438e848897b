"""Bodies as pydantic reads them."""

from __future__ import annotations

from discovery.core.instance import OPTIONS
from discovery.rest.api.registering import RegisterBody


def test_a_registration_may_have_every_option_that_is_listed_under_its_name_and_no_other() -> None:
    taken = {field: info.alias or field for field, info in RegisterBody.model_fields.items()}
    basic = {name: name for name in ("name", "ip", "port", "metadata", "id")}
    assert taken.pop("replace"), "it is said of the write, and not kept"
    assert taken == basic | {option.field: option.name for option in OPTIONS}
