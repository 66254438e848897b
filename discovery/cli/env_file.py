"""The settings of a server that runs elsewhere, for commands that read its files: backup, restore, audit, token, doctor.

They read settings as the server does, from the environment and `.env`; what neither has comes from /etc/discovery.env, which the systemd
unit reads (`discovery unit`), where this user may read it. `--env-file FILE` names another file, which wins over all. Never for `serve`.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from dotenv import dotenv_values

from discovery.cli.output import say
from discovery.core.errors import reason_of
from discovery.plugins.journal import JournalSettings
from discovery.system.env import SettingsError

INSTALLED = Path("/etc/discovery.env")

EnvFile = Annotated[Path | None, Parameter(help=f"a file with the server's settings, instead of {INSTALLED}")]


DataDir = Annotated[str | None, Parameter(help="instead of DATA_DIR")]


def data_folder(given: str | None) -> Path:
    """After `use`. SettingsError where there is none."""
    folder = Path(given) if given else JournalSettings.read().data_dir
    if folder is None:
        raise SettingsError("DATA_DIR: is empty, so this registry keeps everything in memory and there are no files")
    return folder


def use(file: Path | None) -> None:
    """Before any setting is read. Says which file was used. SettingsError when the file that was named cannot be read."""
    chosen = file or INSTALLED
    try:
        text = chosen.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if file is None:
            return  # there is no such installation, or it is not this user's to read
        reason = reason_of(error)
        raise SettingsError(f"{file}: cannot be read: {reason}; ask as a user who may") from None
    nearer = set() if file else {name.upper() for name in (*os.environ, *dotenv_values(".env"))}
    values = {name.upper(): value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}
    taken = {name: value for name, value in values.items() if name not in nearer}
    os.environ.update(taken)
    if taken:
        say(f"discovery: the settings of {chosen} are used")
