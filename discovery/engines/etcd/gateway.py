"""A client of etcd's JSON gateway (3.4 to 3.6): ranges, transactions, leases and watches, over several endpoints.

etcd has no asyncio client that keeps its promises (README.md), and the gateway is a part of etcd itself. A call goes to the endpoint
that answered last; one that does not answer, or has no leader, hands it to the next. Keys and values are octets here, revisions
are whole numbers; in the gateway's JSON they are base64 and strings.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import orjson

from discovery.core.errors import DiscoveryError

Json = dict[str, Any]

# Seconds for one try of one call. A member that answers later than this is as good as away: a write gap of 3 s is all we promise.
CALL_SECONDS = 1.0
# Octets of one line of a watch: a revision has at most one transaction, which etcd holds to 1.5 MiB (twice, with its base64 and names).
_LINE_OCTETS = 8 * 1024 * 1024

# Of gRPC (grpc/status): what another endpoint may answer better.
_DEADLINE, _UNAVAILABLE, _UNAUTHENTICATED, _OUT_OF_RANGE, _EXHAUSTED = 4, 14, 16, 11, 8
_ELSEWHERE = (_DEADLINE, _UNAVAILABLE)


class EtcdError(DiscoveryError):
    """etcd has answered, and refuses. `code`: gRPC's."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_full(self) -> bool:
        """NOSPACE: the quota is used up, and nothing is written until somebody compacts and disarms the alarm."""
        return self.code == _EXHAUSTED

    @property
    def is_compacted(self) -> bool:
        """That revision is no longer known."""
        return self.code == _OUT_OF_RANGE


class EtcdAway(DiscoveryError):
    """No endpoint answers, or none has a leader."""


class KeyValue(NamedTuple):
    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int


class Range(NamedTuple):
    """`revision`: the store's, when it was read."""

    found: list[KeyValue]
    more: bool
    revision: int


class Outcome(NamedTuple):
    """Of a transaction. `responses`: the gateway's, of the branch that was taken."""

    succeeded: bool
    revision: int
    responses: list[Json]


class Change(NamedTuple):
    """`value` None: the key is gone."""

    key: bytes
    value: bytes | None
    create_revision: int
    mod_revision: int


class Changes(NamedTuple):
    """What a watch brings: changes in order of their revision, a revision never in two parts. None: nothing, at this revision."""

    changes: list[Change]
    revision: int


class Credentials(NamedTuple):
    user: str
    password: str


def text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


def put(key: bytes, value: bytes, lease: int = 0) -> Json:
    request: Json = {"key": text(key), "value": text(value)}
    if lease:
        request["lease"] = lease
    return {"requestPut": request}


def delete(key: bytes) -> Json:
    return {"requestDeleteRange": {"key": text(key)}}


def nested(compare: Sequence[Json], success: Sequence[Json]) -> Json:
    return {"requestTxn": {"compare": list(compare), "success": list(success)}}


def unchanged_since(key: bytes, mod_revision: int) -> Json:
    """0: there is no such key."""
    return {"key": text(key), "target": "MOD", "result": "EQUAL", "modRevision": mod_revision}


def created_at(key: bytes, create_revision: int) -> Json:
    """0: there is no such key."""
    return {"key": text(key), "target": "CREATE", "result": "EQUAL", "createRevision": create_revision}


def end_of(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin so."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


class Etcd:
    """`endpoints`: `http://host:2379`. `tls`: of https endpoints. Opened once, closed once."""

    def __init__(
        self, endpoints: Sequence[str], credentials: Credentials | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._endpoints = list(endpoints)
        self._credentials = credentials
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._at = 0  # the endpoint that answered last
        self._token: str | None = None

    @property
    def endpoint(self) -> str:
        return self._endpoints[self._at]

    async def open(self) -> None:
        tls: ssl.SSLContext | bool = True if self._tls is None else self._tls
        # A watch must not wait for a place among the calls, nor they for it.
        connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_LINE_OCTETS // 16)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # -- calls

    async def range(
        self, key: bytes, end: bytes = b"", *, revision: int = 0, limit: int = 0, keys_only: bool = False
    ) -> Range:
        """Linearizable: it proves that there is a quorum."""
        asked = {"key": text(key), "range_end": text(end), "revision": revision, "limit": limit, "keys_only": keys_only}
        found = await self.call("kv/range", asked)
        return Range([_key_value(each) for each in found.get("kvs", ())], bool(found.get("more")), _revision(found))

    async def txn(self, compare: Sequence[Json], success: Sequence[Json], failure: Sequence[Json] = ()) -> Outcome:
        asked = {"compare": list(compare), "success": list(success), "failure": list(failure)}
        found = await self.call("kv/txn", asked)
        return Outcome(bool(found.get("succeeded")), _revision(found), found.get("responses", []))

    async def grant(self, seconds: int) -> int:
        """The id of a new lease."""
        return int((await self.call("lease/grant", {"TTL": seconds}))["ID"])

    async def keep_alive(self, lease: int) -> bool:
        """False when the lease is over."""
        found = (await self.call("lease/keepalive", {"ID": lease})).get("result", {})
        return int(found.get("TTL", 0)) > 0

    async def revoke(self, lease: int) -> None:
        await self.call("lease/revoke", {"ID": lease})

    async def call(self, path: str, asked: Json) -> Json:
        """EtcdAway when no endpoint answers; EtcdError when one refuses."""
        tried = []
        for _ in range(len(self._endpoints)):
            endpoint = self.endpoint
            try:
                return await self._call(endpoint, path, asked)
            except EtcdError as error:
                if error.code not in _ELSEWHERE:
                    raise
                tried.append(f"{endpoint}: {error}")
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                tried.append(f"{endpoint}: {_why(error)}")
            self._leave(endpoint)
        raise EtcdAway(f"no etcd member answers ({'; '.join(tried)})")

    def _leave(self, endpoint: str) -> None:
        """To the next one, unless somebody else has gone there already."""
        if self.endpoint == endpoint:
            self._at = (self._at + 1) % len(self._endpoints)

    async def _call(self, endpoint: str, path: str, asked: Json) -> Json:
        if self._credentials is not None and self._token is None:
            await self._authenticate(endpoint, self._credentials)
        try:
            return await self._post(endpoint, path, asked)
        except EtcdError as error:
            # A member that was restarted knows no token any more, and a token ends after five minutes.
            if self._credentials is None or error.code != _UNAUTHENTICATED:
                raise
        await self._authenticate(endpoint, self._credentials)
        return await self._post(endpoint, path, asked)

    async def _authenticate(self, endpoint: str, credentials: Credentials) -> None:
        asked = {"name": credentials.user, "password": credentials.password}
        self._token = None
        self._token = str((await self._post(endpoint, "auth/authenticate", asked))["token"])

    async def _post(self, endpoint: str, path: str, asked: Json) -> Json:
        assert self._session is not None
        async with asyncio.timeout(CALL_SECONDS):
            async with self._session.post(
                f"{endpoint}/v3/{path}", data=orjson.dumps(asked), headers=self._headers
            ) as reply:
                return _content(reply.status, await reply.read())

    @property
    def _headers(self) -> Mapping[str, str]:
        return {} if self._token is None else {"Authorization": self._token}

    # -- watches

    async def watch(self, key: bytes, end: bytes, start: int, silence: float) -> AsyncIterator[Changes]:
        """All changes from revision `start` on, until the endpoint fails: EtcdAway then; EtcdError `is_compacted`.

        `silence`: seconds after which an endpoint that says nothing counts as failed. It asks for a leader: a member without quorum
        would stay silent for ever.
        """
        assert self._session is not None
        endpoint = self.endpoint
        asked = {"create_request": {
            "key": text(key), "range_end": text(end), "start_revision": start, "progress_notify": True,
        }}  # fmt: skip
        headers = {"Grpc-Metadata-hasleader": "true", **self._headers}
        unlimited = aiohttp.ClientTimeout(total=None, sock_connect=CALL_SECONDS, sock_read=silence)
        try:
            async with self._session.post(
                f"{endpoint}/v3/watch", data=orjson.dumps(asked), headers=headers, timeout=unlimited
            ) as reply:
                if reply.status != 200:
                    _content(reply.status, await reply.read())
                async for line in _lines(reply.content):
                    changes = _changes(line)
                    if changes is not None:
                        yield changes
        except EtcdError as error:
            if error.is_compacted:
                raise
            self._leave(endpoint)
            if error.code == _UNAUTHENTICATED:
                self._token = None
            raise EtcdAway(f"{endpoint}: {error}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._leave(endpoint)
            raise EtcdAway(f"{endpoint}: {_why(error)}") from None
        self._leave(endpoint)
        raise EtcdAway(f"{endpoint}: it ended the watch")


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """A JSON value each. aiohttp's own lines end at the buffer's size."""
    buffer = bytearray()
    async for piece in stream.iter_any():
        buffer += piece
        if len(buffer) > _LINE_OCTETS:
            raise aiohttp.ClientPayloadError("a line of the watch has no end")
        *lines, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            if line:
                yield bytes(line)


def _changes(line: bytes) -> Changes | None:
    found = _json(line)
    if "error" in found:
        raise _error(found["error"])
    result = found.get("result", {})
    if "compact_revision" in result:
        raise EtcdError(f"what happened up to revision {result['compact_revision']} is compacted", _OUT_OF_RANGE)
    if result.get("canceled"):
        raise EtcdError(str(result.get("cancel_reason", "the watch was cancelled")), _UNAVAILABLE)
    if result.get("created"):
        return None
    return Changes([_change(event) for event in result.get("events", ())], _revision(result))


def _change(event: Json) -> Change:
    kv = event["kv"]
    gone = event.get("type") == "DELETE"
    value = None if gone else b64decode(kv.get("value", ""))
    return Change(b64decode(kv["key"]), value, int(kv.get("create_revision", 0)), int(kv["mod_revision"]))


def _key_value(found: Json) -> KeyValue:
    return KeyValue(
        b64decode(found["key"]), b64decode(found.get("value", "")), int(found["create_revision"]), int(found["mod_revision"])
    )  # fmt: skip


def _revision(found: Json) -> int:
    return int(found.get("header", {}).get("revision", 0))


def _content(status: int, octets: bytes) -> Json:
    found = _json(octets)
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
    """3.4 has `grpc_code` in streams and `code` elsewhere; a proxy in front has neither."""
    if not isinstance(found, dict):
        return EtcdError(str(found))
    message = str(found.get("message") or found.get("error") or "it refuses without a word")
    code = found.get("code", found.get("grpc_code", 0))
    return EtcdError(message, code if isinstance(code, int) else 0)


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
