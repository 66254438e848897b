"""A TSIG key for server and client, and how both are told of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import dns.name
import dns.tsig

NAME, ALGORITHM = "secondary-1", "hmac-sha256"
SECRET = base64.b64encode(b"thirty-two octets, not a secret!").decode()
BIND = f'key "{NAME}" {{\n  algorithm {ALGORITHM};\n  secret "{SECRET}";\n}};\n'
# dig's -y.
FOR_DIG = f"{ALGORITHM}:{NAME}:{SECRET}"


def for_dnspython(name: str = NAME, secret: str = SECRET, algorithm: str = ALGORITHM) -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_text(name), base64.b64decode(secret), dns.name.from_text(algorithm))


def settings(folder: Path, allow: str = "127.0.0.0/8", **others: Any) -> dict[str, Any]:
    """A server's, with the key in a file of `folder`."""
    file = folder / "keys.conf"
    file.write_text(BIND)
    file.chmod(0o600)
    common = {"HEARTBEAT_TIMEOUT_SECONDS": 600, "CLEANUP_INTERVAL_SECONDS": 60}
    return {"TRANSFER_KEYS_FILE": str(file), "TRANSFER_ALLOW": allow, **common, **others}
