"""What to do about what etcd refuses, for whoever starts a node or administers a cluster."""

from __future__ import annotations

from discovery.core.errors import DiscoveryError
from discovery.engines.etcd.messages import EtcdAway, EtcdError
from discovery.store.errors import EngineNotOpened

# By what etcd says (its api/v3rpc/rpctypes), or this client of it.
_HINTS = {
    "authentication is not enabled": "unset ETCD_USER, or enable it there (`etcdctl auth enable`)",
    "user name is empty": "set ETCD_USER and ETCD_PASSWORD_FILE",
    "invalid user ID or password": "is ETCD_USER right, and the password in ETCD_PASSWORD_FILE?",
    "permission denied": "the role of ETCD_USER needs read and write on ETCD_PREFIX: "
    "`etcdctl role grant-permission --prefix=true ROLE readwrite ETCD_PREFIX`",
    "space exceeded": "compact it, defragment it, then `etcdctl alarm disarm`",
    "Connection reset by peer": "if it speaks TLS, write etcds://",
    "is not etcd's gateway": "ENGINE_URL names the client port (2379) of an etcd 3.4 or later",
    "speaks no TLS": "write etcd:// without the s, or give that etcd a certificate",
    "certificate": "ETCD_CA names the file with the authority that signed it",
    "not a registry's": "choose another ETCD_PREFIX, or remove the key if nobody needs it",
}


def with_hint(text: str) -> str:
    """The text, and what to do next where that is known."""
    hint = next((hint for said, hint in _HINTS.items() if said in text), None)
    return text if hint is None else f"{text}; {hint}"


def not_opened(error: DiscoveryError, endpoint: str) -> DiscoveryError:
    """What a node that cannot start says of it."""
    if isinstance(error, EtcdAway):
        return EngineNotOpened(with_hint(f"ENGINE_URL: {error}"))
    if isinstance(error, EtcdError):
        return EngineNotOpened(with_hint(f"ENGINE_URL: {endpoint} refuses: {error}"))
    return error
