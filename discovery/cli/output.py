"""How every command shows what it has: tables for people, plain text off a terminal, JSON, YAML and names for programs.

Names, metadata and reasons come from strangers. Whatever leaves here has no control and no bidi characters, and rich gets its texts as
Text or with its markup off: `[red]` in a name is text.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TextIO

from cyclopts import Parameter

from discovery.cli.logs import escaped

if TYPE_CHECKING:  # it costs 40 ms, which commands that draw nothing need not pay
    from rich.console import Console, RenderableType
    from rich.table import Table

Format = Annotated[
    Literal["table", "wide", "json", "yaml", "name"],
    Parameter(name=("--output", "-o"), help="table (default), wide, json, yaml or name"),
]
Row = Mapping[str, Any]

# What JSON text may hold and a terminal may take as an order.
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

STYLES = {
    "healthy": "green",
    "unhealthy": "red",
    "failing": "red",
    "suspect": "yellow",
    "flapping": "yellow",
    "draining": "cyan",
    "maintenance": "cyan",
}


# Characters of a column that may fold: narrower is unreadable. A time folds between its date and the rest, 13 characters.
_LEAST_FOLDED = 13
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9:.]+Z)")


class Column(NamedTuple):
    """`key`: its heading, in capitals. It shows what a row has under that key, or what comes `of` the row. `wide`: only with -o wide.
    `fold`: may break over lines where there is little room.
    """

    key: str
    of: Callable[[Any], Any] | None = None
    wide: bool = False
    fold: bool = False
    right: bool = False

    @property
    def heading(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.key).upper()

    def text(self, row: Row) -> str:
        return cell(row.get(self.key) if self.of is None else self.of(row))


def put_rows(
    rows: Sequence[Row],
    columns: Sequence[Column],
    output: str,
    *,
    name: str,
    whole: Any = None,
    empty: str = "",
) -> None:
    """`name`: the column that -o name prints, or another key. `whole`: what JSON and YAML show instead of the rows. `empty`: said where
    there are none.
    """
    if output in ("json", "yaml"):
        put_data(rows if whole is None else whole, output)
    elif output == "name":
        column = next((each for each in columns if each.key == name), Column(name))
        for row in rows:
            print(column.text(row))
    elif not rows:
        say(empty)
    else:
        put_table(rows, [column for column in columns if output == "wide" or not column.wide])


def put_done(instances: Sequence[Row], lines: Iterable[str], output: str, *, whole: Any) -> None:
    """What was done to instances, a line each; `whole`: what JSON and YAML show."""
    if output in ("table", "wide"):
        for line in lines:
            put_line(line)
    else:
        put_rows(instances, (), output, name="id", whole=whole)


def put_data(data: Any, output: str) -> None:
    print(as_json(data) if output == "json" else as_yaml(data), end="")


def as_json(data: Any, indent: int | None = 2) -> str:
    return harmless_json(json.dumps(data, indent=indent, ensure_ascii=False)) + "\n"


def harmless_json(text: str) -> str:
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def as_yaml(data: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(json.loads(json.dumps(data)), sort_keys=False, allow_unicode=False, width=118)
    return text


def put_table(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """On a terminal that is too narrow, lines run over rather than lose an address that somebody needs."""
    if sys.stdout.isatty():
        screen = console()
        screen.width = max(screen.width, _least_width(rows, columns))
        screen.print(table(rows, columns))
    else:
        for line in plain_table(rows, columns):
            print(line)


def _least_width(rows: Sequence[Row], columns: Sequence[Column]) -> int:
    return sum(_least(rows, column) for column in columns) + 2 * (len(columns) - 1)


def _least(rows: Sequence[Row], column: Column) -> int:
    widest = max((len(column.text(row)) for row in rows), default=0)
    return max(len(column.heading), min(widest, _LEAST_FOLDED) if column.fold else widest)


def plain_table(rows: Iterable[Row], columns: Sequence[Column]) -> list[str]:
    """Lines as wide as they have to be, two blanks between columns: for grep, awk and files."""
    cells = [[column.heading for column in columns]]
    cells += [[column.text(row) for column in columns] for row in rows]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    return [
        "  ".join(
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in cells
    ]


def table(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(
            column.heading,
            justify="right" if column.right else "left",
            overflow="fold" if column.fold else "ellipsis",
            no_wrap=not column.fold,
            min_width=_least(rows, column) if column.fold else None,
        )
    for row in rows:
        texts = [_foldable(column.text(row)) if column.fold else column.text(row) for column in columns]
        made.add_row(*(Text(text, STYLES.get(text, "")) for text in texts))
    return made


def _foldable(text: str) -> str:
    """A time breaks at a blank, not in the middle of its digits."""
    return _TIME.sub(r"\1 \2", text) if _TIME.fullmatch(text) else text


def cell(value: Any) -> str:
    """One line of text for a value of JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return escaped(",".join(f"{key}={cell(inner)}" for key, inner in value.items()))
    if isinstance(value, (list, tuple)):
        return ",".join(map(cell, value))
    return json.dumps(value)


def put_line(text: str) -> None:
    """A sentence of what was done."""
    print(escaped(text))


def say(text: str) -> None:
    """A message, on standard error: standard output is for what was asked for."""
    if text:
        print(escaped(text), file=sys.stderr)


def console(stream: TextIO | None = None) -> Console:
    """Standard output's. No markup, no emoji, no guessed colours in any text."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=False)


def put_record(record: Row, output: str, *, name: str) -> None:
    """One thing with everything known of it: a line each."""
    if output in ("table", "wide"):
        put_rows([{"field": key, "value": value} for key, value in record.items()], _RECORD, output, name="field")
    else:
        put_rows([record], (), output, name=name, whole=record)


_RECORD = (Column("field"), Column("value", fold=True))


# -- screens and bars that move while a command runs: only on a terminal, elsewhere commands print once and wait in silence

# The bar moves as often.
_STEP_SECONDS = 0.1


def on_a_terminal(output: str) -> bool:
    return output in ("table", "wide") and sys.stdout.isatty()


async def show(draw: Callable[[int, int], Awaitable[RenderableType]], changed: asyncio.Event, every: float) -> None:
    """Until it is cancelled. `draw` gets the width and height of the screen; it is asked at once, then `every` seconds and when
    `changed` is set, once in half a second at the most."""
    from rich.live import Live

    screen = console()
    with Live(console=screen, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        while True:
            changed.clear()
            live.update(await draw(screen.width, screen.height), refresh=True)
            await asyncio.sleep(0.5)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), max(0.0, every - 0.5))


def sleep(text: str, seconds: float) -> None:
    """With a bar on standard error that says `text`, and is gone at the end."""
    if not sys.stderr.isatty():
        time.sleep(seconds)
        return
    from rich.progress import track

    steps = math.ceil(seconds / _STEP_SECONDS)
    for _ in track(range(steps), text, console=console(sys.stderr), transient=True):
        time.sleep(seconds / steps)
