"""The `discovery` command: one function a subcommand, listed in COMMANDS. Without a subcommand it is `serve`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from discovery import __version__
from discovery.cli import audit, backup, serve, token, unit
from discovery.core.errors import DiscoveryError
from discovery.system.env import SettingsError


class Command(NamedTuple):
    """`text`: what it does, in one line. `run` gives the exit status."""

    text: str
    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None


COMMANDS: dict[str, Command] = {
    "serve": Command("run the registry: HTTP and DNS, until SIGTERM or SIGINT", lambda arguments: serve.run()),
    "backup": Command(backup.BACKUP, backup.back_up, backup.add_file),
    "audit": Command(audit.TEXT, audit.run, audit.add_arguments),
    "unit": Command(unit.TEXT, unit.run),
    "token": Command(token.TEXT, token.run, token.add_arguments),
    "restore": Command(backup.RESTORE, backup.restore, backup.add_file),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 for what went wrong while running, 2 for wrong arguments or settings."""
    given = _parser().parse_args(arguments)
    try:
        return COMMANDS[given.command or "serve"].run(given)
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
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.text, description=command.text))
    return parser
