"""`discovery completion`: the completion script of bash, zsh or fish, for the shell to read at its start."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="whose script")], /) -> None:
    from discovery.cli import application

    print(application().generate_completion(shell=shell), end="")
