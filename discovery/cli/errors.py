"""What a command says when it cannot do what it was asked. Settings have their own, `system.env.SettingsError`."""

from __future__ import annotations

from discovery.core.errors import DiscoveryError


class Failed(DiscoveryError):
    """What was asked for was not to be had. Exit status 1."""


class WrongArguments(DiscoveryError):
    """What was given on the command line, or in DISCOVERY_URL and its kin, makes no sense. Exit status 2."""
