"""deploy/alerts.yml: promtool takes it, each rule fires on what it is about and is silent on a server that does well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.rules import ALERTS, Case, check, unit_test

RULES = {rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
PAGE = (ALERTS.parents[1] / "docs" / "prometheus.md").read_text()

ME = 'instance="a"'
WELL = {
    f'up{{job="discovery",{ME}}}': "1x60",
    f'process_start_time_seconds{{job="discovery",{ME}}}': "5x60",
    f"discovery_paused_seconds_total{{{ME}}}": "0x60",
    f'discovery_warning{{{ME},code="zones_failed",severity="warning"}}': "0x60",
    f'discovery_warning{{{ME},code="brake_holds",severity="critical"}}': "0x60",
    f"discovery_services{{{ME}}}": "5x60",
    f"discovery_max_services{{{ME}}}": "10000x60",
    f'discovery_instances{{{ME},status="healthy"}}': "100x60",
    f'discovery_instances{{{ME},status="suspect"}}': "0x60",
    f"discovery_max_instances{{{ME}}}": "100000x60",
    f'discovery_expirations_total{{{ME},reason="lapsed"}}': "0+1x60",
    f'discovery_expirations_total{{{ME},reason="suspect"}}': "0x60",
    f'discovery_heartbeats_total{{{ME},result="renewed"}}': "0+2000x60",
    f'discovery_heartbeats_total{{{ME},result="unknown"}}': "0+1x60",
    f'discovery_dns_responses_total{{{ME},zone="svc.local.",rcode="NOERROR",reason="answer"}}': "0+60000x60",
    f'discovery_dns_responses_total{{{ME},zone="svc.local.",rcode="NXDOMAIN",reason="unknown_name"}}': "0+9000x60",
    f'discovery_dns_responses_total{{{ME},zone="svc.local.",rcode="NOERROR",reason="none_healthy"}}': "0+1x60",
    f'discovery_dns_responses_total{{{ME},zone="svc.local.",rcode="SERVFAIL",reason="failed"}}': "0+1x60",
    f'discovery_dns_responses_total{{{ME},zone="other",rcode="REFUSED",reason="not_our_zone"}}': "0+60x60",
    f'discovery_dns_responses_total{{{ME},zone="svc.local.",rcode="none",reason="rate_limited"}}': "0x60",
    f'discovery_dns_responses_total{{{ME},zone="other",rcode="none",reason="shed"}}': "0x60",
    f'discovery_http_requests_total{{{ME},route="/heartbeat",method="POST",status="200"}}': "0+2000x60",
    f'discovery_http_requests_total{{{ME},route="/register",method="POST",status="429"}}': "0x60",
    f'discovery_http_requests_total{{{ME},route="/register",method="POST",status="503"}}': "0x60",
    f'discovery_event_loop_lag_seconds_bucket{{{ME},le="0.01"}}': "0+600x60",
    f'discovery_event_loop_lag_seconds_bucket{{{ME},le="0.25"}}': "0+600x60",
    f'discovery_event_loop_lag_seconds_bucket{{{ME},le="+Inf"}}': "0+600x60",
    f'discovery_journal_commit_seconds_bucket{{{ME},le="0.1"}}': "0+10x60",
    f'discovery_journal_commit_seconds_bucket{{{ME},le="1.0"}}': "0+10x60",
    f'discovery_journal_commit_seconds_bucket{{{ME},le="+Inf"}}': "0+10x60",
    f"discovery_engine_writable{{{ME}}}": "1x60",
    f"discovery_engine_leads{{{ME}}}": "1x60",
}


def like_it(name: str, **labels: str) -> str:
    """The series of a server that does well that has these labels."""
    found = [
        series
        for series in WELL
        if series.startswith(name + "{") and all(f'{key}="{value}"' in series for key, value in labels.items())
    ]
    assert len(found) == 1, found
    return found[0]


def trouble(
    alert: str, name: str, values: str, at: int = 20, fires: dict[str, str] | None = None, **labels: str
) -> Case:
    """One series of a server that does well is another."""
    return Case(alert, WELL | {like_it(name, **labels): values}, [{"instance": "a"} | (fires or {})], at)


RESPONSES, REQUESTS, HEARTBEATS = (
    "discovery_dns_responses_total",
    "discovery_http_requests_total",
    "discovery_heartbeats_total",
)
CASES = [
    trouble("DiscoveryDown", "up", "1x17 0x40"),
    trouble("DiscoveryWarning", "discovery_warning", "0x19 2x40", fires={"code": "zones_failed"}, code="zones_failed"),
    trouble("DiscoveryRestarts", "process_start_time_seconds", "5x8 500x3 700x3 900x40"),
    trouble("DiscoveryEventLoopLags", "discovery_event_loop_lag_seconds_bucket", "0+500x60", le="0.01"),
    trouble("DiscoveryStoodStill", "discovery_paused_seconds_total", "0x15 60x40"),
    trouble("DiscoveryMassExpiry", "discovery_expirations_total", "0x17 40x40", reason="suspect"),
    trouble("DiscoveryEmptied", "discovery_services", "5x17 0x40"),
    trouble("DiscoveryHeartbeatsUnknown", HEARTBEATS, "0+20x60", result="unknown"),
    trouble(
        "DiscoveryNearLimit", "discovery_instances", "95000x60", status="healthy", fires={"limit": "MAX_INSTANCES"}
    ),
    trouble("DiscoveryNearLimit", "discovery_services", "9999x60", fires={"limit": "MAX_SERVICES"}),
    trouble("DiscoveryServfail", RESPONSES, "0+1000x60", rcode="SERVFAIL"),
    trouble("DiscoveryDnsRefused", RESPONSES, "0+6000x60", reason="not_our_zone", fires={"reason": "not_our_zone"}),
    trouble("DiscoveryNoneHealthy", RESPONSES, "0+60x60", reason="none_healthy"),
    trouble("DiscoveryDnsRateLimited", RESPONSES, "0+600x60", reason="rate_limited"),
    trouble("DiscoveryDnsShed", RESPONSES, "0+600x60", reason="shed"),
    trouble("DiscoveryHttpErrors", REQUESTS, "0+60x60", status="503"),
    trouble("DiscoveryRegistrationsLimited", REQUESTS, "0+60x60", status="429"),
    trouble("DiscoveryNoLeader", "discovery_engine_leads", "1x15 0x40"),
    trouble("DiscoveryJournalSlow", "discovery_journal_commit_seconds_bucket", "0+5x60", le="0.1"),
]


def test_promtool_takes_the_rules() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in check(ALERTS)


def test_each_rule_fires_on_its_trouble(tmp_path: Path) -> None:
    assert unit_test(CASES, tmp_path) == ""


def test_none_fires_on_a_server_that_does_well(tmp_path: Path) -> None:
    assert unit_test([Case("", WELL, fires=(), at=at) for at in (1, 10, 55)], tmp_path) == ""


def test_a_case_that_is_wrong_is_found(tmp_path: Path) -> None:
    """Else the two above could not fail."""
    assert "DiscoveryDown" in unit_test([Case("DiscoveryDown", WELL)], tmp_path)
    assert "DiscoveryDown" in unit_test([CASES[0]._replace(fires=())], tmp_path)


def test_each_rule_has_a_case() -> None:
    assert {case.alert for case in CASES} == RULES.keys()


@pytest.mark.parametrize("alert", RULES)
def test_each_rule_says_how_bad_it_is_and_what_to_do_next(alert: str) -> None:
    rule = RULES[alert]
    assert ("discovery_warning" in rule["expr"]) is ("labels" not in rule), "it has the severity of its series"
    assert rule.get("labels", {"severity": "critical"})["severity"] in ("critical", "warning")
    said = rule["annotations"]
    assert "{{ $labels.instance }}" in said["summary"]
    assert len(said["description"]) > 40
    page, _, anchor = said["runbook"].partition("#")
    assert page == "discovery/docs/prometheus.md"
    assert anchor in {heading.lower() for heading in re.findall(r"^### (\w+)$", PAGE, re.M)}


def test_the_page_has_no_section_about_a_rule_that_is_gone() -> None:
    assert set(re.findall(r"^### (Discovery\w+)$", PAGE, re.M)) == RULES.keys()
