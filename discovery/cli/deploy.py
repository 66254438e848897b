"""`discovery deploy`: the files of `discovery/deploy`, which come with the package: a list of them, or one to write somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import discovery
from discovery.cli.errors import WrongArguments
from discovery.cli.unit import unit

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
}


def deploy(file: Annotated[str | None, Parameter(help="what to print; without it, a list")] = None, /) -> None:
    if file is None:
        print("".join(f"{name:<{len(max(FILES, key=len))}}  {text}\n" for name, text in FILES.items()), end="")
    elif file not in FILES:
        raise WrongArguments(f"there is no file {file!r}; it is one of {', '.join(FILES)}")
    elif file == "discovery.service":
        unit()
    else:
        print((FOLDER / file).read_text(encoding="utf-8"), end="")
