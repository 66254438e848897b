"""Commands that have commands below them: `discovery token new`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from discovery.cli.errors import WrongArguments


def group(name: str) -> App:
    """Alone it does nothing: it says so, with the status of wrong arguments."""
    app = App(name=name)

    @app.default
    def alone(*given: Annotated[str, Parameter(show=False)]) -> None:
        below = ", ".join(each for each in app if not each.startswith("-"))
        wrong = f"there is no {given[0]!r}, there are" if given else "which one? There are"
        raise WrongArguments(f"{name}: {wrong} {below}; see discovery {name} --help")

    return app
