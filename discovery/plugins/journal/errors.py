"""What is wrong with a data directory or a file in it, and the way out."""

from __future__ import annotations

from pathlib import Path

from discovery.core.errors import DiscoveryError


class DataDirUnusable(DiscoveryError):
    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"DATA_DIR: {folder} cannot be used: {reason}; it must be a folder that this user can write to, or empty (DATA_DIR=) to keep "
            "everything in memory"
        )


class DataDirInUse(DiscoveryError):
    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(
            f"DATA_DIR: {folder} is in use by the process with pid {pid}; stop that one first, or give each its own folder"
        )


class Damaged(DiscoveryError):
    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"{file} is damaged ({reason}) and was left as it is; bring a backup back with `discovery restore FILE`, or move it away "
            "(with -wal and -shm beside it) to begin with an empty registry"
        )


class NewerFormat(DiscoveryError):
    def __init__(self, file: Path, format: int, known: int) -> None:
        super().__init__(
            f"{file} was written by a newer version (format {format}, this one knows {known}) and was left as it is; run that version, "
            "or bring back a backup of before with `discovery restore FILE`"
        )


class CannotWrite(DiscoveryError):
    def __init__(self, file: Path, reason: str) -> None:
        way_out = "; make room on its disk" if "full" in reason or "space" in reason else ""
        super().__init__(f"{file} cannot be written: {reason}{way_out}")
        self.reason = reason


class DataDirMoved(DiscoveryError):
    def __init__(self, folder: Path, cluster: str) -> None:
        where = f" (cluster {cluster})" if cluster else ""
        super().__init__(
            f"DATA_DIR: the registry in {folder} has moved to etcd{where} (`discovery migrate`), and goes on there: start this node with "
            "ENGINE_URL, or, when no node runs on etcd any more, bring the registry back with `discovery migrate --back`"
        )


class CannotRead(DiscoveryError):
    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file} cannot be read: {reason}")
