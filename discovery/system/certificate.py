"""When a certificate ends. Python's ssl tells that of a peer's certificate, not of one's own, so the few octets are read here."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17  # X.690 tags


def ends_at(file: Path) -> float:
    """Epoch seconds: notAfter of the first certificate of a PEM file, which is the server's own. OSError, ValueError."""
    found = _PEM.search(file.read_bytes())
    if found is None:
        raise ValueError(f"{file} has no certificate")
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")))
    except IndexError:
        raise ValueError(f"{file} has a certificate that is cut short") from None


def _not_after(der: bytes) -> float:
    """RFC 5280 §4.1: Certificate and TBSCertificate are sequences; [version], serial, signature, issuer, then the validity."""
    _, at, _ = _element(der, 0)
    _, at, _ = _element(der, at)
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        _, _, end = _element(der, end)
    for _ in ("signature", "issuer"):
        _, _, end = _element(der, end)
    tag, at, _ = _element(der, end)
    if tag != _SEQUENCE:
        raise ValueError("the certificate has no validity where it should be")
    _, _, end = _element(der, at)  # notBefore
    tag, at, end = _element(der, end)
    return _seconds(tag, der[at:end].decode("ascii"))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where the contents begin, and where they end (X.690 §8.1)."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(der[start : start + octets])
        start += octets
    if start + length > len(der):
        raise IndexError
    return tag, start, start + length


def _seconds(tag: int, text: str) -> float:
    """RFC 5280 §4.1.2.5: UTCTime up to 2049, of two digits for the year; GeneralizedTime from then on."""
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
