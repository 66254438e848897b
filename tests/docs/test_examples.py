"""The pages whose examples are run as they stand there, with bash, curl and dig."""

from __future__ import annotations

import re
from pathlib import Path

import discovery
from tests.docs.console import Bash, check
from tests.stories.process import ROOT, running, until

DOCS = Path(discovery.__file__).parent / "docs"
README = DOCS.parents[1] / "README.md"


def test_quickstart(tmp_path: Path) -> None:
    with running(DATA_DIR=str(tmp_path / "data")) as server:
        check(DOCS / "quickstart.md", Bash(server, tmp_path))


def test_troubleshooting(tmp_path: Path) -> None:
    """With the services that the page speaks of."""
    (tmp_path / "zones").symlink_to(ROOT / "zones")
    with running(CLEANUP_INTERVAL_SECONDS=600, DATA_DIR=str(tmp_path / "data")) as server:
        server.register("user-service", "127.0.0.1", 3001, ttl=600)
        server.register("user-service", "127.0.0.2", 3002, ttl=600)
        server.register("billing", "10.0.0.9", 4000, ttl=1)
        until(lambda: server.request("GET", "/resolve/billing").status == 404)
        check(DOCS / "troubleshooting.md", Bash(server, tmp_path))


def test_the_tour_of_the_readme_is_pasted_as_one_block(tmp_path: Path) -> None:
    tour, beats = re.findall(r"```bash\n(.*?)```", README.read_text().partition("## A tour")[2], re.S)
    with running() as server:
        bash = Bash(server, tmp_path)
        said = bash(tour.replace(".venv/bin/", "")).splitlines()
        [listed] = [line for line in said if line.startswith('{"serviceName"')]
        assert '"instanceCount":2' in listed
        addresses, ports, tagged = said[3:5], said[5:7], said[7:9]
        assert sorted(addresses) == sorted(tagged) == ["127.0.0.1", "127.0.0.2"]
        assert {line.split()[2] for line in ports} == {"3001", "3002"}
        assert "did you mean user-service?" in said[9]
        assert said[10].startswith("draining user-service 127.0.0.1:3001")
        assert said[-2] == "127.0.0.2"
        assert said[-1].startswith("no longer draining")
        # A beat, and the same of an instance that is known: what the loop does until Ctrl-C.
        [beat] = re.findall(r"do (curl .*?); echo; sleep 3; done$", beats, re.M)
        assert [bash(f"{beat} -o /dev/null -w '%{{http_code}}'").strip() for _ in range(2)] == ["201", "200"]
