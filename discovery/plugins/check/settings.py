"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from discovery.core.network import Network
from discovery.system.env import EnvSettings, split


class CheckSettings(EnvSettings):
    check_enabled: bool = True
    """true: instances that ask for active checks get them."""
    check_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(split)] = ()
    """Networks, comma separated, in which instances are checked whoever registers them; others only where they register themselves."""
