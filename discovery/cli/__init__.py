"""The `discovery` command: one function a subcommand, listed in COMMANDS. Without a subcommand it is `serve`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from discovery import __version__
from discovery.cli import serve
from discovery.core.errors import DiscoveryError
from discovery.env import SettingsError

# name → what it does, in one line; how.
COMMANDS: dict[str, tuple[str, Callable[[], int]]] = {
    "serve": ("run the registry: HTTP and DNS, until SIGTERM or SIGINT", serve.run),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 for what went wrong while running, 2 for wrong arguments or settings."""
    command = _parser().parse_args(arguments).command or "serve"
    try:
        return COMMANDS[command][1]()
    except DiscoveryError as error:
        print(f"discovery: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="discovery",
        description="A service registry with two faces, HTTP and DNS.",
        epilog="Settings come from the environment and from .env; .env.example lists them.",
    )
    parser.add_argument("--version", action="version", version=f"discovery {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (text, _) in COMMANDS.items():
        commands.add_parser(name, help=text, description=text)
    return parser
