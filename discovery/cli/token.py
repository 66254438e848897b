"""`discovery token new NAME`: a secret, shown once, and the block for TOKENS_FILE that knows it again."""

from __future__ import annotations

import argparse
import secrets
from datetime import datetime

from discovery.core.errors import DiscoveryError
from discovery.plugins.auth.tokens import block, digest

TEXT = "make a token: its secret, which is shown once, and its block for TOKENS_FILE"

# What it is can be told from its beginning, by people and by scanners for lost secrets.
_PREFIX = "dsc_"
_OCTETS = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["new"])
    parser.add_argument("name", metavar="NAME", help="who holds it, for logs and the audit")
    parser.add_argument("--register", action="append", default=[], metavar="PATTERN", help="services, such as 'user-*'")
    parser.add_argument("--read", action="store_true", help="may read where REQUIRE_READ_TOKEN is set")
    parser.add_argument("--admin", action="store_true", help="may do everything")
    parser.add_argument("--expires", metavar="TIME", help="such as 2027-01-31T00:00:00Z")


def run(arguments: argparse.Namespace) -> int:
    secret = _PREFIX + secrets.token_urlsafe(_OCTETS)
    text = block(
        arguments.name, digest(secret), arguments.register, arguments.read, arguments.admin, _time(arguments.expires)
    )
    print(f"The secret, shown only now: {secret}\n\nFor TOKENS_FILE:\n\n{text}")
    return 0


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise DiscoveryError(f"--expires: {text!r} is no time; write it as 2027-01-31T00:00:00Z") from None
