"""The screens that there are, with the shop on them: for axe, and for pictures (`screenshots`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playwright.sync_api import Page, expect

from tests.stories.dashboard.demo import OPERATOR, Shop
from tests.stories.dashboard.visits import Visits


class Screen(NamedTuple):
    """`query`: an instance's id stands there as {service-number}. `shows`: what is there when it is whole.

    `steps`: what is done then, such as opening a dialog.
    """

    name: str
    query: str
    shows: str
    steps: Callable[[Page], None] | None = None


def _drain(page: Page) -> None:
    page.get_by_role("button", name="Drain").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _maintain(page: Page) -> None:
    page.get_by_role("button", name="Maintenance").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _token(page: Page) -> None:
    page.get_by_role("banner").get_by_role("button", name="Token").click()
    expect(page.get_by_role("dialog")).to_be_visible()


SCREENS = [
    Screen("services", "", "image-resizer"),
    Screen("services-found", "q=eu-1a&status=healthy", "gateway"),
    Screen("service", "view=service&service=catalog", "silent"),
    Screen("service-checkout", "view=service&service=checkout", "draining"),
    Screen("hosts", "view=hosts", "10.20."),
    Screen("host", "view=hosts&ip=10.20.2.13", "kafka"),
    Screen("instance", "view=service&service=catalog&instance={catalog-2}", "suspect"),
    Screen("feed", "view=feed", "events, the newest first"),
    Screen("gone", "view=gone", "mailer"),
    Screen("dns", "view=dns&name=checkout.svc.local&type=SRV", "NOERROR"),
    Screen("maintenance", "view=maintenance", "OPS-2231"),
    Screen("load", "view=load", ""),
    Screen("nodes", "view=nodes", ""),
    Screen("zones", "view=zones", "eu-1a"),
    Screen("access", "view=access", "prometheus"),
    Screen("drain", "view=service&service=checkout&instance={checkout-0}", "its lease runs", _drain),
    Screen("maintain", "view=service&service=checkout&instance={checkout-0}", "its lease runs", _maintain),
    Screen("token", "", "gateway", _token),
]


def show(visits: Visits, it: Shop, screen: Screen, size: tuple[int, int], motion: bool = True) -> Page:
    ids = {f"{service}-{number}": id for (service, number), id in it.ids.items()}
    page = visits(it.server, screen.query.format_map(ids), size=size, motion=motion, token=OPERATOR)
    settle(page, screen)
    return page


def settle(page: Page, screen: Screen) -> None:
    """It has its data, and nothing is on its way any more."""
    expect(page.get_by_role("banner")).to_contain_text("Live")
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(screen.shows)
    if screen.steps:
        screen.steps(page)
