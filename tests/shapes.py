"""Answers against their shapes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from discovery.rest.api.shapes import Shape, without_shapes


def fits(shape: Shape, value: object) -> bool:
    """As /openapi.json describes it, with nothing that it does not name."""
    named: dict[str, Any] = {}
    schema = without_shapes(shape, named) | {"components": {"schemas": named}}
    for each in named.values():
        each.setdefault("additionalProperties", False)
    errors = [str(error) for error in jsonschema_rs.iter_errors(schema, value, validate_formats=True)]
    assert errors == []
    return True
