"""Each code has its entry in Troubleshooting; and what of the host, the tokens, the certificate and the disk brings a warning about."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

import discovery
from discovery.app import Server
from discovery.cli.logs import fields_of
from discovery.core.caller import Caller, Grants
from discovery.core.errors import Forbidden, Unauthorized
from discovery.core.warning import Concern, Lately
from discovery.plugins import Seams
from discovery.plugins.audit import line
from discovery.plugins.auth import Auth
from discovery.plugins.auth.attempts import EVERY, KEPT, MANY, MAX_LINES, ShowToken, WrongTokens
from discovery.plugins.auth.settings import EXAMPLES
from discovery.plugins.auth.tokens import Token, digest
from discovery.system import background_writer
from discovery.system.background_writer import BackgroundWriter, WriteRefused
from discovery.system.surroundings import ClockSteps, slips
from discovery.system.tls import Tls
from tests.plugins.started import settings
from tests.plugins.transfer.primary import FILE
from tests.stories.standards.secure import make_certificate

PACKAGE = Path(discovery.__file__).parent
WALL = 1_800_000_000.0


def of_code(concerns: Iterable[Concern], code: str) -> list[str]:
    [found] = [each for each in concerns if each.code == code]
    return list(found.check().values())


@pytest.mark.parametrize("engine", ["", "etcd://127.0.0.1:1"])
async def test_each_code_has_its_entry_in_troubleshooting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    (tmp_path / "zones").mkdir()
    (tmp_path / "keys.conf").write_text(FILE)
    (tmp_path / "tokens.toml").write_text("# none yet\n")
    (tmp_path / "client-zones").write_text("10.1.0.0/16=eu-a  # the first\n\n")
    cert, key = make_certificate(tmp_path)
    for name, value in {
        "DATA_DIR": tmp_path / "data", "AUDIT_FILE": tmp_path / "audit", "TOKENS_FILE": tmp_path / "tokens.toml", "FORWARD_TO": "192.0.2.1",
        "TRANSFER_ALLOW": "10.0.0.0/8",
        "TRANSFER_KEYS_FILE": tmp_path / "keys.conf", "API_TOKEN": "x" * 16, "TLS_CERT": cert, "TLS_KEY": key, "ENGINE_URL": engine,
        "CONSUL": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    codes = {
        each.code
        for each in Server(
            settings(
                tmp_path / "zones",
                client_zones=str(tmp_path / "client-zones"),
                tls_cert=cert,
                tls_key=key,
                engine_url=engine,
            )
        )._seams.concerns
    }
    page = (PACKAGE / "docs" / "troubleshooting.md").read_text()
    entries = set(re.findall(r"^### ([a-z_]+)$", page, re.M))
    assert codes <= entries
    ours_alone = {
        "journal_failing",
        "node_cut_off",
        "node_silent",
        "keys_unreadable",
        "settings_differ",
        "zones_differ",
    }
    assert entries - codes <= ours_alone, "an entry about a code that nobody has"


# -- the host


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DNS_POTR", "DNS_PORT"), ("PROT", "PORT"), ("DNS_PORTS", "DNS_PORT"), ("DATA_DRI", "DATA_DIR"), ("DNS_PORT", None),
        ("dns_potr", None), ("PATH", None), ("HOSTNAME", None), ("HOME", None), ("PWD", None),
        ("DOCKER_HOST", None), ("XDG_DATA_DIRS", None),
    ],
)  # fmt: skip
def test_a_variable_that_is_nearly_a_setting_is_a_slip(name: str, meant: str | None) -> None:
    assert slips([name], ["DNS_PORT", "PORT", "HOST", "DATA_DIR", "DNS_HOST"]) == (
        {} if meant is None else {name: meant}
    )


@pytest.mark.parametrize(("step", "said"), [(3600, "forward by 3600 s"), (-7, "back by 7 s"), (0.4, None)])
def test_a_clock_that_is_set_is_told_for_an_hour(step: float, said: str | None) -> None:
    running, wall = [100.0], [WALL]
    steps = ClockSteps(lambda: running[0], lambda: wall[0])

    def later(seconds: float, set_by: float = 0) -> str | None:
        running[0] += seconds
        wall[0] += seconds + set_by
        return steps.warning()

    assert later(1) is None
    assert (later(1, step) or "")[: len("the clock was set ") + len(said or "")] == (
        f"the clock was set {said}" if said else ""
    )
    assert (later(3000) is None) is (said is None)
    assert later(700) is None


def test_a_counter_that_has_grown_is_told_for_a_while() -> None:
    count = [3]
    lately = Lately(lambda: count[0])
    assert lately.at(0) == 0
    count[0] = 5
    assert (lately.at(1), lately.at(200)) == (2, 2)
    count[0] = 6
    assert (lately.at(250), lately.at(500)) == (3, 3)
    assert lately.at(551) == 0


# -- tokens


def auth(*tokens: Token, wall: float = WALL) -> tuple[Auth, list[Concern]]:
    made, seams = Auth(list(tokens), None, False, lambda: wall), Seams()
    made.install(seams)
    return made, list(seams.concerns)


def test_a_token_that_ends_within_a_week_is_named_and_no_other() -> None:
    def token(name: str, ends: float | None) -> Token:
        return Token(name, digest(name), Grants(), ends)

    _, concerns = auth(
        token("soon", WALL + 6 * 86400), token("later", WALL + 8 * 86400), token("never", None), token("over", WALL - 1)
    )
    [said] = of_code(concerns, "token_expires")
    assert said.startswith("the token soon expires at 2027-01-21T08:00:00Z")
    assert of_code(concerns, "token_expired") == []


def test_one_that_has_ended_is_warned_of_where_it_is_still_shown() -> None:
    made, concerns = auth(Token("ci", digest("s"), Grants(), WALL - 60))
    with pytest.raises(Unauthorized):
        made._token("Bearer s")
    [said] = of_code(concerns, "token_expired")
    assert said.startswith("the token ci expired at 2027-01-15T07:59:00Z and is still used")


def test_a_secret_of_our_pages_is_everybodys() -> None:
    _, concerns = auth(Token("API_TOKEN", digest(EXAMPLES[0]), Grants()))
    assert "everybody has it" in of_code(concerns, "example_token")[0]


def test_each_secret_that_our_pages_show_is_known_as_an_example() -> None:
    pages = [*PACKAGE.rglob("*.md"), *(PACKAGE / "deploy").iterdir(), PACKAGE.parent / "README.md"]
    shown = {
        secret
        for page in pages
        for secret in re.findall(r"\b(?:API|DISCOVERY)_TOKEN[=:] ?\"?([A-Za-z0-9-]{16,})", page.read_text())
    }
    assert shown <= set(EXAMPLES)


def told() -> tuple[WrongTokens, list[tuple[str, int, str]]]:
    lines: list[tuple[str, int, str]] = []
    return WrongTokens(lambda *line: lines.append(line)), lines


def test_wrong_tokens_are_a_line_at_once_then_one_a_minute_and_a_warning_from_many_on() -> None:
    wrong, lines = told()
    for number in range(MANY):
        assert wrong.warnings(number) == {}
        wrong.note("10.0.0.7", "unknown", number)
    assert lines == [("10.0.0.7", 1, "unknown")]
    assert list(wrong.warnings(EVERY - 1)) == ["10.0.0.7"]
    assert wrong.warnings(EVERY)["10.0.0.7"].startswith(
        "10 wrong tokens came from 10.0.0.7, the last 51 s ago: unknown."
    )
    assert lines == [("10.0.0.7", 1, "unknown"), ("10.0.0.7", MANY - 1, "unknown")], (
        "the rest is told when the minute is over"
    )
    assert wrong.warnings(MANY + KEPT) == {}


def test_whoever_holds_a_large_network_fills_no_log() -> None:
    wrong, lines = told()
    for number in range(3000):
        wrong.note(f"10.0.{number >> 8}.{number & 255}", "unknown", number / 1000)
    assert len(lines) == MAX_LINES
    assert len({str(each) for each in wrong.warnings(10)}) == 0


def test_tokens_that_are_unknown_or_lack_the_right_are_in_the_log_and_the_audit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused: list[bytes] = []
    seams = Seams()
    seams.refused.append(lambda write, by, error: refused.append(line.of_refused(write, by, error, 1, WALL)))
    made = Auth([Token("ci", digest("s"), Grants())], None, False, lambda: WALL)
    made.install(seams)
    with suppress(Forbidden):
        made._authorize("shop", Caller("10.0.0.7", "ci", token=digest("s")))
    assert [fields_of(each)["event"] for each in caplog.records] == ["token.wrong"]
    assert b'"action":"show-token"' in refused[0]
    assert b"10.0.0.7" in refused[0]
    assert ShowToken().lasts


# -- the certificate and the disk


def test_a_certificate_is_warned_of_from_two_weeks_before_its_end(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    tls = Tls(cert, key)
    for left, said in ((15 * 86400, None), (13 * 86400, "ends at"), (-1, "ended at")):
        found = of_code(tls.concerns(lambda left=left: tls.value.ends_at - left), "certificate_expires")  # type: ignore[misc]
        assert (said in found[0]) if said else not found


async def trouble(write: Callable[[object], None], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(background_writer, "SLOW_SECONDS", 0.05)
    writer = BackgroundWriter[int](
        "journal",
        Path("/data/registry.db"),
        write,
        lambda: None,
        "writes get 503",
        patience=60,
        max_items=9,
        max_octets=9,
    )
    assert writer.trouble() is None
    writer.put(1)
    async with asyncio.timeout(30):
        while (said := writer.trouble()) is None:  # noqa: ASYNC110  the condition is what it says
            await asyncio.sleep(0.01)
    return said


async def test_a_disk_that_is_full_or_slow_is_told_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(items: object) -> None:
        raise WriteRefused("No space left on device")

    assert (await trouble(full, monkeypatch)).startswith(
        "/data/registry.db cannot be written: No space left on device; writes get 503"
    )
    hangs = threading.Event()

    def slow(items: object) -> None:
        hangs.wait(60)

    assert "is behind: 1 changes wait" in await trouble(slow, monkeypatch)
    hangs.set()
