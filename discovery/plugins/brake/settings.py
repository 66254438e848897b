"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from discovery.core.network import Network
from discovery.system.env import EnvSettings, split


class BrakeSettings(EnvSettings):
    brake_probe: bool = True
    """true: while the brake holds an instance, its port is asked by a TCP connection; one that refuses is out at once."""
    brake_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = ()
    """Networks, comma separated, in which ports are asked. Empty: all but loopback, link-local and multicast ones."""
