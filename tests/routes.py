"""Every route of the whole server, with every plugin turned on that could add one; and requests for them."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from discovery.app import Server
from discovery.rest.api import openapi
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Route
from discovery.rest.api.router import Router
from tests.plugins.started import settings


def _every() -> list[Route]:
    """Of a server that is put together, and never opened."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        made = {"API_TOKEN": "a secret of the tests", "DATA_DIR": str(Path(folder) / "data"), "FORWARD_TO": "127.0.0.1"}
        with mock.patch.dict(os.environ, made):
            return Server(settings(Path(folder)))._web.routes  # nothing shows it from outside


ROUTES = _every()
# Folders of plugins that speak other registries' APIs: their paths and codes are those registries'.
FACES = ("consul", "eureka")
ROUTER = Router(ROUTES)
# Those of the API, by method and path.
OPERATIONS: Mapping[tuple[str, str], Route] = {
    (route.method, route.template): route for route in ROUTES if route.kind is not Kind.PAGE
}
DOCUMENT: Any = json.loads(json.dumps(openapi.document(ROUTES)))


def asked(method: str, target: str, address: str = "10.0.0.1", *, status: int = 0, **headers: str) -> Request:
    """A request whose head has come, and which has this status in the end."""
    fields = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    request = Request(method, target, headers=fields)
    request.address, request.status = address, status
    ROUTER.find(request)
    return request
