"""Reading settings: environment, then `.env`, then the default. What the server's settings and each plugin's have in common."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Self, TypeAlias, TypeVar, get_args

from pydantic import AliasChoices, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from discovery.core.address import authority
from discovery.core.errors import DiscoveryError


class SettingsError(DiscoveryError):
    """One line for each setting at fault."""


class EnvSettings(BaseSettings):
    """A field is the variable of that name in capitals, the text below it its description for people.

    A variable that is set but empty counts as not set.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    @classmethod
    def read(cls) -> Self:
        """SettingsError names every variable at fault, what it was and what it may be."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("\n".join(map(cls._line, error.errors(include_url=False)))) from None
        except UnicodeDecodeError as error:
            raise SettingsError(f".env: is not UTF-8 text: {error}") from None

    @classmethod
    def _line(cls, error: Any) -> str:
        text = str(error["msg"]).removeprefix("Value error, ")
        if not error["loc"]:
            return text
        name = str(error["loc"][0])
        secret = name in cls.model_fields and cls.is_secret(name)
        return f"{name.upper()}: {text}" + ("" if secret else f" (it is {error['input']!r})")

    @classmethod
    def variables(cls, field: str) -> list[str]:
        """The names by which it is known in the environment; the first is its own."""
        alias = cls.model_fields[field].validation_alias
        return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [field.upper()]

    @classmethod
    def is_secret(cls, name: str) -> bool:
        """Whether the field's value may be shown to nobody."""
        annotation = cls.model_fields[name].annotation
        return SecretStr in (annotation, *get_args(annotation))


def split(value: object) -> object:
    """A comma separated list; what is no string is left to the field's own check."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


T = TypeVar("T")
# A setting that is a comma separated list.
Listed: TypeAlias = Annotated[tuple[T, ...], NoDecode, BeforeValidator(split)]


DNS_PORT = 53
_ENDPOINT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9a-fA-F:.]+)")


class Endpoint(NamedTuple):
    """A name server."""

    ip: str
    port: int

    def __str__(self) -> str:
        return authority(self.ip, self.port)


def endpoint(what: str, purpose: str, standard: int = DNS_PORT) -> Callable[[object], object]:
    """Reads `IP`, `IP:PORT` or `[IPv6]:PORT`; what is no string is left to the field's own check.

    `what` it is, and the `purpose` that it can serve, are for the error. `standard`: the port where none is written.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        match = _ENDPOINT.fullmatch(value)
        try:
            ip = ipaddress.ip_address((match[1] or match[2] or match[4]) if match else "")
        except ValueError:
            raise ValueError(f"{value!r} is no {what}; write IP, IP:PORT or [IPv6]:PORT") from None
        port = int(match[3] or standard) if match else standard
        if ip.is_unspecified or not 1 <= port <= 65535:
            raise ValueError(f"{value!r} is no address and port that can be {purpose}")
        return Endpoint(str(ip), port)

    return read
