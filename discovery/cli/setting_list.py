"""Every setting of the server, its plugins and engines: what it is, its default, and where its value came from."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from discovery import engines, plugins
from discovery.settings import Settings
from discovery.system.env import EnvSettings


class Source(StrEnum):
    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = ".env"
    DEFAULT = "default"


# A password that somebody has put into an address. The server refuses it; who is shown the settings need not learn it.
_USER_IN_URL = re.compile(r"(?<=//)[^/@\s]*@")


class Setting(NamedTuple):
    """`value` and `default` as text that the setting takes; a secret's are `set` and `not set`.

    `home`: whose it is, such as `plugin forward`; empty for the server's own. `computed`: its default is found out at start.
    """

    name: str
    value: str
    default: str
    source: Source
    secret: bool
    text: str
    home: str
    computed: bool


def kinds() -> list[type[EnvSettings]]:
    """The server's settings, then those of the plugins and engines in the order of their folders' names."""
    for package in (plugins, engines):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    rooms = [kind for kind in EnvSettings.__subclasses__() if _home(kind)]
    return [Settings, *sorted(rooms, key=lambda kind: (_home(kind).startswith("engine"), _home(kind)))]


def names() -> dict[str, str]:
    """Each setting's name, by itself and by the others that it is known by (NODE_ENV: ENVIRONMENT)."""
    each = [kind.variables(name) for kind in kinds() for name in kind.model_fields]
    return {alias: variables[0] for variables in each for alias in variables}


def in_force(flags: frozenset[str] = frozenset()) -> list[Setting]:
    """`flags`: the names that were given on the command line. SettingsError where the server would not start with them."""
    return [setting for kind in kinds() for setting in _of(kind, flags)]


def defaults() -> Iterator[Setting]:
    """As if nothing were set."""
    for kind in kinds():
        for name, field in kind.model_fields.items():
            yield _setting(kind, name, field, None, Source.DEFAULT)


@cache
def _texts(kind: type[EnvSettings]) -> dict[str, str]:
    """What stands below each field. Read here, from the source: pydantic would read it at every start of the server, which takes 50 ms."""
    [definition] = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: ast.literal_eval(text.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr)
    }


def _of(kind: type[EnvSettings], flags: frozenset[str]) -> Iterator[Setting]:
    kind.read()
    environment, file = EnvSettingsSource(kind).env_vars, DotEnvSettingsSource(kind).env_vars
    for name, field in kind.model_fields.items():
        variables = kind.variables(name)
        given, source = _given(variables, environment), Source.ENVIRONMENT
        if given is None:
            given, source = _given(variables, file), Source.FILE
        if given is None:
            source = Source.DEFAULT
        elif variables[0] in flags:
            source = Source.FLAG
        yield _setting(kind, name, field, given, source)


def _given(variables: list[str], values: Mapping[str, str | None]) -> str | None:
    return next((text for name in variables if (text := values.get(name.lower())) is not None), None)


def _setting(kind: type[EnvSettings], name: str, field: FieldInfo, given: str | None, source: Source) -> Setting:
    secret = kind.is_secret(name)
    default = as_text(field.get_default(call_default_factory=True))
    value = default if given is None else given
    if secret:
        value, default = ("not set" if given is None else "set"), "not set"
    value = _USER_IN_URL.sub("***@", value)
    text = " ".join(_texts(kind).get(name, "").split())
    computed = field.default_factory is not None
    return Setting(kind.variables(name)[0], value, default, source, secret, text, _home(kind), computed)


def _home(kind: type[EnvSettings]) -> str:
    """`discovery.plugins.forward.settings` is `plugin forward`. Empty: no plugin's and no engine's."""
    _, package, *rooms = kind.__module__.split(".")
    return f"{package.removesuffix('s')} {rooms[0]}" if package in ("plugins", "engines") else ""


def as_text(value: Any) -> str:
    """A default as the environment would have it."""
    if value is None or value == {}:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(as_text, value))
    return str(value)
