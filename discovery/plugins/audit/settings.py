"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from discovery.system.env import EnvSettings


class AuditSettings(EnvSettings):
    audit_file: Path | None = None
    """The file that gets a line for each write. Empty: off."""
    audit_max_mb: int = Field(64, ge=1, le=65536)
    """MiB (1 to 65536) after which the file is put aside as FILE.1."""
    audit_keep: int = Field(5, ge=1, le=1000)
    """How many files that were put aside are kept, 1 to 1000."""
