"""Where the server of this machine keeps its files, for commands that work on them from any folder, in an environment that is not the
server's: as `--env-file` has it, or the systemd unit (`discovery unit`) with its EnvironmentFile, which is /etc/discovery.env.

The unit counts where nothing nearer does: not where the environment or `.env` has the setting, nor in a folder where a server has run.
"""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values

from discovery.cli.output import say
from discovery.system.env import SettingsError

UNIT = Path("/etc/systemd/system/discovery.service")
# systemd.unit(5), Specifiers, of a system unit: those that a path is likely to have.
_SPECIFIERS = {"%S": "/var/lib", "%L": "/var/log", "%C": "/var/cache", "%t": "/run", "%E": "/etc", "%%": "%"}


def given(name: str, env_file: Path | None, default: str = "") -> str | None:
    """The path that this setting names, in full; "" for none. None: neither the file nor a unit has a say, so read it as the server does.

    `default`: the setting's own, in the server's working folder. SettingsError when a file cannot be read.
    """
    if env_file is not None:
        return _in_full(_values(env_file).get(name, default), env_file.absolute().parent)
    here = {key.upper() for key in os.environ} | _values(Path(".env"), missing_is_fine=True).keys()
    if name in here or (default and Path(default).exists()) or not UNIT.exists():
        return None
    folder, values = _of_unit()
    path = _in_full(values.get(name, default), folder)
    say(f"discovery: {name} is {path or 'empty'}, as {UNIT} has it")
    return path


def _of_unit() -> tuple[Path, Mapping[str, str]]:
    """The server's working folder, and its environment; what files say of it wins, as with systemd."""
    folder, values, files = Path("/"), dict[str, str](), list[str]()
    for directive, text in _directives():
        if directive == "WorkingDirectory":
            folder = Path(_expanded(text.removeprefix("-")))
        elif directive == "Environment":
            pairs = (word.partition("=") for word in shlex.split(text))
            values |= {key: _expanded(value) for key, _, value in pairs}
        elif directive == "EnvironmentFile":
            files.append(_expanded(text))
    for file in files:
        values |= _values(Path(file.removeprefix("-")), missing_is_fine=file.startswith("-"))
    return folder, values


def _directives() -> Iterator[tuple[str, str]]:
    """Of the unit and of what was added to it (`systemctl edit discovery`)."""
    for file in (UNIT, *sorted(Path(f"{UNIT}.d").glob("*.conf"))):
        for line in _text(file).replace("\\\n", " ").splitlines():
            directive, found, text = line.partition("=")
            if found and not line.startswith(("#", ";")):
                yield directive.strip(), text.strip()


def _expanded(text: str) -> str:
    parts = iter(text.split("%"))
    whole = next(parts)
    for part in parts:
        if not part:  # %%
            whole += "%" + next(parts, "")
        else:
            whole += _SPECIFIERS.get(f"%{part[0]}", f"%{part[0]}") + part[1:]
    return whole


def _values(file: Path, missing_is_fine: bool = False) -> dict[str, str]:
    if missing_is_fine and not file.exists():
        return {}
    found = dotenv_values(stream=io.StringIO(_text(file)), interpolate=False)
    return {key.upper(): value or "" for key, value in found.items()}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{file}: cannot be read: {reason}; ask as a user who may, or name what it has on the command line"
        ) from None


def _in_full(path: str, folder: Path) -> str:
    return str(folder / path) if path else ""
