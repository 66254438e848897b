"""The commands for containers of docs/operations.md, as they stand there: the Dockerfile built, what comes of it run without powers,
asked, found healthy and not, stopped, started, backed up and restored, exchanged for a new one.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from discovery.cli.deploy import FOLDER
from tests.programs import program
from tests.stories.container.podman import Podman, podman
from tests.stories.process import LIMIT, until

PAGE = (FOLDER.parent / "docs" / "operations.md").read_text().replace("\\\n", " ")
BUILD, RUN, LIST, BACK_UP, COPY, STOP, RESTORE, START = re.findall(r"^docker (.*)$", PAGE, re.M)
SERVICE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["registry"]


class Registry:
    """The page's container. `docker(LINE)`: a line of the page, without its `docker`."""

    def __init__(self, engine: Podman) -> None:
        self.engine = engine

    def docker(self, line: str) -> str:
        return self.engine(*shlex.split(line)).stdout

    @property
    def state(self) -> dict[str, Any]:
        [container] = json.loads(self.docker("inspect registry"))
        found: dict[str, Any] = container["State"]
        return found

    def wait_until_it_answers(self) -> None:
        """Asked from outside, which costs less than its health check."""
        command = [*self.engine.prefix, program("curl"), "-sf", "http://127.0.0.1:3100/health"]
        until(lambda: subprocess.run(command, capture_output=True, timeout=LIMIT).returncode == 0)

    def is_healthy(self) -> bool:
        return self.engine("healthcheck", "run", "registry", check=False).returncode == 0

    def register(self, name: str, ip: str) -> None:
        [secret] = re.findall(r"API_TOKEN=(\S+)", RUN)
        head = ["-H", f"Authorization: Bearer {secret}", "-H", "Content-Type: application/json"]
        body = json.dumps({"name": name, "ip": ip, "port": 3001, "ttl": 600})
        self.engine.inside(program("curl"), "-sSf", *head, "-d", body, "http://127.0.0.1:3100/register")

    def addresses(self, name: str, *options: str) -> list[str]:
        where = ["@127.0.0.1", "-p", "8600", "+short", *options]
        return self.engine.inside(program("dig"), *where, f"{name}.svc.local").split()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with podman(tmp_path_factory.mktemp("podman")) as engine:
        engine(*shlex.split(BUILD))
        yield Registry(engine)


def test_a_container_s_life(registry: Registry, tmp_path: Path) -> None:
    registry.docker(RUN)
    registry.wait_until_it_answers()
    assert registry.is_healthy()
    registry.register("web", "10.0.0.1")
    assert registry.addresses("web") == registry.addresses("web", "+tcp") == ["10.0.0.1"]
    assert "web" in registry.docker(LIST)
    it_has_no_powers(registry)
    its_health_check_can_fail(registry)

    registry.docker(BACK_UP)
    registry.docker(COPY.replace("discovery.db", str(tmp_path / "discovery.db")))
    assert (tmp_path / "discovery.db").read_bytes().startswith(b"SQLite format 3")
    registry.register("api", "10.0.0.2")
    registry.docker(STOP)
    assert registry.state["ExitCode"] == 0
    assert not registry.is_healthy()
    registry.docker(START)
    registry.wait_until_it_answers()
    assert registry.addresses("web") + registry.addresses("api") == ["10.0.0.1", "10.0.0.2"]

    registry.docker(STOP)
    assert "1 instances" in registry.docker(RESTORE)
    registry.docker(START)
    registry.wait_until_it_answers()
    assert registry.addresses("web") + registry.addresses("api") == ["10.0.0.1"]
    log = registry.engine("logs", "registry")
    assert "stopping" in log.stderr
    assert "Traceback" not in log.stdout + log.stderr

    # A new version is a new container with the same volume.
    [remove] = re.findall(r"`docker (rm [^`]*)`", PAGE)
    registry.docker(remove)
    registry.docker(RUN)
    registry.wait_until_it_answers()
    assert registry.addresses("web") == ["10.0.0.1"]


def it_has_no_powers(registry: Registry) -> None:
    status = Path(f"/proc/{registry.state['Pid']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["10001"] * 4
    assert (int(fields["CapBnd"], 16), fields["NoNewPrivs"]) == (0, "1")
    for place in ("/opt/discovery/new", "/new", "/run/new"):
        done = registry.engine("exec", "registry", "python", "-c", f"open({place!r}, 'w')", check=False)
        assert "Read-only file system" in done.stderr, place


def its_health_check_can_fail(registry: Registry) -> None:
    """With a port at which nothing answers."""
    [image] = json.loads(registry.docker("image inspect discovery"))
    kind, *command = image["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert registry.engine("exec", "--env=PORT=9", "registry", *command, check=False).returncode == 1


def test_its_bill_of_materials_has_debian_s_packages_and_python_s(registry: Registry) -> None:
    [line] = re.findall(r"`docker (run [^`]*sbom[^`]*)`", PAGE)
    bill = json.loads(registry.docker(line))
    assert bill["metadata"]["component"]["name"] == "discovery-server"
    urls = [each.get("purl", "").partition("&distro")[0] for each in bill["components"]]
    assert [url for url in urls if url.startswith("pkg:deb")] == ["pkg:deb/debian/login@1:4.16?arch=amd64"]
    assert any(url.startswith("pkg:pypi/dnslib@") for url in urls)


def test_without_a_token_it_does_not_start_and_says_what_to_set(registry: Registry) -> None:
    done = registry.engine("run", "--rm", "discovery", check=False)
    assert done.returncode == 2
    assert "API_TOKEN" in done.stderr


def test_compose_runs_it_as_the_page_does() -> None:
    words = shlex.split(RUN)
    given = {name: [after for word, after in itertools.pairwise(words) if word == name] for name in words}
    assert words[-1] == SERVICE["image"].removesuffix(":latest")
    assert [text.partition("=")[0] for text in given["-e"]] == list(SERVICE["environment"])
    assert given["-v"] == SERVICE["volumes"]
    assert [text.removesuffix("/tcp") for text in given["-p"]] == [
        text.removesuffix("/tcp") for text in SERVICE["ports"]
    ]
    assert given["--restart"] == [SERVICE["restart"]]
    assert given["--cap-drop"] == SERVICE["cap_drop"]
    assert given["--security-opt"] == [each.removesuffix(":true") for each in SERVICE["security_opt"]]
    assert ("--read-only" in words) is SERVICE["read_only"] is True
