"""`discovery completion`: each script is taken by its shell, and bash's completes."""

from __future__ import annotations

import subprocess
from functools import cache

import pytest

from discovery.cli.commands import COMMANDS
from tests.cli.live import discovery
from tests.programs import program


@cache
def script_of(shell: str) -> str:
    done = discovery("completion", shell)
    assert (done.status, done.err) == (0, "")
    return done.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_knows_every_command(shell: str) -> None:
    script = script_of(shell)
    assert all(command.name in script for commands in COMMANDS.values() for command in commands)
    checked = subprocess.run([program(shell), "-n"], input=script, capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in ("discovery", *words))
    ask = f'COMP_WORDS=({line}); COMP_CWORD={len(words)}; _discovery; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        [program("bash"), "--norc", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices() -> None:
    script = script_of("bash")
    assert completed(script, "ser") == ["serve"]
    assert completed(script, "token", "rev") == ["revoke"]
    assert completed(script, "serve", "--dns") == ["--dns-port"]
    assert completed(script, "completion", "z") == ["zsh"]


def test_a_shell_that_is_none_of_them_ends_it_with_2() -> None:
    done = discovery("completion", "tcsh")
    assert (done.status, "tcsh" in done.err) == (2, True)
