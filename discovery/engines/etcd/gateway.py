"""A client of etcd's JSON gateway (3.4 to 3.6): ranges, transactions, leases and watches, over several endpoints.

etcd has no asyncio client that keeps its promises (README.md), and the gateway is a part of etcd itself. A call goes to the endpoint
that answered last; one that does not answer, or has no leader, hands it to the next.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import NamedTuple

import aiohttp
import orjson
from aiohttp.http_exceptions import LineTooLong

from discovery.engines.etcd.messages import (
    DEADLINE,
    NOT_FOUND,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Changes,
    EtcdAway,
    EtcdError,
    Json,
    Outcome,
    Range,
    change_of,
    changes_of,
    content_of,
    etcd_of,
    revision_of,
    text,
)

# Seconds for one try of one call. A member that answers later than this is as good as away: a write gap of 3 s is all we promise.
CALL_SECONDS = 1.0
# Octets of one line of a watch: a revision has at most one transaction, which etcd holds to 1.5 MiB (twice, with its base64 and names).
_LINE_OCTETS = 8 * 1024 * 1024

# What another endpoint may answer better.
_ELSEWHERE = (DEADLINE, UNAVAILABLE)


class Credentials(NamedTuple):
    user: str
    password: str


class Etcd:
    """`endpoints`: `http://host:2379`. `tls`: of https endpoints. `patience`: seconds for a try of a call. Opened once, closed once."""

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials | None = None,
        tls: ssl.SSLContext | None = None,
        patience: float = CALL_SECONDS,
    ) -> None:
        self._endpoints = list(endpoints)
        self._credentials = credentials
        self._tls = tls
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._at = 0  # the endpoint that answered last
        self._token: str | None = None
        self.full: str | None = None  # why it takes no writes; None when it does
        self.refused: str | None = None  # what the latest call found where every endpoint refused the connection

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
        return Range(
            [change_of(each) for each in found.get("kvs", ())], bool(found.get("more")), revision_of(found), etcd_of(found)
        )  # fmt: skip

    async def txn(self, compare: Sequence[Json], success: Sequence[Json], failure: Sequence[Json] = ()) -> Outcome:
        asked = {"compare": list(compare), "success": list(success), "failure": list(failure)}
        found = await self.call("kv/txn", asked)
        self.full = None  # all of ours put something
        return Outcome(bool(found.get("succeeded")), revision_of(found), found.get("responses", []))

    async def grant(self, seconds: int) -> int:
        """The id of a new lease."""
        return int((await self.call("lease/grant", {"TTL": seconds}))["ID"])

    async def keep_alive(self, lease: int) -> bool:
        """False when the lease is over."""
        found = (await self.call("lease/keepalive", {"ID": lease})).get("result", {})
        return int(found.get("TTL", 0)) > 0

    async def revoke(self, lease: int) -> None:
        """Also of one that is over."""
        try:
            await self.call("lease/revoke", {"ID": lease})
        except EtcdError as error:
            if error.code != NOT_FOUND:
                raise

    async def call(self, path: str, asked: Json) -> Json:
        """EtcdAway when no endpoint answers; EtcdError when one refuses."""
        tried, refused, late = [], 0, False
        for _ in range(len(self._endpoints)):
            endpoint = self.endpoint
            try:
                found = await self._call(endpoint, path, asked)
                self.refused = None
                return found
            except EtcdError as error:
                self.refused = None
                if error.is_full:
                    self.full = str(error)
                if error.code not in _ELSEWHERE:
                    raise
                tried.append(f"{endpoint}: {error}")
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                tried.append(f"{endpoint}: {_why(error, self._patience)}")
                refused += _is_refused(error)
                late |= isinstance(error, TimeoutError)
            self._leave(endpoint)
        away = EtcdAway(f"no etcd member answers ({'; '.join(tried)})")
        away.is_late = late
        self.refused = str(away) if refused == len(self._endpoints) else None
        raise away

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
            if self._credentials is None or error.code != UNAUTHENTICATED:
                raise
        await self._authenticate(endpoint, self._credentials)
        return await self._post(endpoint, path, asked)

    async def _authenticate(self, endpoint: str, credentials: Credentials) -> None:
        asked = {"name": credentials.user, "password": credentials.password}
        self._token = None
        self._token = str((await self._post(endpoint, "auth/authenticate", asked))["token"])

    async def _post(self, endpoint: str, path: str, asked: Json) -> Json:
        assert self._session is not None
        async with asyncio.timeout(self._patience):
            async with self._session.post(
                f"{endpoint}/v3/{path}", data=orjson.dumps(asked), headers=self._headers
            ) as reply:
                return content_of(reply.status, await reply.read())

    @property
    def _headers(self) -> Mapping[str, str]:
        return {} if self._token is None else {"Authorization": self._token}

    # -- watches

    async def watch(self, key: bytes, end: bytes, start: int, silence: float) -> AsyncGenerator[Changes, None]:
        """All changes from revision `start` on, until the endpoint fails: EtcdAway then; EtcdError `is_compacted`.

        `silence`: seconds after which an endpoint that says nothing counts as failed. It asks for a leader: a member without quorum
        would stay silent for ever. To be closed by whoever leaves it early (`aclosing`).
        """
        assert self._session is not None
        endpoint = self.endpoint
        asked = {"create_request": {
            "key": text(key), "range_end": text(end), "start_revision": start, "progress_notify": True,
        }}  # fmt: skip
        headers = {"Grpc-Metadata-hasleader": "true", **self._headers}
        unlimited = aiohttp.ClientTimeout(total=None, sock_connect=self._patience, sock_read=silence)
        try:
            async with self._session.post(
                f"{endpoint}/v3/watch", data=orjson.dumps(asked), headers=headers, timeout=unlimited
            ) as reply:
                if reply.status != 200:
                    content_of(reply.status, await reply.read())
                while line := await reply.content.readline(max_line_length=_LINE_OCTETS):
                    changes = changes_of(line)
                    if changes is not None:
                        yield changes
        except EtcdError as error:
            if error.is_compacted:
                raise
            self._leave(endpoint)
            if error.code == UNAUTHENTICATED:
                self._token = None
            raise EtcdAway(f"{endpoint}: {error}") from None
        except (aiohttp.ClientError, LineTooLong, OSError, TimeoutError) as error:
            self._leave(endpoint)
            raise EtcdAway(f"{endpoint}: {_why(error, self._patience)}") from None
        self._leave(endpoint)
        raise EtcdAway(f"{endpoint}: it ended the watch")


def _is_refused(error: Exception) -> bool:
    """Nobody listens there: it will be a while."""
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError)


def _why(error: BaseException, patience: float) -> str:
    """In few words; aiohttp's own repeat the address."""
    match error:
        case TimeoutError():
            return f"no answer within {patience:g} s"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as cause):
            return f"its certificate is not trusted: {cause.verify_message}"
        case aiohttp.ClientConnectorError(os_error=socket.gaierror() as cause):
            return str(cause.strerror)
        case aiohttp.ClientConnectorSSLError():
            return "it speaks no TLS, or another one"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=None)):  # as uvloop ends a handshake
            return "it speaks no TLS, or another one"
        case OSError(errno=int(number)):
            return os.strerror(number)
    return str(error) or type(error).__name__
