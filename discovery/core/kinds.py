"""The kinds of events besides those of instances: the one table. The journal, the history, the keys in etcd, /changes, /events, the audit
and the log have one case for all of them and read the rest here; what a kind changes in the table of the registry is `store.state`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from discovery.core import exact_json, schema
from discovery.core.address import NO_PORT
from discovery.core.checked import moment, number, or_none, text, whole
from discovery.core.event import Field, KeyForm, ValueEvent, ValueKind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.remembered import packed
from discovery.core.schema import or_null
from discovery.core.status import Status

K = TypeVar("K")
V = TypeVar("V")

TEXT = Field(schema.TEXT, text)
NUMBER = Field(schema.NUMBER, number)
WHOLE = Field(schema.WHOLE, whole)
MOMENT = Field(schema.NUMBER, moment, is_moment=True)
TEXT_OR_NONE = Field(or_null(schema.TEXT), partial(or_none, text))
PACKED = Field(schema.ANY, packed, dumps=exact_json.loads)
MOMENT_OR_NONE = Field(or_null(schema.NUMBER), partial(or_none, moment), is_moment=True)


# -- keys


def _path(scope: Scope | Key) -> tuple[str, ...]:
    return (scope.service,) if scope.ip is None else (scope.service, f"{scope.ip}-{scope.port}")


def _scope_of(path: Sequence[str]) -> Scope:
    if len(path) == 1 and path[0]:
        return Scope(path[0])
    service, address = path
    ip, _, port = address.rpartition("-")
    return Scope(service, ip, int(port))


def _key_of(path: Sequence[str]) -> Key:
    service, ip, port = _scope_of(path)
    if ip is None or port is None:
        raise ValueError("it is known by its address")
    return Key(service, ip, port)


def _shown(scope: Scope | Key) -> tuple[str, str | None, int | None]:
    """Without a port: null, of a service as of an instance."""
    return scope.service, scope.ip, scope.port or None


def _scope(found: Sequence[Any]) -> Scope:
    service, ip, _ = found
    return Scope(text(service)) if ip is None else Scope(*_address(found))


def _address(found: Sequence[Any]) -> Key:
    service, ip, port = found
    return Key(text(service), text(ip), NO_PORT if port is None else whole(port))


def _sha256_of(path: Sequence[str]) -> bytes:
    [text] = path
    octets = bytes.fromhex(text)
    if len(octets) != 32 or octets.hex() != text:
        raise ValueError("a token is known by 64 hex digits in lower case")
    return octets


def _of_nothing(path: Sequence[str]) -> None:
    if any(path):
        raise ValueError("there is one, without a key")


def _hex(key: bytes) -> tuple[str]:
    return (key.hex(),)


def _nothing(key: None) -> tuple[()]:
    return ()


class DocumentKey(NamedTuple):
    """`plugin`: whose it is. `key`: any text."""

    plugin: str
    key: str


def _document(found: Sequence[Any]) -> DocumentKey:
    plugin, key = map(text, found)
    return DocumentKey(plugin, key)


SCOPE: KeyForm[Scope] = KeyForm(
    "scope",
    {"service": schema.TEXT, "ip": or_null(schema.TEXT), "port": or_null(schema.WHOLE)},
    _shown,
    _scope,
    _path,
    _scope_of,
)
ADDRESS: KeyForm[Key] = KeyForm(
    "key", {"service": schema.TEXT, "ip": schema.TEXT, "port": or_null(schema.WHOLE)}, _shown, _address, _path, _key_of
)
SHA256: KeyForm[bytes] = KeyForm("sha256", {"sha256": schema.TEXT}, _hex, bytes.fromhex, _hex, _sha256_of)
DOCUMENT: KeyForm[DocumentKey] = KeyForm(
    "key", {"plugin": schema.TEXT, "key": schema.TEXT}, tuple, _document, tuple, _document
)
# Of what there is one of.
ONE: KeyForm[None] = KeyForm("key", {}, _nothing, lambda found: None, _nothing, _of_nothing)


# -- kinds


class WindowEvent(ValueEvent[Scope, Window]):
    """A maintenance window begins, is exchanged, or ends."""

    __slots__ = ()
    kind = ValueKind(
        name="window", noun="maintenance", text="maintenance of {place}", verbs=("begins", "changed", "ends"),
        log_verbs=("begun", "changed", "ended"), keys=SCOPE, value=Window,
        fields={"reason": TEXT, "until": MOMENT, "by": TEXT}, shown=("reason", "until"), letter="w",
    )  # fmt: skip


class Drained(NamedTuple):
    """What is remembered of an instance that was draining when it was removed for its silence: it drains again, `since` then, if it comes
    back before `until`. Epoch seconds. `name`: of its service, as shown.
    """

    id: str
    name: str
    registered_at: float
    since: float
    until: float

    def instance(self, key: Key) -> Instance:
        """As far as it is remembered, and no longer draining."""
        spec = Registration(name=self.name, ip=key.ip, port=key.port)
        return Instance(self.id, self.registered_at, spec, status=Status.UNHEALTHY)


class DrainEvent(ValueEvent[Key, Drained]):
    """The drain of an instance that is not registered is remembered, or no longer."""

    __slots__ = ()
    kind = ValueKind(
        name="drain", noun="drain", text="drain of {place}", verbs=("remembered", "remembered", "forgotten"),
        keys=ADDRESS, value=Drained,
        fields={"id": TEXT, "name": TEXT, "registered_at": MOMENT, "since": MOMENT, "until": MOMENT},
        shown=("id", "since", "until"), letter="d", fades=True,
    )  # fmt: skip


class ZonesEvent(ValueEvent[None, None]):
    """Other zone files are served, so that any name in them may have changed. They are each node's own configuration: nothing is kept."""

    __slots__ = ()
    kind = ValueKind(
        name="zones",
        noun="zones",
        text="",
        verbs=("reloaded",) * 3,
        keys=ONE,
        value=lambda: None,
        fields={},
        kept=False,
    )

    def __init__(self, reason: str, key: None = None, before: None = None, after: None = None) -> None:
        super().__init__(key, before, after, reason)


class RegistrySettings(NamedTuple):
    """What holds for the whole registry, on every node; each by the name of its variable. `etcd_flush_seconds` is 0 on a single node."""

    heartbeat_timeout_seconds: float
    max_instances_per_service: int
    max_services: int
    max_instances: int
    etcd_flush_seconds: float = 0.0

    @property
    def grace(self) -> float:
        """Seconds that a heartbeat may be under way between nodes, and a lease lasts longer: heard just after a batch, and the next one
        may be late.
        """
        return 2 * self.etcd_flush_seconds

    def changed_to(self, after: RegistrySettings) -> str:
        """What is another one, in words."""
        pairs = zip(self._fields, self, after, strict=True)
        return ", ".join(
            f"{name.upper()} was {_number(old)} and is {_number(new)}" for name, old, new in pairs if old != new
        )


def _number(value: float) -> str:
    return f"{value:,}".removesuffix(".0")


class SettingsEvent(ValueEvent[None, RegistrySettings]):
    """Other settings hold from now on. How long leases last, and who may come, follows from them; nothing is told of each instance."""

    __slots__ = ()
    kind = ValueKind(
        name="settings", noun="settings", text="settings", verbs=("changed",) * 3, keys=ONE, value=RegistrySettings,
        fields={"heartbeat_timeout_seconds": NUMBER, "max_instances_per_service": WHOLE, "max_services": WHOLE,
                "max_instances": WHOLE, "etcd_flush_seconds": NUMBER},
        shown=RegistrySettings._fields,
    )  # fmt: skip

    def __init__(
        self, before: RegistrySettings | None, after: RegistrySettings | None, reason: str, key: None = None
    ) -> None:
        super().__init__(key, before, after, reason)


class Revocation(NamedTuple):
    """A token that no node takes any more, whatever its files say. `name`: as the file had it that knew it; empty when none did. `at`:
    epoch seconds. `by`: who asked for it. `expires`: when the token ends by itself, epoch seconds; None: never, as far as is known.
    """

    name: str
    at: float
    by: str
    expires: float | None = None


class TokenEvent(ValueEvent[bytes, Revocation]):
    """A token is revoked, or no longer. Its key: the SHA-256 of its secret, 32 octets."""

    __slots__ = ()
    kind = ValueKind(
        name="token", noun="token", text="token {name}", verbs=("revoked", "revoked", "restored"), keys=SHA256,
        value=Revocation, fields={"name": TEXT, "at": MOMENT, "by": TEXT, "expires": MOMENT_OR_NONE}, shown=("name",),
        secret=True, warns=True, letter="r",
    )  # fmt: skip


class Document(NamedTuple):
    """What a plugin remembers besides instances. `content`: packed JSON. `owner`: the folded name of the service to which it belongs; None:
    to an admin.
    """

    content: bytes
    owner: str | None = None

    @property
    def value(self) -> Any:
        return exact_json.loads(self.content)


class DocumentEvent(ValueEvent[DocumentKey, Document]):
    """A plugin remembers something, something else, or no longer."""

    __slots__ = ()
    kind = ValueKind(
        name="document", noun="document", text="document {key} of {plugin}", verbs=("put", "changed", "removed"),
        keys=DOCUMENT, value=Document, fields={"content": PACKED, "owner": TEXT_OR_NONE}, shown=("owner",), letter="doc",
        octets=lambda document: len(document.content),
    )  # fmt: skip


# By `name`.
KINDS: Mapping[str, type[ValueEvent[Any, Any]]] = {
    each.kind.name: each for each in (WindowEvent, DrainEvent, ZonesEvent, SettingsEvent, TokenEvent, DocumentEvent)
}


def of_letter(letter: str) -> type[ValueEvent[Any, Any]] | None:
    """Whose keys in etcd begin so."""
    return next((each for each in KINDS.values() if each.kind.letter == letter), None)


def begun(of: type[ValueEvent[K, V]], values: Mapping[K, V]) -> Iterator[ValueEvent[K, V]]:
    """A state, as the events that led to it."""
    return (of(key=key, before=None, after=value, reason="") for key, value in values.items())
