"""`discovery unit`: a systemd unit for the installation that prints it, `deploy/discovery.service` with its paths filled in."""

from __future__ import annotations

import sys
from pathlib import Path

import discovery

_TEMPLATE = Path(discovery.__file__).parent / "deploy" / "discovery.service"
# What ProtectHome= hides from a service.
_HOMES = ("/home", "/root", "/run/user")


def unit() -> None:
    prefix = Path(sys.prefix)
    print(filled_in(_TEMPLATE.read_text(encoding="utf-8"), prefix), end="")
    for hidden in _hidden(prefix, Path(sys.base_prefix), Path(discovery.__file__).parent):
        print(
            f"discovery: {hidden} is in a home directory, which the unit's ProtectHome=yes hides from the service; install it elsewhere, "
            "in /opt for example, with a Python that is not in one either",
            file=sys.stderr,
        )


def filled_in(template: str, prefix: Path) -> str:
    """`prefix`: where the environment is, with bin/discovery in it."""
    return template.replace("@PREFIX@", str(prefix)).replace("@DISCOVERY@", _quoted(str(prefix / "bin" / "discovery")))


def _quoted(path: str) -> str:
    """systemd.service(5), Command lines: `%` is for specifiers, `$` for variables, quotes keep blanks."""
    text = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if text != path or " " in path else text


def _hidden(*paths: Path) -> list[Path]:
    resolved = dict.fromkeys(path.resolve() for path in paths)
    return [path for path in resolved if any(path.is_relative_to(home) for home in _HOMES)]
