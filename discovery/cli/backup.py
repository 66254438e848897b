"""`discovery backup FILE` and `discovery restore FILE`: a copy of what the registry has on disk, out of DATA_DIR and back into it.

They work on the files, as the user who owns them: a backup while the server runs or not, a restore only while it does not.
`installed` finds the files of a server that runs as a unit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from discovery.cli import installed
from discovery.plugins.journal import files
from discovery.plugins.journal.inspection import Content
from discovery.plugins.journal.settings import JournalSettings
from discovery.system.env import SettingsError

_DataDir = Annotated[str | None, Parameter(help="instead of DATA_DIR")]
_EnvFile = Annotated[Path | None, Parameter(help="a file with the server's settings, such as /etc/discovery.env")]


def backup(
    file: Annotated[Path, Parameter(help="where the copy goes")],
    /,
    *,
    data_dir: _DataDir = None,
    env_file: _EnvFile = None,
) -> None:
    content = files.back_up(_folder(data_dir, env_file), file)
    print(f"{file}: {_counted(content)}")


def restore(
    file: Annotated[Path, Parameter(help="a backup")], /, *, data_dir: _DataDir = None, env_file: _EnvFile = None
) -> None:
    folder = _folder(data_dir, env_file)
    content, replaced = files.restore(folder, file)
    print(f"{folder / files.FILE}: {_counted(content)}, from {file}")
    if replaced is not None:
        print(f"what was there before is in {replaced}")


def _counted(content: Content) -> str:
    return f"{len(content.instances):,} instances, {len(content.windows):,} maintenance windows"


def _folder(data_dir: str | None, env_file: Path | None) -> Path:
    text = data_dir or installed.given("DATA_DIR", env_file, default="data")
    folder = JournalSettings.read().data_dir if text is None else Path(text) if text else None
    if folder is None:
        raise SettingsError("DATA_DIR: is empty, so this registry keeps everything in memory and there are no files")
    return folder
