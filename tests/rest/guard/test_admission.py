"""Who runs a server that has no tokens: clients of this machine alone."""

from __future__ import annotations

import pytest

from discovery.core.errors import DiscoveryError
from discovery.rest.api.requests import Request
from discovery.rest.guard.admission import require_operator


def is_let_in(address: str, *headers: bytes) -> bool:
    request = Request("GET", "/top", headers=dict.fromkeys(headers, b"x"))
    request.address = address
    try:
        require_operator(request)
    except DiscoveryError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "let_in"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False), ("2001:db8::1", False), ("::ffff:10.0.0.1", False), ("fe80::1%lo", False), ("", False),
    ],
)  # fmt: skip
def test_without_tokens_this_machine_is(address: str, let_in: bool) -> None:
    assert is_let_in(address) is let_in


@pytest.mark.parametrize(
    "header", [b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-anything", b"forwarded", b"via", b"x-real-ip"]
)
def test_not_through_a_proxy(header: bytes) -> None:
    assert not is_let_in("127.0.0.1", header)
