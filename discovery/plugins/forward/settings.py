"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from discovery.core.network import LOOPBACK_AND_PRIVATE, Network
from discovery.system.env import Endpoint, EnvSettings, endpoint, split

Upstream = Endpoint
_upstream = endpoint("upstream", "asked")


class ForwardSettings(EnvSettings):
    forward_to: Annotated[
        tuple[Annotated[Upstream, BeforeValidator(_upstream)], ...], NoDecode, BeforeValidator(split)
    ] = ()
    """Upstream resolvers for names outside our zones. Empty: off."""
    forward_clients: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = LOOPBACK_AND_PRIVATE
    """Networks, comma separated, whose clients it serves."""
    forward_timeout_seconds: Annotated[float, Field(ge=0.1, le=30)] = 2
    """Seconds for each upstream, 0.1 to 30."""
