"""Pictures of every screen with the shop on it, on a large screen and on a phone, dark and light: to be looked at by a person.

python -m tests.stories.dashboard.screenshots FOLDER [screen…]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Error

from tests.stories.dashboard.chromium import chromium
from tests.stories.dashboard.demo import Shop, shop
from tests.stories.dashboard.screens import SCREENS, Screen, show
from tests.stories.dashboard.visits import DESKTOP, PHONE, Scheme, Tabs, Visits

SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def take(visits: Visits, it: Shop, screen: Screen, size: tuple[int, int], folder: Path) -> None:
    page = show(visits, it, screen, size)
    it.deploys("checkout", it.versions % 3)  # so that something is new on each
    page.wait_for_timeout(2500)  # ages tick, and what is asked for again and again has come once more
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=folder / f"{screen.name}-{size[0]}-{scheme}.png")
    page.context.close()


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, shop(Path(data)) as it, chromium() as browser:
        visits = Visits(Tabs(browser))
        for screen in SCREENS:
            for size in (DESKTOP, PHONE):
                if not names or screen.name in names:
                    try:
                        take(visits, it, screen, size, folder)
                    except (AssertionError, Error) as error:
                        print(f"{screen.name} at {size[0]}: {error}", file=sys.stderr)
        print("\n".join(visits.faults.found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
