"""Examples for /openapi.json: of every route the request and the reply, of every error its body. The tests send each request to a real
server and hold its reply to the example.
"""

from __future__ import annotations

from collections.abc import Mapping

from discovery.rest.api.examples import finding, following, registering, server, taking_out
from discovery.rest.api.examples.example import Example, Table

# As docs/http.md groups the routes; each route is in one of them.
AREAS: Mapping[str, Table] = {
    "Registering": registering.EXAMPLES,
    "Finding instances": finding.EXAMPLES,
    "Following changes": following.EXAMPLES,
    "Taking instances out, and back": taking_out.EXAMPLES,
    "The server itself": server.EXAMPLES,
}
EXAMPLES: Mapping[tuple[str, str], tuple[str, tuple[Example, ...]]] = {
    route: (area, examples) for area, table in AREAS.items() for route, examples in table.items()
}
