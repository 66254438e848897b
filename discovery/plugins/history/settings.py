"""The plugin's own settings, read like the server's. Its folder is in the journal's, and so is DATA_DIR."""

from __future__ import annotations

from pydantic import Field

from discovery.system.env import EnvSettings


class HistorySettings(EnvSettings):
    history_days: int = Field(7, ge=0, le=366)
    """Days for which it is kept what happened, 0 to 366. 0: no history."""

    history_max_mb: int = Field(1024, ge=16, le=1_048_576)
    """MiB of all its files together, 16 to 1048576; the oldest go when there are more."""
