"""Who runs the server: a token with the right admin, or without tokens this machine alone."""

from __future__ import annotations

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.errors import DiscoveryError
from discovery.rest.api.requests import Request
from discovery.rest.guard.operators import require_operator


def is_let_in(caller: Caller, has_tokens: bool, *headers: bytes) -> bool:
    request = Request("GET", "/top", headers=dict.fromkeys(headers, b"x"))
    request.caller = caller
    try:
        require_operator(request, has_tokens)
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
    assert is_let_in(Caller(address), False) is let_in
    assert not is_let_in(Caller(address), True)


@pytest.mark.parametrize(
    "header", [b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-anything", b"forwarded", b"via", b"x-real-ip"]
)
def test_not_through_a_proxy(header: bytes) -> None:
    assert not is_let_in(Caller("127.0.0.1"), False, header)


def test_a_token_with_the_right_admin_is_let_in_from_anywhere() -> None:
    admin, reader = Grants(admin=True), Grants(read=True, register=("*",))
    assert is_let_in(Caller("203.0.113.7", "zoe", admin), True, b"x-forwarded-for")
    assert not is_let_in(Caller("127.0.0.1", "zoe", reader), True)
