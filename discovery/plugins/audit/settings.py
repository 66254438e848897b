"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from discovery.system.env import EnvSettings


class AuditSettings(EnvSettings):
    audit_file: Path | None = None  # None: off
    audit_max_mb: int = Field(64, ge=1, le=65536)  # 2^20 octets
    audit_keep: int = Field(5, ge=1, le=1000)  # files besides the one that is written
