"""`discovery settings`: every setting, its value, its default and where the value came from; `--example` prints `.env.example`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter

from discovery.cli.flags import Flags
from discovery.cli.output import Column, Format, put_rows
from discovery.cli.setting_list import Setting, defaults, in_force

_HEAD = """\
# Copy to .env. Each line shows a setting's default; the environment wins over this file.
# `discovery settings --example` writes it: the texts stand beside the settings in the code.
"""
_WIDTH = 118

_COLUMNS = (
    Column("setting"),
    Column("from"),
    # A default that was left as it is need not be read twice.
    Column("default", lambda row: "" if row["default"] == row["value"] else row["default"], fold=True),
    Column("value", fold=True),
    Column("description", fold=True, wide=True),
)


def settings(
    *,
    example: Annotated[bool, Parameter(help="print .env.example: every setting with its default")] = False,
    output: Format = "table",
    flags: Flags | None = None,
) -> None:
    if example:
        print(example_text(defaults()), end="")
        return
    rows = [_row(setting) for setting in in_force((flags or Flags()).put())]
    put_rows(rows, _COLUMNS, output, name="setting")


def _row(setting: Setting) -> dict[str, Any]:
    return {
        "setting": setting.name,
        "value": setting.value,
        "from": str(setting.source),
        "default": setting.default,
        "description": setting.text,
        "of": setting.home or "server",
    }


def example_text(settings: Iterable[Setting]) -> str:
    parts, home = [_HEAD], ""
    for setting in settings:
        if setting.home != home:
            home = setting.home
            kind, name = home.split()
            parts.append(f"# -- {kind.capitalize()} {name}: discovery/{kind}s/{name}/README.md\n")
        comment = textwrap.wrap(setting.text, _WIDTH, break_long_words=False, break_on_hyphens=False)
        value = "" if setting.secret or setting.computed else setting.default
        parts.append("".join(f"# {line}\n" for line in comment) + f"{setting.name}={value}\n")
    return "\n".join(parts)
