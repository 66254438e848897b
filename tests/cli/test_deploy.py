"""`discovery deploy`: every file of discovery/deploy, as it lies there; the unit with its paths."""

from __future__ import annotations

import pytest

from discovery import cli
from discovery.cli.deploy import FILES, FOLDER


@pytest.mark.parametrize("name", [name for name in FILES if name != "discovery.service"])
def test_a_file_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy", name]) == 0
    assert capsys.readouterr().out == (FOLDER / name).read_text()


def test_the_unit_is_the_one_of_this_installation(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["unit"]) == 0
    unit = capsys.readouterr().out
    assert cli.main(["deploy", "discovery.service"]) == 0
    assert capsys.readouterr().out == unit


@pytest.mark.parametrize("name", ["nothing", "../settings.py", ""])
def test_another_name_is_a_wrong_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["deploy", name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "it is one of Dockerfile, " in said.err
