"""What a stranger's cookies cost."""

from __future__ import annotations

import tracemalloc

from discovery.dns.server.cookies import Cookies


def test_a_cookie_that_is_too_long_is_not_remembered() -> None:
    """Over TCP the option may fill a message: a thousand of them would be 64 MB."""
    cookies, size = Cookies(bytes(16)), 10_000
    tracemalloc.start()
    try:
        found = {cookies.check(number.to_bytes(size, "big"), "192.0.2.1", 1) for number in range(100)}
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == {(b"", False)}
    assert kept < 10 * size
