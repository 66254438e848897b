"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from discovery.core.network import LOOPBACK_AND_PRIVATE, Network
from discovery.system.env import Endpoint, EnvSettings, Listed, endpoint

Upstream = Endpoint
_upstream = endpoint("upstream", "asked")


class ForwardSettings(EnvSettings):
    forward_to: Listed[Annotated[Upstream, BeforeValidator(_upstream)]] = ()
    """Upstream resolvers for names outside our zones. Empty: off."""
    forward_clients: Listed[Network] = LOOPBACK_AND_PRIVATE
    """Networks, comma separated, whose clients it serves."""
    forward_timeout_seconds: Annotated[float, Field(ge=0.1, le=30)] = 2
    """Seconds for each upstream, 0.1 to 30."""
