"""README.md and every page below discovery/: no link is broken, and no setting or route is named that the code does not know."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

import discovery
from discovery.cli.setting_list import names
from discovery.client.access import OUR_NAMES
from discovery.moving import consul, eureka
from discovery.rest.api.codes import CODES
from tests.routes import ROUTES as EVERY_ROUTE

PACKAGE = Path(discovery.__file__).parent
ROOT = PACKAGE.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "tests" / "benchmarks" / "README.md", *sorted(PACKAGE.rglob("*.md"))]
# Of clients, of systems and of other programs: NAME_LIKE_THIS, and no settings of the server.
FOREIGN = {
    *("DISCOVERY_URL", "DISCOVERY_TOKEN", "DISCOVERY_TOKEN_FILE", *OUR_NAMES, *consul.TLS, *eureka.TLS),
    *(
        "OTEL_PROPAGATORS",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_RESOURCE_ATTRIBUTES",
        "TOKEN_OR_ADDRESS",
        "CONSUL_HTTP_TOKEN",
    ),
    *("ETCD_NAME", "ETCD_INITIAL_CLUSTER", "ETCD_INITIAL_ADVERTISE_PEER_URLS", "ETCD_LISTEN_PEER_URLS"),
    *("ETCD_LISTEN_CLIENT_URLS", "ETCD_ADVERTISE_CLIENT_URLS", "ETCD_AUTO_COMPACTION_MODE", "ETCD_QUOTA_BACKEND_BYTES"),
    *("ETCD_AUTO_COMPACTION_RETENTION", "ETCD_SNAPSHOT_COUNT", "ETCD_DATA_DIR", "ETCD_INITIAL_CLUSTER_TOKEN"),
    *(
        "ETCD_INITIAL_CLUSTER_STATE",
        "ETCD_FORCE_NEW_CLUSTER",
        "ETCD_CERT_FILE",
        "ETCD_KEY_FILE",
        "ETCD_TRUSTED_CA_FILE",
        "ETCD_PEER_CERT_FILE",
    ),
    *("ETCD_PEER_KEY_FILE", "ETCD_PEER_TRUSTED_CA_FILE", "ETCD_PEER_CLIENT_CERT_AUTH"),
    "KRB5_TRACE",
    *("ETCDCTL_ENDPOINTS", "ETCDCTL_CACERT", "ETCDCTL_USER", "ETCDCTL_PASSWORD"),
    *("CAP_NET_BIND_SERVICE", "ETCD_HOLD_SECONDS", "NODE_ENV", "OUT_OF_SERVICE", "UPDATE_DOCS", "OTEL_TRACES_SAMPLER"),
}
ROUTES = [(route.method, route.template) for route in EVERY_ROUTE]
_METHODS = "GET|POST|PUT|DELETE|HEAD|PATCH"


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", title).lower()).replace(" ", "-") for title in titles}


def test_no_link_is_broken(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text()).replace("[]", "[x]"))
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert file == page or file.is_relative_to(PACKAGE) or not page.is_relative_to(PACKAGE), (
            f"{target}: not in the wheel"
        )
        assert not anchor or anchor in anchors(file), target


def test_no_setting_is_unknown(page: Path) -> None:
    words = set(re.findall(r"(?<![\w$#])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w*])", page.read_text()))
    assert words - names().keys() - CODES.keys() - FOREIGN == set()


def test_no_route_is_unknown(page: Path) -> None:
    text = page.read_text()
    for methods, path in re.findall(rf"\b((?:{_METHODS})) (/[^\s`'\"?,:)\[;]*)", text):
        assert any(method == methods and fits(path, template) for method, template in ROUTES), f"{methods} {path}"
    for path in re.findall(r":3100(/[^\s`'\"?,:)\];]+)", text):
        assert any(fits(path, template) for _, template in ROUTES), path


def fits(path: str, template: str) -> bool:
    """`/admin/…` is all of them below."""
    if path.endswith("/…"):
        return template.startswith(path[:-1])
    if template.endswith("{file}"):
        return path.startswith(template.removesuffix("{file}"))
    given, known = path.rstrip(".").split("/"), template.split("/")
    return len(given) == len(known) and all(b.startswith("{") or a == b for a, b in zip(given, known, strict=True))


def test_a_body_that_curl_sends_is_said_to_be_json(page: Path) -> None:
    """Else curl says that it is a form, which is a 415."""
    for command in re.findall(r"curl [^\n]*(?:\\\n[^\n]*)*", page.read_text()):
        if re.search(r" (-d|--data\S*) ", command) and "/v1/" not in command:
            assert "Content-Type" in command, command


def test_every_route_is_on_the_page_about_http() -> None:
    page = (PACKAGE / "docs" / "http.md").read_text()
    rows = re.findall(rf"`({_METHODS}) (/[^`?\s]*)", page)
    shown = {(method, template) for method, path in rows for _, template in ROUTES if fits(path, template)}
    assert set(ROUTES) - shown == set()


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    linked = {(ROOT / path).resolve() for path in re.findall(r"\]\(([^)#]+\.md)", text)}
    assert {page for page in PAGES if page.is_relative_to(PACKAGE)} - {README} - linked == {
        PACKAGE / "engines" / "local" / "README.md"
    }
