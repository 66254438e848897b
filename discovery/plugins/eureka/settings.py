"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from discovery.system.env import EnvSettings


class EurekaSettings(EnvSettings):
    eureka: bool = False
    """true: clients of Netflix's Eureka are answered below /eureka."""
