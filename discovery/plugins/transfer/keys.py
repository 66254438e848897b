"""TSIG keys as BIND writes them (`tsig-keygen NAME`), which `dig -k` and `named` read too:

key "secondary-1" {
    algorithm hmac-sha256;
    secret "base64";
};
"""

from __future__ import annotations

import base64
import binascii
import re
import stat
from pathlib import Path

import dns.exception
import dns.name
from dns.tsig import Key

from discovery.core.errors import DiscoveryError, reason_of
from discovery.plugins.transfer.tsig import ALGORITHMS, Keys
from discovery.plugins.transfer.tsig import text as name_text

# Octets of a secret. RFC 8945 §8 wants as many as the hash has, which is what tsig-keygen gives; below 128 bits it can be guessed.
MIN_SECRET = 16
# Of a file; a key takes a hundred.
_MAX_OCTETS = 1 << 20

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|#[^\n]*", re.DOTALL)
_VALUE = r'(?:"([^"\n]*)"|([^\s"{};]+))'
_KEY = re.compile(rf"\s*key\s+{_VALUE}\s*\{{([^{{}}]*)\}}\s*;\s*")
_STATEMENT = re.compile(rf"\s*(algorithm|secret)\s+{_VALUE}\s*;\s*")
# A `//` may stand in a secret: only what is outside quotes is a comment.
_QUOTED_OR_COMMENT = re.compile(rf'("[^"\n]*")|{_COMMENT.pattern}', re.DOTALL)


class KeysUnusable(DiscoveryError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"TRANSFER_KEYS_FILE: {path}: {reason}")


def load(path: Path) -> Keys:
    """By name, at least one. KeysUnusable says why not, and never shows a secret."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise KeysUnusable(path, "is not a regular file, and nothing else is read")
        with path.open(encoding="ascii") as file:
            text = file.read(_MAX_OCTETS)
        return parse(text)
    except OSError as error:
        raise KeysUnusable(path, reason_of(error)) from None
    except ValueError as error:
        reason = "is not ASCII text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise KeysUnusable(path, reason) from None


def parse(text: str) -> Keys:
    """ValueError says what is wrong, without the secret."""
    text = _QUOTED_OR_COMMENT.sub(lambda match: match[1] or " ", text)
    keys: dict[dns.name.Name, Key] = {}
    at = 0
    while text[at:].strip():
        match = _KEY.match(text, at)
        if match is None:
            line = text.count("\n", 0, at + len(text[at:]) - len(text[at:].lstrip())) + 1
            raise ValueError(f'line {line}: no key; write key "NAME" {{ algorithm hmac-sha256; secret "BASE64"; }};')
        key = _key(match[1] or match[2], match[3])
        if key.name in keys:
            raise ValueError(f"the key {match[1] or match[2]} is there twice")
        keys[key.name] = key
        at = match.end()
    if not keys:
        raise ValueError("there is no key in it")
    return keys


def _key(text: str, body: str) -> Key:
    try:
        name = dns.name.from_text(text)
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"{text!r} is no name for a key; it is a domain name") from None
    values: dict[str, str] = {}
    at = 0
    while at < len(body) and body[at:].strip():
        match = _STATEMENT.match(body, at)
        if match is None or match[1] in values:
            raise ValueError(f"key {text}: it has one algorithm and one secret, each ends with a semicolon")
        values[match[1]] = match[2] if match[2] is not None else match[3]
        at = match.end()
    if values.keys() != {"algorithm", "secret"}:
        raise ValueError(f"key {text}: it needs an algorithm and a secret")
    algorithm = dns.name.from_text(values["algorithm"])
    if algorithm not in ALGORITHMS:
        known = ", ".join(sorted(map(name_text, ALGORITHMS)))
        raise ValueError(f"key {text}: the algorithm is not known here; write one of {known}")
    return Key(name, _secret(text, values["secret"]), algorithm)


def _secret(name: str, text: str) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {name}: the secret is not base64") from None
    if len(secret) < MIN_SECRET:
        raise ValueError(f"key {name}: the secret has {len(secret)} octets, {MIN_SECRET} is the least")
    return secret
