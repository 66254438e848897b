"""What is said to etcd's gateway and what it says, as values: requests of a transaction, key-values, changes, errors.

Keys and values are octets here, revisions are whole numbers; in the gateway's JSON they are base64 and strings.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from discovery.core.errors import DiscoveryError

Json = dict[str, Any]

# Of gRPC (grpc/status).
EXHAUSTED, OUT_OF_RANGE, UNAVAILABLE, DEADLINE, UNAUTHENTICATED, NOT_FOUND = 8, 11, 14, 4, 16, 5


class EtcdError(DiscoveryError):
    """etcd has answered, and refuses. `code`: gRPC's."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_full(self) -> bool:
        """NOSPACE: the quota is used up, and nothing is written until somebody compacts and disarms the alarm."""
        return self.code == EXHAUSTED and "space" in str(self)  # "too many requests" has the same code

    @property
    def is_compacted(self) -> bool:
        """That revision is no longer known."""
        return self.code == OUT_OF_RANGE


class EtcdAway(DiscoveryError):
    """No endpoint answers, or none has a leader. `is_late`: one has not answered in time."""

    is_late = False


class Change(NamedTuple):
    """A key, as it is or has become. `value` None: it is gone."""

    key: bytes
    value: bytes | None
    create_revision: int
    mod_revision: int

    @property
    def octets(self) -> bytes:
        """Of one that was read, or is there still."""
        assert self.value is not None
        return self.value


class Range(NamedTuple):
    """`revision`: the store's, when it was read. `etcd`: the id of the cluster of members, another one after a backup was restored."""

    found: list[Change]
    more: bool
    revision: int
    etcd: str


class Outcome(NamedTuple):
    """Of a transaction. `responses`: the gateway's, of the branch that was taken."""

    succeeded: bool
    revision: int
    responses: list[Json]


class Changes(NamedTuple):
    """What a watch brings: changes in order of their revision, a revision never in two parts. None: nothing, at this revision."""

    changes: list[Change]
    revision: int


def text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


def put(key: bytes, value: bytes, lease: int = 0) -> Json:
    request: Json = {"key": text(key), "value": text(value)}
    if lease:
        request["lease"] = lease
    return {"requestPut": request}


def delete(key: bytes) -> Json:
    return {"requestDeleteRange": {"key": text(key)}}


def delete_all(prefix: bytes) -> Json:
    """All keys that begin so and a slash, and that key itself."""
    return {"requestDeleteRange": {"key": text(prefix), "range_end": text(end_of(prefix + b"/"))}}


def nested(compare: Sequence[Json], success: Sequence[Json]) -> Json:
    return {"requestTxn": {"compare": list(compare), "success": list(success)}}


def unchanged_since(key: bytes, mod_revision: int) -> Json:
    """0: there is no such key."""
    return {"key": text(key), "target": "MOD", "result": "EQUAL", "modRevision": mod_revision}


def none_since(prefix: bytes, revision: int) -> Json:
    """No key that begins so was put after this revision; some may be gone."""
    key, end = text(prefix), text(end_of(prefix))
    return {"key": key, "rangeEnd": end, "target": "MOD", "result": "LESS", "modRevision": revision + 1}


def created_at(key: bytes, create_revision: int) -> Json:
    """0: there is no such key."""
    return {"key": text(key), "target": "CREATE", "result": "EQUAL", "createRevision": create_revision}


def end_of(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin so."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def changes_of(line: bytes) -> Changes | None:
    """Of one line of a watch; None when it only says that it begins. EtcdError."""
    found = _json(line)
    if "error" in found:
        raise _error(found["error"])
    result = found.get("result", {})
    if "compact_revision" in result:
        raise EtcdError(f"what happened up to revision {result['compact_revision']} is compacted", OUT_OF_RANGE)
    if result.get("canceled"):
        raise EtcdError(str(result.get("cancel_reason", "the watch was cancelled")), UNAVAILABLE)
    if result.get("created"):
        return None
    return Changes(
        [change_of(event["kv"], event.get("type") == "DELETE") for event in result.get("events", ())],
        revision_of(result),
    )


def change_of(kv: Json, gone: bool = False) -> Change:
    value = None if gone else b64decode(kv.get("value", ""))
    return Change(b64decode(kv["key"]), value, int(kv.get("create_revision", 0)), int(kv["mod_revision"]))


def revision_of(found: Json) -> int:
    """Every answer of etcd's store has one. EtcdError when this one has not."""
    header = found.get("header")
    revision = header.get("revision") if isinstance(header, dict) else None
    if not isinstance(revision, str) or not revision.isdigit():
        raise EtcdError("what answers there is not etcd's gateway: its answer has no revision")
    return int(revision)


def etcd_of(found: Json) -> str:
    """The id of the cluster of members that has answered."""
    return str(found["header"].get("cluster_id", ""))


def content_of(status: int, octets: bytes) -> Json:
    """Of an answer. EtcdError."""
    try:
        found = _json(octets)
    except EtcdError as error:
        shown = octets[:80].decode("utf-8", "replace").strip()
        raise EtcdError(f"{error} (HTTP {status}: {shown!r})") from None
    if status != 200:
        raise _error(found)
    return found


def _json(octets: bytes) -> Json:
    try:
        found = orjson.loads(octets)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise EtcdError("what answers there is not etcd's gateway: it speaks no JSON")
    return found


def _error(found: Any) -> EtcdError:
    """3.4 has `grpc_code` in streams and `code` elsewhere; whoever has neither is no etcd, or a proxy in front of it."""
    if not isinstance(found, dict):
        return EtcdError(str(found))
    message = str(found.get("message") or found.get("error") or "it refuses without a word")
    code = found.get("code", found.get("grpc_code"))
    if isinstance(code, int):
        return EtcdError(message, code)
    return EtcdError(f"what answers there is not etcd's gateway: it says {message!r}")


# What to do next, by what etcd says (its api/v3rpc/rpctypes), or this client of it.
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
