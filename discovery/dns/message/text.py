"""The text of types and messages, which is dnspython's."""

from __future__ import annotations

import dns.exception
import dns.message
import dns.rdatatype

# Octets of a message that is shown as text: more would take longer than a turn of the event loop.
_MAX_SHOWN = 4096


def type_name(rtype: int) -> str:
    """`TYPE65280` where there is no name (RFC 3597 §5)."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rtype))


def as_text(message: bytes) -> str:
    """The records of a well-formed message as a zone file has them, in one line; of a long one, only how long it is."""
    if len(message) > _MAX_SHOWN:
        return f"{len(message)} octets are too many to be shown"
    try:
        read = dns.message.from_wire(message, one_rr_per_rrset=True)
    except (dns.exception.DNSException, ValueError):
        return "it cannot be shown"
    return "; ".join(rrset.to_text() for rrset in (*read.answer, *read.authority, *read.additional))
