"""What is not kept here. KV, transactions and sessions: reads find nothing, calmly, so that who reads its configuration in KV starts and
waits; writes are refused, and never acknowledged. Or all of it is handed on to the old Consul (CONSUL_KV_UPSTREAM) until it has moved
elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import unquote_plus

import aiohttp
from yarl import URL

from discovery.core.address import client_prefix
from discovery.core.warning import Concern, warning
from discovery.plugins.consul.manners import NO_INDEX, Refused, as_json
from discovery.plugins.consul.reading import HEADING, Question, Reader, get, none, put, refusing
from discovery.plugins.consul.topics import NEVER
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import MAX_BODY, Kind, Reply, Right, Route

_TEXT = (
    "This is no Consul but a service registry that speaks its API: it keeps no keys. Keep them in Consul "
    "(CONSUL_KV_UPSTREAM=http://HOST:8500 hands /v1/kv, /v1/txn and /v1/session on to it) or in etcd"
)
# Requests that are handed on at a time, in all and of one client prefix: each may wait for ten minutes.
MAX_IN_HAND, MAX_OF_PREFIX = 512, 128
# Octets of an answer: KV values have 512 KiB, and a prefix has many.
_MAX_ANSWER = 16 * 1024 * 1024
# Seconds: Consul's longest wait with its jitter, and until it is connected.
_TIMEOUT = aiohttp.ClientTimeout(total=660, connect=5)
# Who is remembered to have read keys, and for how long, seconds.
_MAX_READERS, _REMEMBERED = 256, 3600.0


class KeyValues:
    """`token`: that the old Consul is shown; None: whatever the client showed."""

    def __init__(self, reader: Reader) -> None:
        settings = reader.settings
        self._reader = reader
        self._upstream = settings.consul_kv_upstream
        self._token = None if settings.consul_kv_token is None else settings.consul_kv_token.get_secret_value()
        self.has_tokens = False  # of ours, which are nobody else's business
        self._session: aiohttp.ClientSession | None = None
        self._in_hand: Counter[str] = Counter()
        self._readers: dict[str, tuple[float, str]] = {}  # by address: when it read last, and what

    def routes(self) -> list[Route]:
        def route(method: str, path: str) -> Route:
            asks = method == "GET"
            right, kind = (Right.READ, Kind.QUESTION) if asks else (Right.WRITE, Kind.OPERATION)
            text = "Keys and sessions: none, or handed on"
            handler = self.read if asks else self.write
            return Route(method, path, handler, right, kind, text, HEADING, lenient=True, max_body=MAX_BODY)

        key, session = "/kv/{key:.*}", "/session/{what:.*}"
        pairs = [("GET", key), ("PUT", key), ("DELETE", key), ("PUT", "/txn"), ("GET", session), ("PUT", session)]
        return [route(*pair) for pair in pairs]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def concerns(self) -> list[Concern]:
        return [warning("consul_keys_read", self._told)]

    def _told(self) -> Mapping[str, str]:
        now = self._reader.clock()
        return {
            address: f"{address} reads keys from Consul's KV ({path}), which is empty here: have CONSUL_KV_UPSTREAM name the Consul "
            "that has them, or move its configuration elsewhere"
            for address, (at, path) in self._readers.items()
            if now - at < _REMEMBERED
        }  # fmt: skip

    # -- without an upstream

    def read(self, request: Request) -> Reply:
        if self._upstream is not None:
            return self._hand_on(request, self._upstream)
        question = self._reader.question(request)
        if not request.path.startswith("/v1/kv/"):
            return as_json([], headers=NO_INDEX)
        self._readers.pop(request.address, None)
        self._readers[request.address] = self._reader.clock(), request.path
        if len(self._readers) > _MAX_READERS:
            del self._readers[next(iter(self._readers))]
        return self._reader.wait_for(question, NEVER, ("kv",), lambda: self._none(question))

    def _none(self, question: Question) -> Answer:
        headers = self._reader.headers(question.asked, self._reader.index_of(NEVER))
        return Answer(404, b"", headers, media="")

    def write(self, request: Request) -> Reply:
        if self._upstream is not None:
            return self._hand_on(request, self._upstream)
        raise Refused(500, _TEXT)

    # -- with one

    async def _hand_on(self, request: Request, upstream: str) -> Answer:
        prefix = client_prefix(request.address)
        if self._in_hand.total() >= MAX_IN_HAND or self._in_hand[prefix] >= MAX_OF_PREFIX:
            raise Refused(500, "Too many requests about keys wait for CONSUL_KV_UPSTREAM; try again in a moment")
        self._in_hand[prefix] += 1
        try:
            return await self._ask(request, upstream)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            text = f"CONSUL_KV_UPSTREAM {upstream} could not be asked: {str(error) or type(error).__name__}"
            raise Refused(500, text) from None
        finally:
            self._in_hand -= Counter({prefix: 1})  # and forgets who has none

    async def _ask(self, request: Request, upstream: str) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(limit=MAX_IN_HAND))
        url = URL(upstream.rstrip("/") + _without_token(request.target), encoded=True)
        headers = {} if (token := self._token_for(request)) is None else {"X-Consul-Token": token}
        if (media := request.header(b"content-type")) is not None:
            headers["Content-Type"] = media
        async with self._session.request(
            request.method, url, data=request.body or None, headers=headers, allow_redirects=False
        ) as response:
            body = await response.content.read(_MAX_ANSWER + 1)
            while len(body) <= _MAX_ANSWER and (more := await response.content.read(_MAX_ANSWER)):
                body += more
            if len(body) > _MAX_ANSWER:
                raise Refused(500, f"The answer of CONSUL_KV_UPSTREAM has more than {_MAX_ANSWER} octets")
            kept = {name: value for name, value in response.headers.items() if name.lower().startswith("x-consul-")}
            return Answer(response.status, body, kept, media=response.headers.get("Content-Type", ""))

    def _token_for(self, request: Request) -> str | None:
        if self._token is not None or self.has_tokens:
            return self._token
        shown = request.route.manners.authorization(request)
        return None if shown is None else shown.partition(" ")[2]


def _without_token(target: str) -> str:
    path, _, query = target.partition("?")
    kept = "&".join(each for each in query.split("&") if unquote_plus(each.partition("=")[0]) != "token")
    return f"{path}?{kept}" if kept else path


# -- besides keys

_NO_QUERY = "Prepared queries are not kept here; ask /v1/health/service/NAME?passing&near=_agent&tag=…, or DNS"


def _never(question: Question) -> str:
    return NEVER


def beyond(reader: Reader) -> list[Route]:
    """Prepared queries, events, coordinates, the mesh, ACLs: lists are empty; what would have to be kept is refused with a text, and never
    acknowledged.
    """
    acl, connect = (
        refusing(401, "ACL support disabled"),
        refusing(500, "Connect must be enabled in order to use this endpoint", NO_INDEX),
    )
    query = refusing(500, _NO_QUERY)
    unknown = refusing(404, "Query not found")
    list_of = reader.route
    return [
        list_of("/query", none, _never, summary="Prepared queries: none"),
        put("/query", query, "No query is kept", method="POST"),
        get("/query/{id}/execute", unknown, "There is none"),
        get("/query/{id}", unknown, "There is none"),
        *(put("/query/{id}", query, "No query is kept", method=method) for method in ("PUT", "DELETE")),
        list_of("/event/list", none, _never, summary="Events: none"),
        put("/event/fire/{name}", refusing(500, "Events are not sent on by this registry; use a queue"), "No event is sent"),
        list_of("/coordinate/nodes", none, _never, summary="Coordinates: none"),
        list_of("/config/{kind}", none, _never, summary="Configuration of the mesh: none"),
        get("/acl/{what:.*}", acl, "There are no ACLs"),
        *(put("/acl/{what:.*}", acl, "There are no ACLs", method=method) for method in ("PUT", "POST", "DELETE")),
        get("/connect/{what:.*}", connect, "There is no mesh"),
        get("/snapshot", refusing(500, "There are no snapshots here; `discovery backup` makes a backup"), "No snapshot"),
    ]  # fmt: skip
