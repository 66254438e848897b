"""`discovery audit`: lines for people and for programs, which of them, and what it says when something is amiss."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from discovery import cli
from discovery.cli.audit import MAX_VALUE
from discovery.plugins.audit.line import octets_of
from tests.stories.process import ROOT, environment

ID = "f4dbbc16"
NEW = {
    "name": "web",
    "status": "healthy",
    "draining": False,
    "registeredAt": "2026-01-31T12:00:00.000Z",
    "metadata": {},
}
NASTY = "\x1b[2J\x07\x7f\x9b31m\r\n\u2028\u202e"


def line(**fields: Any) -> dict[str, Any]:
    return {
        "time": "2026-01-31T12:00:00.000Z",
        "by": {"name": "ci", "address": "10.0.0.9"},
        "action": "register",
        "service": "web",
        "instance": {"id": ID, "ip": "10.0.0.1", "port": 80},
        "outcome": "done",
        "index": 17,
        "before": None,
        "after": None,
        **fields,
    }


class Log:
    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def write(self, *lines: dict[str, Any]) -> None:
        self.path.write_bytes(b"".join(map(octets_of, lines)))

    def shown(self, *arguments: str) -> list[str]:
        """Its output; it must end with 0 and nothing to say on standard error."""
        assert cli.main(["audit", "--file", str(self.path), *arguments]) == 0
        captured = self._capsys.readouterr()
        assert captured.err == ""
        return captured.out.splitlines()


@pytest.fixture
def log(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDIT_FILE", raising=False)
    return Log(tmp_path / "audit.jsonl", capsys)


HEAD = f"2026-01-31T12:00:00.000Z ci at 10.0.0.9 register web 10.0.0.1:80 [id {ID}]"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        pytest.param({"after": NEW}, f"{HEAD}: new", id="a new one"),
        pytest.param(
            {"after": NEW | {"metadata": {"version": "1"}, "tags": ["blue"], "weight": 5}},
            f'{HEAD}: new, metadata.version 1, tags ["blue"], weight 5',
            id="one with contents",
        ),
        pytest.param(
            {
                "before": NEW | {"metadata": {"a": "1", "b": "1"}, "weight": 5},
                "after": NEW | {"metadata": {"b": "2", "c": True}, "zone": "eu"},
            },
            f"{HEAD}: metadata.a 1 → –, metadata.b 1 → 2, weight 5 → –, metadata.c – → true, zone – → eu",
            id="another",
        ),
        pytest.param(
            {"before": NEW, "after": NEW | {"status": "draining", "draining": True}},
            f"{HEAD}: status healthy → draining, draining false → true",
            id="a drain",
        ),
        pytest.param({"before": NEW | {"status": "unhealthy"}}, f"{HEAD}: gone, status unhealthy", id="a removal"),
        pytest.param(
            {"outcome": "ServiceFull", "error": "Service web has 10, no more"},
            f"{HEAD}: ServiceFull: Service web has 10, no more",
            id="refused",
        ),
        pytest.param(
            {"after": NEW, "evicted": [{"id": "x", "ip": "10.0.0.2", "port": 80}]},
            f'{HEAD}: new, evicted [{{"id":"x","ip":"10.0.0.2","port":80}}]',
            id="one made way",
        ),
        pytest.param(
            {"instance": {"ip": "2001:db8::1", "port": 80}, "by": {"name": "", "address": "::1"}, "after": NEW},
            "2026-01-31T12:00:00.000Z ::1 register web [2001:db8::1]:80: new",
            id="IPv6, without a token",
        ),
        pytest.param(
            {"by": {"name": "the server", "address": ""}, "action": "deregister-service", "instance": None,
             "before": {"instances": 250, "listed": [NEW] * 100, "more": 150}},
            "2026-01-31T12:00:00.000Z the server deregister-service web: gone, instances 250",
            id="a service",
        ),
        pytest.param(
            {"action": "maintain", "instance": None, "after": {"reason": "disk swap", "until": "2026-01-31T13:00:00.000Z"},
             "affected": {"instances": 2, "listed": [], "more": 0}},
            "2026-01-31T12:00:00.000Z ci at 10.0.0.9 maintain web: "
            'new, reason "disk swap", until 2026-01-31T13:00:00.000Z, instances affected: 2',
            id="a window",
        ),
    ],
)  # fmt: skip
def test_a_line_tells_who_what_and_the_difference(log: Log, fields: dict[str, Any], shown: str) -> None:
    log.write(line(**fields))
    assert log.shown() == [shown]


def test_lines_that_were_lost_are_told(log: Log) -> None:
    by = {"name": "the server", "address": ""}
    log.write({"time": "2026-01-31T12:00:00.000Z", "by": by, "action": "lost", "lines": 5})
    assert log.shown() == ["2026-01-31T12:00:00.000Z the server lost: 5 lines are missing here"]


def test_long_values_are_cut_and_no_value_looks_like_two(log: Log) -> None:
    log.write(line(after=NEW | {"metadata": {"long": "x" * 5000, "a, zone": "1, weight 5 → 9"}}))
    assert log.shown() == [f'{HEAD}: new, metadata.long {"x" * MAX_VALUE}…, metadata."a, zone" "1, weight 5 → 9"']


def nasty_everywhere() -> dict[str, Any]:
    """As no server writes it, and as somebody who can write to the file may."""
    return line(
        time=NASTY, action=NASTY, service=NASTY, outcome=NASTY, error=NASTY, by={"name": NASTY, "address": NASTY},
        instance={"id": NASTY, "ip": NASTY, "port": NASTY}, before={NASTY: NASTY}, after={"metadata": {NASTY: {NASTY: NASTY}}},
        evicted=NASTY, affected={"instances": NASTY}, lines=NASTY,
    )  # fmt: skip


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["for people", "as JSON"])
def test_nothing_in_it_moves_a_cursor(log: Log, form: tuple[str, ...]) -> None:
    log.path.write_bytes(orjson.dumps(nasty_everywhere()).replace(b"{", b"{\r\t", 1) + b"\n")
    (shown,) = log.shown(*form)
    assert shown.isprintable()
    if form:
        assert orjson.loads(shown) == nasty_everywhere()


def test_what_is_chosen_is_what_all_conditions_leave(log: Log) -> None:
    who = {"ci": "10.0.0.9", "zoe": "10.0.0.7", "": "10.0.0.9"}
    named = [("web", "ci"), ("API", ""), ("api", "zoe"), ("web", "zoe"), ("api", "ci")]
    lines = [
        line(
            index=index,
            service=service,
            by={"name": name, "address": who[name]},
            time=f"2026-01-31T12:00:0{index}.000Z",
        )
        for index, (service, name) in enumerate(named)
    ]
    log.write(*lines)

    def chosen(*arguments: str) -> list[int]:
        return [orjson.loads(shown)["index"] for shown in log.shown("--json", *arguments)]

    assert chosen() == [0, 1, 2, 3, 4]
    assert chosen("--service", "Api") == [1, 2, 4]
    assert chosen("--by", "ci") == [0, 4]
    assert chosen("--by", "10.0.0.9") == [0, 1, 4]
    assert chosen("--by", "10.0.0") == []
    assert chosen("--since", "2026-01-31T12:00:02Z") == [2, 3, 4]
    assert chosen("--since", "2026-01-31T12:00:02.001") == [3, 4]
    assert chosen("--since", "2026-01-31T14:00:03+02:00") == [3, 4]
    assert chosen("--since", "2026-02-01") == []
    assert chosen("-n", "2") == [3, 4]
    assert chosen("-n", "0") == []
    assert chosen("--service", "api", "--by", "zoe", "--since", "2026-01-31", "-n", "9") == [2]


def test_broken_lines_are_counted_at_the_end(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.path.write_bytes(octets_of(line(index=1)) + b"broken\n" + octets_of(line(index=2)))
    for more, said in ((b"", "1 line is broken"), (octets_of(line())[:-9], "2 lines are broken")):
        with log.path.open("ab") as file:
            file.write(more)
        assert cli.main(["audit", "--file", str(log.path), "--json"]) == 0
        captured = capsys.readouterr()
        assert [orjson.loads(shown)["index"] for shown in captured.out.splitlines()] == [1, 2]
        assert said in captured.err


def test_without_a_file_it_ends_with_1_and_without_a_setting_with_2(
    log: Log, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["audit"]) == 2
    assert "AUDIT_FILE: is not set" in capsys.readouterr().err
    monkeypatch.setenv("AUDIT_FILE", "missing.jsonl")
    assert cli.main(["audit"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "discovery: missing.jsonl cannot be read: there is no such file; AUDIT_FILE or --file names the file that the server writes\n"
    )
    monkeypatch.setenv("AUDIT_FILE", log.path.name)
    log.write(line(after=NEW))
    assert cli.main(["audit"]) == 0
    assert capsys.readouterr().out == f"{HEAD}: new\n"


@pytest.mark.parametrize("wrong", [("--since", "yesterday"), ("-n", "-1"), ("-n", "x"), ("-n", "9" * 20), ("more",)])
def test_wrong_arguments_end_it_with_2(log: Log, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...]) -> None:
    assert cli.main(["audit", "--file", str(log.path), *wrong]) == 2
    assert wrong[-1] in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_pipe_that_closes_early_and_a_terminal_that_knows_little_are_no_errors(log: Log, encoding: str) -> None:
    log.write(*[line(after=NEW | {"metadata": {"text": "é →"}})] * 20_000)
    with subprocess.Popen(
        [sys.executable, "-m", "discovery", "audit", "--file", str(log.path)],
        cwd=ROOT, env=environment(PYTHONIOENCODING=encoding), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(HEAD.encode())
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 0)
