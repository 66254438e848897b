"""Bodies as pydantic reads them."""

from __future__ import annotations

from discovery.core.options import OPTIONS
from discovery.rest.api.registering import InstanceBody


def test_a_registration_may_have_every_option_that_is_listed_under_its_name_and_no_other() -> None:
    taken = {field: info.alias or field for field, info in InstanceBody.model_fields.items()}
    basic = {name: name for name in ("name", "ip", "port", "metadata", "id")}
    assert [taken.pop(name) for name in ("replace", "health", "output")], "they are said beside the registration"
    assert taken == basic | {
        option.name if option.field == "checks" else option.field: option.name for option in OPTIONS
    }
