"""What is shown of DNS is what dig prints; and no screen shows a secret."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.programs import program
from tests.stories.dashboard.visits import Visits
from tests.stories.process import LIMIT, Discovery, running

SECRET = "a-secret-of-the-operating-story"  # noqa: S105


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    folder = tmp_path_factory.mktemp("operating")
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    (folder / "tokens.toml").write_text(
        f'[[token]]\nname = "operator"\nsha256 = "{digest}"\nadmin = true\n\n'
        f'[[token]]\nname = "deploy"\nsha256 = "{"0" * 64}"\nregister = ["web-*"]\nexpires = 2020-01-01T00:00:00Z\n'
    )
    with running(
        TOKENS_FILE=str(folder / "tokens.toml"), AUDIT_FILE=str(folder / "audit.jsonl"), DATA_DIR=str(folder / "data"),
        HEARTBEAT_TIMEOUT_SECONDS=600,
    ) as discovery:  # fmt: skip
        discovery.token = SECRET
        yield discovery


def sections(text: str) -> list[str]:
    """The records that dig printed, blanks folded, without their TTLs, which count down."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith(";")]
    return sorted(" ".join([fields[0], *fields[2:]]) for fields in lines)


@pytest.mark.parametrize("rtype", ["SRV", "TXT"])
def test_dns_is_shown_with_the_records_that_dig_prints(visit: Visits, server: Discovery, rtype: str) -> None:
    for number in (1, 2):
        server.register("web", f"10.0.0.{number}", 8080, metadata={"version": "1"})
    page = visit(server, f"view=dns&name=web.svc.local&type={rtype}")
    answer = page.get_by_role("main").locator("pre").filter(has_text="ANSWER SECTION")
    expect(answer).to_be_visible()
    command = [program("dig"), "@127.0.0.1", "-p", str(server.dns_port), "web.svc.local", rtype]
    dug = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    assert sections(answer.inner_text()) == sections(dug)
    lines = page.get_by_role("main").locator("pre").filter(has_text="dig @").all_inner_texts()
    done = subprocess.run(lines[0], shell=True, capture_output=True, text=True, timeout=LIMIT, check=True)  # noqa: S602
    assert sections(done.stdout) == sections(dug), "the line to copy asks the same"


def test_a_secret_is_in_no_screen(visit: Visits, server: Discovery) -> None:
    server.register("web", "10.0.0.1", 8080)
    page = visit(server, "view=access", token=SECRET)
    expect(page.get_by_role("main")).to_contain_text("web")
    assert SECRET not in page.content()
