"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from discovery.system.env import EnvSettings


class CheckSettings(EnvSettings):
    check_enabled: bool = True
    """true: instances that ask for active checks get them."""
