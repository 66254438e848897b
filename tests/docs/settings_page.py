"""The tables of docs/settings.md, made from the classes of settings as `.env.example` is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from discovery.cli.setting_list import Setting

START = "<!-- What follows is written by UPDATE_DOCS=1 pytest tests/docs/test_settings.py -->\n"


def tables(settings: Iterable[Setting]) -> str:
    return "".join(
        f"\n{_title(home)}\n\n{''.join(_rows(each))}" for home, each in groupby(settings, lambda setting: setting.home)
    )


def _title(home: str) -> str:
    if not home:
        return "## The server"
    kind, name = home.split()
    return f"## {kind.capitalize()} [`{name}`](../{kind}s/{name}/README.md)"


def _rows(settings: Iterable[Setting]) -> Iterator[str]:
    yield "| setting | default | |\n|---|---|---|\n"
    for setting in settings:
        default = (
            ""
            if setting.secret or setting.computed or not setting.default
            else f"`{setting.default.replace(',', ', ')}`"
        )
        yield f"| `{setting.name}` | {default} | {_escaped(setting.text)} |\n"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*.", r"\*.")
