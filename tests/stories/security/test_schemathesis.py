"""/openapi.json by schemathesis: whatever it makes up from the document, right and wrong, there is no 5xx and no undocumented answer.

It is the same every time, and short. For longer, at random, against a server that is started by hand:

    ADMIN=TOKEN SERVER=http://127.0.0.1:3100 SCHEMATHESIS_HOOKS=hooks.py schemathesis run http://127.0.0.1:3100/openapi.json \
        -H 'Authorization: Bearer TOKEN' --max-time 600 --max-response-time 5 --continue-on-failure --checks all \
        --exclude-checks positive_data_acceptance,negative_data_rejection,use_after_free

with HOOKS below in hooks.py, and REGISTERS_PER_SECOND=0. Two of the checks that are left out ask whether the document has every rule; it
has not: an address must be one that a client could reach, a window must end ahead. The third takes what the hooks bring back for a ghost.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.routes import DOCUMENT, OPERATIONS
from tests.stories.process import environment, running

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method", "allow_header_conformance", "missing_required_header",
)  # fmt: skip
# It has no end, which is what this program waits for.
STREAM = "/events"
ADMIN, SCOPED = "dsc_an-admin-of-the-tests", "dsc_an-owner-of-some-names"

# What is asked for exists in most cases, and is registered anew before each: DELETE takes it away.
HOOKS = """
import os
import urllib.error
import urllib.request

import schemathesis
from hypothesis import strategies as st

KNOWN = {"name": "user-service", "id": "user-1", "ip": "10.0.0.7", "port": 3001}
KNOWN["dns"] = "AAABAAABAAAAAAAADHVzZXItc2VydmljZQNzdmMFbG9jYWwAAAEAAQ"  # QUERY, in base64url
BODY = b'{"name": "user-service", "ip": "10.0.0.7", "port": 3001, "id": "user-1", "metadata": {"a": [1, null]}, "tags": ["blue"]}'
QUERY = bytes.fromhex("0000010000010000000000000c757365722d7365727669636503737663056c6f63616c0000010001")

schemathesis.openapi.media_type("application/dns-message", st.one_of(st.just(QUERY), st.binary(max_size=600)))


@schemathesis.hook
def flatmap_path_parameters(ctx, values):
    if isinstance(values, dict) and "check" in values:
        return st.just(values | {"id": "user-1", "check": "beat"})
    return _sometimes_known(values)


@schemathesis.hook
def flatmap_query(ctx, values):
    return _sometimes_known(values)


@schemathesis.hook
def flatmap_body(ctx, value):
    return _sometimes_known(value)


def _sometimes_known(values):
    if not isinstance(values, dict) or not values.keys() & {"reason", *KNOWN}:
        return st.just(values)
    known = {"reason": "a new disk", "seconds": 60} if "reason" in values else values | _known(values)
    return st.sampled_from([known, known, known, values])


def _known(values):
    return {name: KNOWN[name] for name in values.keys() & KNOWN.keys()}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    _send("POST", "/register", BODY)
    if case.operation.path.endswith("/checks/{check}"):
        _send("PUT", "/instances", BODY[:-1] + b', "checks": [{"id": "beat", "ttl": 600}]}')
    for scope in ("/services/user-service", "/instances/user-1"):
        if case.method.upper() == "DELETE" and case.operation.path.endswith("/maintenance"):
            _send("PUT", scope + "/maintenance", b'{"reason": "a new disk", "seconds": 60}')
        else:
            _send("DELETE", scope + "/maintenance", None)


def _send(method, path, body):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["ADMIN"]}
    request = urllib.request.Request(os.environ["SERVER"] + path, body, headers, method=method)
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
"""

TOKENS = f"""
[[token]]
name = "admin"
sha256 = "{sha256(ADMIN.encode()).hexdigest()}"
admin = true
[[token]]
name = "scoped"
sha256 = "{sha256(SCOPED.encode()).hexdigest()}"
register = ["user-*", "a*"]
"""


@pytest.mark.parametrize(
    ("token", "reads_need_token", "examples"),
    [(ADMIN, "true", 10), (SCOPED, "true", 3), ("", "false", 3)],
    ids=["admin", "scoped", "none"],
)
def test_no_5xx_and_no_undocumented_answer(tmp_path: Path, token: str, reads_need_token: str, examples: int) -> None:
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "tokens.toml").write_text(TOKENS)
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    settings: dict[str, Any] = {
        "TOKENS_FILE": str(tmp_path / "tokens.toml"),
        "REQUIRE_READ_TOKEN": reads_need_token,
    }
    with running(
        DATA_DIR=str(tmp_path / "data"),
        AUDIT_FILE=str(tmp_path / "audit.log"),
        REGISTERS_PER_SECOND=0,
        HEARTBEAT_TIMEOUT_SECONDS=3600,
        **settings,
    ) as server:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run", "openapi.json", "--url", server.http,
                *("--checks", ",".join(CHECKS)), *("--max-examples", str(examples)), "--generation-deterministic",
                *(("-H", f"Authorization: Bearer {token}") if token else ()), "--continue-on-failure", "--no-color",
                *("--exclude-path", STREAM), *("--report", "har", "--report-har-path", "run.har"),
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
            env=environment() | {"SCHEMATHESIS_HOOKS": str(tmp_path / "hooks.py"), "SERVER": server.http, "ADMIN": ADMIN},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert found, done.stdout
        assert found[1] == found[2]
        assert int(found[1]) > 1000
        assert token != ADMIN or succeeded(tmp_path / "run.har") == OPERATIONS.keys() - {("GET", STREAM)}, (
            "it only scratched the surface"
        )
        assert "Traceback" not in "\n".join(server.log)


def succeeded(report: Path) -> set[tuple[str, str]]:
    """The operations that were answered with a 2xx."""
    entries = json.loads(report.read_text())["log"]["entries"]
    asked = {
        (entry["request"]["method"], urlsplit(entry["request"]["url"]).path)
        for entry in entries
        if 200 <= entry["response"]["status"] < 300
    }
    patterns = {way: re.sub(r"{\w+}", "[^/]+", way[1]) for way in OPERATIONS}
    return {way for way, path in patterns.items() if any(one == way[0] and re.fullmatch(path, at) for one, at in asked)}
