"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from discovery.system.env import EnvSettings


class MetricsSettings(EnvSettings):
    metrics_per_service: bool = False
    """true: /metrics shows some numbers of each service, too, of the first 1,000 by name."""
