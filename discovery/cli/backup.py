"""`discovery backup FILE` and `discovery restore FILE`: a copy of what the registry has on disk, out of DATA_DIR and back into it.

They work on the files, as the user who owns them: a backup while the server runs or not, a restore only while it does not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from discovery.plugins.journal import files
from discovery.plugins.journal.inspection import Content
from discovery.plugins.journal.settings import JournalSettings
from discovery.system.env import SettingsError

BACKUP = "copy the registry's data (DATA_DIR) into FILE, from a running server too"
RESTORE = "put a backup in the place of the registry's data (DATA_DIR); the server must not run"


def add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path)


def back_up(arguments: argparse.Namespace) -> int:
    content = files.back_up(_folder(), arguments.file)
    print(f"{arguments.file}: {_counted(content)}")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    content, replaced = files.restore(_folder(), arguments.file)
    print(f"{_folder() / files.FILE}: {_counted(content)}, from {arguments.file}")
    if replaced is not None:
        print(f"what was there before is in {replaced}")
    return 0


def _counted(content: Content) -> str:
    return f"{len(content.instances):,} instances, {len(content.windows):,} maintenance windows"


def _folder() -> Path:
    folder = JournalSettings.read().data_dir
    if folder is None:
        raise SettingsError("DATA_DIR: is empty, so this registry keeps everything in memory and there are no files")
    return folder
