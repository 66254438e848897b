"""Asking the registry that DISCOVERY_URL names: one question, one event loop; what goes wrong is one line with the right status."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, urlencode

from cyclopts import Parameter

from discovery.cli import replies
from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.output import say
from discovery.cli.replies import Shape
from discovery.client import (
    InvalidAddress,
    Refused,
    RegistryClient,
    RegistryError,
    Reply,
    UnreadableToken,
    UnusableCertificate,
)

T = TypeVar("T")
Json = dict[str, Any]
Pairs = Sequence[tuple[str, str]]


# Services a request: the server's own most.
_PAGE = 100
# The server's codes for what it does not know: it is older than this command.
_UNKNOWN_TO_IT = ("ROUTE_UNKNOWN", "METHOD_NOT_ALLOWED", "PARAMETER_UNKNOWN")
# What to do next, as the server says it to those who speak HTTP; and to those who type commands.
_COMMANDS = (
    (r"GET /instances/([\w.:@-]+)", r"`discovery get instance \1`"),
    (r"GET /services\b(?!/)", "`discovery get services`"),
    (r"GET /maintenance\b", "`discovery maintenance list`"),
    (r"GET /admin/tokens\b", "`discovery token list`"),
    (r"DELETE /admin/revocations/(\w+)", r"`discovery token restore \1`"),
    (r"POST /register\b", "`discovery register`"),
)


def ask(question: Callable[[RegistryClient], Awaitable[T]]) -> T:
    """WrongArguments for a DISCOVERY_URL or a token that cannot be used; Failed for the rest."""
    try:
        return asyncio.run(_ask(question))
    except InvalidAddress as error:
        raise WrongArguments(f"DISCOVERY_URL: {error}") from None
    except (UnreadableToken, UnusableCertificate) as error:
        raise WrongArguments(str(error)) from None
    except Refused as error:
        raise Failed(refused(error)) from None
    except RegistryError as error:
        raise Failed(str(error)) from None


async def _ask(question: Callable[[RegistryClient], Awaitable[T]]) -> T:
    async with RegistryClient() as registry:
        return await question(registry)


def refused(error: Refused) -> str:
    """What the server said, and what that means for whoever typed a command."""
    if error.status == 401:
        return f"{error} (commands take it from DISCOVERY_TOKEN, or from the file that DISCOVERY_TOKEN_FILE names)"
    if since := error.content.get("since"):  # of the history
        return f"{error}; it begins at {since}"
    if error.code == "SERVICE_UNKNOWN" and (name := error.content.get("serviceName")):
        near, known = error.content.get("suggestion"), error.content.get("known")
        guess = f"{f'{known}; ' if known else ''}{f'did you mean {near}? ' if near else ''}"
        return (
            f"no service {name} is registered; {guess}`discovery get services` lists those that are, "
            f"`discovery history {shlex.quote(name)}` says what became of it"
        )
    if error.status in (404, 405) and (error.code in _UNKNOWN_TO_IT or not error.code):
        return f"this registry is older than this command, which asks for what it does not have: {error}"
    text = str(error)
    for route, command in _COMMANDS:
        text = re.sub(route, command, text)
    return text


async def send(registry: RegistryClient, method: str, path: str, body: Json | None = None, *, has: Shape) -> Json:
    """The answer, of that shape (`replies`). NotARegistry where it is another, as of some other program that speaks JSON."""
    return shaped(await registry.request(method, path, json=body), has)


def shaped(reply: Reply, has: Shape, quietly: bool = False) -> Json:
    """What `send` gives, of a reply that is there. `quietly`: that it is old was said before."""
    found: Json = reply.of_shape(has.type)
    if not quietly and (stale := reply.content.get("stale")):
        say(f"discovery: {reply.url} does not hear what happens at the other nodes: what it says is {stale} s old")
    return found


async def get(registry: RegistryClient, path: str, pairs: Pairs = (), *, has: Shape) -> Json:
    """As `send`. A name may come several times in the query."""
    return await send(registry, "GET", f"{path}?{urlencode(pairs)}" if pairs else path, has=has)


async def all_services(registry: RegistryClient, pairs: Pairs = ()) -> AsyncIterator[Json]:
    """In the order of their names; read page by page."""
    after: str | None = ""
    while after is not None:
        query = urlencode([*pairs, ("limit", str(_PAGE)), ("after", after)])
        page = shaped(await registry.request("GET", f"/services?{query}"), replies.SERVICES, quietly=after != "")
        for name, service in page["services"].items():
            yield {"name": name, **service}
        before, after = after, page.get("next")
        if after == before:
            raise Failed(
                "the registry's list of services does not end: it begins again where it was; is DISCOVERY_URL right?"
            )


async def one_service(registry: RegistryClient, name: str) -> Json:
    """As in `all_services`, and why each instance is in the answers or not. Refused when there is none of that name."""
    if not name:
        raise WrongArguments("the service's name is empty")
    content = await get(registry, f"/services/{in_path(name)}", has=replies.SERVICE)
    return {"name": content.pop("serviceName"), **content}


def in_path(text: str) -> str:
    """A name or an id, for a path. WrongArguments: an empty one, as of a shell's variable that is not set, would be another path."""
    if not text:
        raise WrongArguments("a name or an id is empty")
    return quote(text, safe="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Filters:
    tag: Annotated[tuple[str, ...], Parameter(help="only those with this tag; several: with all")] = ()
    zone: Annotated[str | None, Parameter(help="only those of this locality")] = None
    meta: Annotated[tuple[str, ...], Parameter(help="only those with KEY=VALUE in the metadata")] = ()
    port: Annotated[int | Literal["none"] | None, Parameter(help="only those at this port; none: without one")] = None

    def pairs(self) -> list[tuple[str, str]]:
        """For a query. WrongArguments."""
        tags = [("tag", tag) for tag in self.tag]
        metadata = [(f"meta.{key}", value) for key, value in key_values(self.meta, "--meta")]
        return tags + given(("zone", self.zone), ("port", "" if self.port == "none" else self.port)) + metadata


def given(*pairs: tuple[str, str | int | None]) -> list[tuple[str, str]]:
    """Those that have a value, for a query."""
    return [(name, str(value)) for name, value in pairs if value is not None]


def key_values(pairs: Sequence[str], option: str) -> list[tuple[str, str]]:
    """`KEY=VALUE` each. WrongArguments."""
    found = [pair.partition("=") for pair in pairs]
    for key, separator, _ in found:
        if not key or not separator:
            raise WrongArguments(f"{option} {key}: write KEY=VALUE")
    return [(key, value) for key, _, value in found]
