"""The tables of docs/settings.md, made from the classes of settings as `.env.example` is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from discovery.cli.knobs import Knob

START = "<!-- What follows is written by UPDATE_DOCS=1 pytest tests/docs/test_settings.py -->\n"


def tables(knobs: Iterable[Knob]) -> str:
    return "".join(
        f"\n{_title(home)}\n\n{''.join(_rows(each))}" for home, each in groupby(knobs, lambda knob: knob.home)
    )


def _title(home: str) -> str:
    if not home:
        return "## The server"
    kind, name = home.split()
    return f"## {kind.capitalize()} [`{name}`](../{kind}s/{name}/README.md)"


def _rows(knobs: Iterable[Knob]) -> Iterator[str]:
    yield "| setting | default | |\n|---|---|---|\n"
    for knob in knobs:
        default = "" if knob.secret or knob.computed or not knob.default else f"`{knob.default.replace(',', ', ')}`"
        yield f"| `{knob.name}` | {default} | {_escaped(knob.text)} |\n"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*.", r"\*.")
