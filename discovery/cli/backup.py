"""`discovery backup FILE` and `discovery restore FILE`: a copy of what the registry has on disk, out of DATA_DIR and back into it.

They work on the files, as the user who owns them: a backup while the server runs or not, a restore only while it does not.
`env_file` finds those of a server that runs elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from discovery.cli.env_file import DataDir, EnvFile, data_folder, use
from discovery.cli.errors import Failed
from discovery.plugins.journal import files
from discovery.system.env import EnvSettings, SettingsError


def backup(
    file: Annotated[Path, Parameter(help="where the copy goes")],
    /,
    *,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    content = files.back_up(_folder(data_dir, env_file), file)
    print(f"{file}: {content.counted}")


def restore(
    file: Annotated[Path, Parameter(help="a backup")], /, *, data_dir: DataDir = None, env_file: EnvFile = None
) -> None:
    folder = _folder(data_dir, env_file)
    if not file.exists():
        raise Failed(f"there is no file {file.absolute()}; nothing was restored")
    content, replaced = files.restore(folder, file)
    print(f"{folder / files.FILE}: {content.counted}, from {file}")
    if replaced is not None:
        print(f"what was there before is in {replaced}")


class _EngineSettings(EnvSettings):
    engine_url: str = ""


def _folder(data_dir: str | None, env_file: Path | None) -> Path:
    use(env_file)
    if not data_dir and (url := _EngineSettings.read().engine_url):
        scheme, _, members = url.partition("://")
        first = ("https://" if scheme == "etcds" else "http://") + members.partition(",")[0]
        raise SettingsError(
            f"ENGINE_URL: this node's registry is in etcd, not in DATA_DIR; back up etcd: ETCDCTL_ENDPOINTS={first} etcdctl snapshot "
            "save FILE, and bring it back by `etcdutl snapshot restore` as discovery/docs/cluster-recovery.md says"
        )
    return data_folder(data_dir)
