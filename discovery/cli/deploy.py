"""`discovery deploy`: the files of `discovery/deploy`, which come with the package: a list of them, or one to write somewhere.

`discovery unit`: the systemd unit among them, for the installation that prints it, with its paths filled in.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import discovery
from discovery.cli.errors import WrongArguments

FOLDER = Path(discovery.__file__).parent / "deploy"
FILES = {
    "Dockerfile": "an image of one node",
    "alerts.yml": "alert rules for Prometheus",
    "compose.yaml": "one node with Docker Compose",
    "compose.cluster.yaml": "three nodes and three etcd with Docker Compose",
    "discovery.service": "the systemd unit, as `discovery unit` prints it",
    "discovery.cluster.conf": "a drop-in beside it, for one of several nodes",
    "dnsdist.conf": "dnsdist in front of several nodes",
    "etcd.service": "the systemd unit of a member of etcd",
    "grafana.json": "a dashboard for Grafana",
    "haproxy.cfg": "HAProxy in front of several nodes",
    "kubernetes.yaml": "one node on Kubernetes",
    "kubernetes.cluster.yaml": "three nodes and three etcd on Kubernetes",
    "sbom.py": "the bill of materials of the image; the Dockerfile runs it",
}
# What ProtectHome= hides from a service.
_HOMES = ("/home", "/root", "/run/user")


def deploy(file: Annotated[str | None, Parameter(help="what to print; without it, a list")] = None, /) -> None:
    if file is None:
        print("".join(f"{name:<{len(max(FILES, key=len))}}  {text}\n" for name, text in FILES.items()), end="")
    elif file not in FILES:
        raise WrongArguments(f"there is no file {file!r}; it is one of {', '.join(FILES)}")
    elif file == "discovery.service":
        unit()
    else:
        print((FOLDER / file).read_text(encoding="utf-8"), end="")


def unit() -> None:
    prefix = Path(sys.prefix)
    print(filled_in((FOLDER / "discovery.service").read_text(encoding="utf-8"), prefix), end="")
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
