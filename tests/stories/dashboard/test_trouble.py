"""A bad night, 60 services of 400 instances: what must be on the screen at once at every size, and whole (`demo.night`)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.stories.dashboard.axe import faint, violations
from tests.stories.dashboard.demo import LARGE, NIGHT_REASON, OPERATOR, night
from tests.stories.dashboard.visits import DESKTOP, PHONE, TABLET, Visits, is_live
from tests.stories.process import Discovery

SIZES = {"1440": DESKTOP, "768": TABLET, "390": PHONE}
# In between is what a wide and a narrow screen do not show: rarely anything.
EACH_SIZE = [pytest.param(name, marks=[pytest.mark.with_all] if name == "768" else []) for name in SIZES]
OF_LARGE = f"view=service&service={LARGE}"

# What stands partly outside of a box that hides it, or is shortened with dots; and buttons and cells of one row that lie over each other.
_CUT = """() => {
    const found = [];
    const shown = element => element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length;
    const texts = "h1, h2, button, .status, .why, .reason, .why-line, .bar, .banner p, .banner li, .gone-lately, time";
    for (const element of document.querySelectorAll(`main :is(${texts})`)) {
        if (!shown(element)) continue;
        const box = element.getBoundingClientRect();
        for (let up = element; up.localName !== "main"; up = up.parentElement) {
            const style = getComputedStyle(up), around = up.getBoundingClientRect();
            if (["inline", "contents"].includes(style.display) || style.overflowX === "visible" && style.overflowY === "visible") continue;
            if (["auto", "scroll"].includes(style.overflowX)) break;
            if (up === element && up.localName !== "button" && up.scrollWidth > up.clientWidth + 1 || box.left < around.left - 1
                || box.right > around.right + 1 || box.bottom > around.bottom + 1) found.push(`${element.textContent} in ${up.className}`);
        }
    }
    for (const row of document.querySelectorAll("main [role=row]")) {
        const boxes = [...row.querySelectorAll("button, .status, time, .why, a")].filter(shown)
            .map(each => [each, each.getBoundingClientRect()]);
        for (const [one, a] of boxes) for (const [other, b] of boxes)
            if (!one.contains(other) && !other.contains(one) && one !== other && a.left < b.right - 1 && b.left < a.right - 1
                && a.top < b.bottom - 1 && b.top < a.bottom - 1) found.push(`${one.textContent} over ${other.textContent}`);
    }
    if (document.scrollingElement.scrollWidth > document.documentElement.clientWidth) found.push("the page is wider than the window");
    return found;
}"""


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    with night(tmp_path_factory.mktemp("night")) as server:
        yield server


def rows(page: Page) -> Locator:
    return page.get_by_role("table").first.locator(".body [role=row]")


def is_whole(page: Page) -> None:
    expect(page.get_by_role("main")).to_be_visible()
    cut = page.evaluate(_CUT)
    deadline = time.monotonic() + 60  # rows take the height that they need in the frame after they are drawn
    while cut and time.monotonic() < deadline:
        page.wait_for_timeout(100)
        cut = page.evaluate(_CUT)
    assert cut == []


def is_whole_at_every_size(page: Page) -> None:
    """It ends as narrow as a phone."""
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        is_whole(page)


@pytest.mark.parametrize("size", EACH_SIZE)
def test_the_worst_services_stand_first_and_nothing_of_them_is_cut_off(
    visit: Visits, troubled: Discovery, size: str
) -> None:
    page = visit(troubled, size=SIZES[size], token=OPERATOR, motion=False)
    is_live(page)
    for place in range(4):
        expect(rows(page).nth(place)).to_contain_text("0 of 6")
        expect(rows(page).nth(place)).to_contain_text("6 failing")
    expect(rows(page).nth(4)).to_contain_text(LARGE)
    expect(rows(page).nth(4)).to_contain_text("30 suspect")
    for status, number in (
        ("suspect", 30), ("failing", 24), ("unhealthy", 4), ("maintenance", 7), ("draining", 10), ("warning", 1), ("lapsed", 1),
    ):  # fmt: skip
        chip = page.get_by_role("button", name=f"{status} {number}")
        expect(chip).to_be_in_viewport(ratio=1)
    expect(rows(page).first).to_be_in_viewport(ratio=1)
    is_whole(page)
    gone = page.get_by_text("did not come back")
    expect(gone).to_contain_text("29 instances of 9 services went")
    expect(gone).to_be_in_viewport(ratio=1)
    assert violations(page) == ""
    page.emulate_media(color_scheme="dark")
    assert faint(page) == ""


def test_a_service_that_has_lost_some_is_not_wholly_green(visit: Visits, troubled: Discovery) -> None:
    """The silent ones of this server are listed for long, so it says here that some of them are not."""

    def say_so(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        body["goneLastHour"]["lost"]["removed"] = {"a-service-23": 70}
        route.fulfill(response=response, json=body)

    page = visit(troubled, "q=a-service-23", size=SIZES["390"], token=OPERATOR, motion=False)
    page.route("**/stats", say_so)
    first = rows(page).first
    expect(first).to_contain_text("70 gone")
    expect(first.get_by_role("img")).to_have_attribute("aria-label", "5 healthy, 1 draining, 70 gone")
    is_whole(page)
    first.get_by_role("link").click()
    expect(page.get_by_role("link", name="70 gone within the last hour")).to_be_visible()
    is_whole(page)
    page.unroute_all(behavior="wait")


@pytest.mark.parametrize("size", EACH_SIZE)
def test_the_worst_instances_stand_first_with_the_whole_reason_and_all_that_can_be_done(
    visit: Visits, troubled: Discovery, size: str
) -> None:
    page = visit(troubled, OF_LARGE, size=SIZES[size], token=OPERATOR, motion=False)
    is_live(page)
    expect(rows(page).first).to_contain_text("suspect")
    expect(rows(page).first).to_contain_text("it fell silent together with many others: the brake holds it")
    is_whole(page)
    page.get_by_role("searchbox").fill("maintenance")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(NIGHT_REASON)
    if size == "1440":
        for name in ("Drain", "End maintenance", "Deregister"):
            expect(rows(page).get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    is_whole(page)
    assert violations(page) == ""
    page.get_by_role("searchbox").fill("")
    page.evaluate("scrollTo(0, 1e6)")  # rows that were guessed are as high as they are
    page.get_by_role("heading", name="What happened").scroll_into_view_if_needed()
    is_whole(page)


@pytest.mark.parametrize("view", ["hosts", "feed", "gone", "maintenance"])
def test_other_lists_are_whole_too(visit: Visits, troubled: Discovery, view: str) -> None:
    page = visit(troubled, f"view={view}", token=OPERATOR, motion=False)
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"\d+ (host|event|instance|window)"))
    is_whole_at_every_size(page)


@pytest.mark.parametrize("size", EACH_SIZE)
def test_what_is_wrong_stands_over_every_screen_and_folds_where_there_is_no_room(
    visit: Visits, troubled: Discovery, size: str
) -> None:
    page = visit(troubled, "view=nodes", size=SIZES[size], token=OPERATOR)
    brake, others = (page.get_by_role("region", name=name) for name in ("Brake", "Warnings"))
    expect(brake.get_by_role("alert")).to_have_text("The brake holds 30 instances of 1 service")
    expect(others.get_by_role("alert")).to_contain_text("4 critical warnings: service emptied")
    told = others.get_by_role("listitem").first
    held = brake.get_by_text("They stay in the answers")
    if size != "1440":
        expect(told).not_to_be_visible()
        expect(held).not_to_be_visible()
        tops = page.get_by_role("heading", level=1).evaluate("it => it.getBoundingClientRect().top")
        assert tops < SIZES[size][1] / 2, "they leave room for the screen"
        brake.locator("summary").first.click()
        others.locator("summary").first.click()
    expect(told).to_contain_text(
        re.compile("has none of [67] instances left since")
    )  # one may fail while others register
    expect(told).to_contain_text("troubleshooting.md#service_emptied")
    expect(held).to_contain_text("until ")
    expect(brake.get_by_role("link", name=LARGE)).to_be_visible()
    is_whole(page)


def test_who_may_not_read_is_told_that_there_are_warnings_and_no_names(visit: Visits, troubled: Discovery) -> None:
    page = visit(troubled, at="/docs")
    kinds = [{"code": "service_emptied", "severity": "critical", "count": 4}]  # as GET /ready says it to him
    page.route("**/ready", lambda route: route.fulfill(json={"ready": True, "notReady": {}, "warnings": kinds}))
    page.goto("/ui")
    others = page.get_by_role("region", name="Warnings")
    expect(others.get_by_role("alert")).to_have_text("4 critical warnings: service emptied")
    expect(others.get_by_role("listitem")).to_contain_text("its text takes a token that may read")


def test_an_instance_has_the_servers_own_account(visit: Visits, troubled: Discovery) -> None:
    page = visit(troubled, at="/docs", token=OPERATOR)
    for of, status in ((LARGE, "suspect"), (LARGE, "maintenance"), ("e-service-50", "failing")):
        explained = troubled.request("GET", f"/resolve/{of}?explain=1").body["explained"]
        account = next(each for each in explained if each["status"] == status)
        page.goto(f"/ui?view=service&service={of}&instance={account['id']}")
        line = page.locator(".why-line")
        expect(line).to_contain_text("In the answers: " if account["served"] else "Not in the answers: ")
        expect(line).to_contain_text(f"{account['why']}. Next")
        expect(line).to_contain_text(account["next"])
        expect(page.get_by_role("main")).to_contain_text(re.compile(r"heartbeatsevery [\d.]+ s"))
        if status == "failing":
            expect(page.get_by_role("main")).to_contain_text(re.compile(r"last check\d+ s ago: connection refused"))


def test_who_left_in_order_is_not_shown_as_a_failure(visit: Visits, troubled: Discovery) -> None:
    page = visit(troubled, "view=gone", token=OPERATOR)
    left = rows(page).first.get_by_text("deregistered")
    expect(left).to_have_class("status ended")
    red = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--unhealthy')")
    assert left.evaluate("it => getComputedStyle(it).getPropertyValue('--tone')") != red


def test_the_pieces_of_a_bar_are_told_apart_without_colours(visit: Visits, troubled: Discovery) -> None:
    page = visit(troubled, token=OPERATOR)
    is_live(page)
    patterns = page.evaluate(
        """async () => {
            const { STATES } = await import("./ui/js/table.js");
            const bar = document.querySelector(".bar");
            return STATES.map(status => {
                const piece = bar.appendChild(Object.assign(document.createElement("i"), { className: status }));
                return getComputedStyle(piece).backgroundImage.replace(/rgba?\\([^)]*\\)/g, "");
            });
        }"""
    )
    assert len(patterns) == len(set(patterns)) == 9, patterns


@pytest.mark.parametrize(
    ("service", "first", "healthy", "of_instance"),
    [
        (
            "k-service-10",
            "warning",
            "6 of 6",
            "it says of itself: 82 % of the heap is in use; its weight is 10 meanwhile",
        ),
        pytest.param("l-service-11", "lapsed", "6 of 6", "known after its leasefor 1 d", marks=pytest.mark.with_all),
        (
            "m-service-12",
            "permanent",
            "6 of 6",
            "none: it stays until somebody deregisters it|poolpassing (ttl 86400 s)|diskpassing",
        ),
    ],
)
def test_who_warns_has_lapsed_or_has_no_lease_is_told_apart_by_words_and_shapes(
    visit: Visits, troubled: Discovery, service: str, first: str, healthy: str, of_instance: str
) -> None:
    page = visit(troubled, f"view=service&service={service}", token=OPERATOR, motion=False)
    is_live(page)
    expect(page.get_by_role("main")).to_contain_text(f"{healthy} healthy")
    row = rows(page).filter(has_text=first)
    expect(row).to_have_count(1)
    is_whole_at_every_size(page)
    assert violations(page) == ""
    row.get_by_role("link").first.click()
    expect(page.get_by_role("main").locator(".title")).to_contain_text(first)
    for text in of_instance.split("|"):
        expect(page.get_by_role("main")).to_contain_text(text)
    is_whole_at_every_size(page)
    if first != "permanent":  # in the list of services
        page.goto("/ui?q=" + service)
        expect(rows(page)).to_contain_text(f"1 {first}")
        expect(rows(page)).to_contain_text(healthy)
        is_whole_at_every_size(page)


def test_what_is_not_known_yet_is_not_shown_as_none(visit: Visits, troubled: Discovery) -> None:
    visit.faults.expect("500", "ERR_FAILED")
    page = visit(troubled, at="/docs", token=OPERATOR)
    waiting: list[Route] = []
    for path in ("services?*", "history?*"):
        page.route(f"**/{path}", lambda route: waiting.append(route))
    for view in ("services", "hosts", "feed", "gone", "maintenance", "service"):
        page.goto(f"/ui?view={view}&service={LARGE}")
        expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        assert not re.search(r"(?<![.\d])0(?![.\d])|[Nn]obody|[Nn]othing", page.get_by_role("main").inner_text()), view
    assert waiting
    page.unroute("**/services?*")
    for route in waiting:
        route.abort()
    page.route("**/history?*", lambda route: route.fulfill(status=500, json={"message": "The disk is gone"}))
    for view in ("feed", "gone", "maintenance"):
        page.goto(f"/ui?view={view}")
        expect(page.get_by_role("main")).to_contain_text("The disk is gone")
        assert not re.search(r"(?<![.\d])0(?![.\d])|[Nn]obody|[Nn]othing has", page.get_by_role("main").inner_text()), (
            view
        )


def test_a_search_counts_what_it_finds(visit: Visits, troubled: Discovery) -> None:
    page = visit(troubled, token=OPERATOR)
    is_live(page)
    page.get_by_role("searchbox").fill("service-5")
    expect(page.get_by_text("9 of 60 services")).to_be_visible()
    expect(page.get_by_role("button", name="failing 24")).to_be_visible()
    expect(page.get_by_role("button", name="suspect 0")).to_be_visible()
    page.get_by_role("searchbox").fill("127.0.0.1")
    expect(page.get_by_role("button", name="healthy 0", exact=True)).to_be_visible()


def test_enter_opens_the_first_hit_and_arrows_lead_from_the_search_and_back(visit: Visits, troubled: Discovery) -> None:
    page = visit(troubled, token=OPERATOR)
    is_live(page)
    search = page.get_by_role("searchbox")
    search.fill("service-2")
    expect(rows(page)).to_have_count(10)
    search.press("ArrowDown")
    expect(rows(page).first.get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(search).to_be_focused()
    name = rows(page).first.get_by_role("link").inner_text()
    search.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_one_rate_and_one_p99_stand_on_a_screen_each_with_its_unit_and_window(
    visit: Visits, troubled: Discovery
) -> None:
    page = visit(troubled, token=OPERATOR)
    pulse = page.locator(".pulse")
    expect(pulse).to_contain_text("In the last minute")
    expect(pulse).to_contain_text(re.compile(r"HTTP\s*[\d.,]+ /s"))
    expect(pulse).to_contain_text(re.compile(r"HTTP p99\s*[\d.]+ (µs|ms|s)"))
    page.get_by_role("navigation").get_by_role("link", name="Load", exact=True).click()
    expect(pulse).to_have_count(0)
    card = page.locator("section").filter(has=page.get_by_role("heading", name="HTTP latency"))
    expect(card).to_contain_text("p99, the highest in the last minute")
    [figure] = re.findall(r"([\d.]+ (?:µs|ms|s))p99", card.inner_text().replace("\n", "").replace(" p99,", "p99,")) or [
        ""
    ]
    expect(card.locator(".legend")).to_contain_text(figure)
    card = page.locator("section").filter(has=page.get_by_role("heading", name="HTTP requests"))
    expect(card).to_contain_text("a second, mean in the last minute")


def test_a_server_that_wants_fewer_requests_is_not_called_gone(visit: Visits, troubled: Discovery) -> None:
    visit.faults.expect("429")
    page = visit(troubled, at="/docs", token=OPERATOR)
    refusal = json.dumps({"message": "There are too many watchers; try again in 5 s", "retryAfter": 5})
    page.route("**/events", lambda route: route.fulfill(status=429, body=refusal, content_type="application/json"))
    page.goto("/ui")
    status = page.get_by_role("banner").get_by_role("status")
    expect(status).to_have_text("Too many requests")
    expect(page.get_by_role("main")).to_contain_text("There are too many watchers")
    expect(page.get_by_role("banner")).to_contain_text(re.compile("again in [3-6] s"))
    page.unroute("**/events")
    page.get_by_role("button", name="Try now").click()
    is_live(page)
