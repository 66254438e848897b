"""deploy/grafana.json: a dashboard that Grafana can lay out, whose expressions are PromQL about metrics that the server has."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rules import DEPLOY, check_expressions

DASHBOARD = json.loads((DEPLOY / "grafana.json").read_text())
PANELS: list[Any] = DASHBOARD["panels"]
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in CHARTS for target in panel["targets"]]
VARIABLES = {variable["name"] for variable in DASHBOARD["templating"]["list"]}


def expressions() -> list[str]:
    """With Grafana's variables filled in."""
    every = [target["expr"] for _, target in TARGETS] + [one["expr"] for one in DASHBOARD["annotations"]["list"]]
    return [expr.replace("$__rate_interval", "5m").replace("$instance", ".*") for expr in every]


def test_its_rows_are_those_that_the_page_promises() -> None:
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows == ["What is wrong now", "DNS", "HTTP", "The registry", "The process"]


def test_each_panel_has_its_own_place() -> None:
    assert max(Counter(panel["id"] for panel in PANELS).values()) == 1
    cells: Counter[tuple[int, int]] = Counter()
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells.update(product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])))
    assert max(cells.values()) == 1


def test_the_expressions_are_promql(tmp_path: Path) -> None:
    check_expressions(expressions(), tmp_path)
    assert not any("$" in expr for expr in expressions()), "a variable that the dashboard does not have"


@pytest.mark.parametrize(
    ("title", "target"), TARGETS, ids=lambda part: part if isinstance(part, str) else part["refId"]
)
def test_each_asks_the_chosen_prometheus_about_the_chosen_servers(title: str, target: Any) -> None:
    assert target["datasource"]["uid"] == "${datasource}"
    assert 'instance=~"$instance"' in target["expr"]
    labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    by = re.search(r"by \(([^)]*)\)", target["expr"])
    if by is not None:
        assert labels <= {label.strip() for label in by[1].split(",")}, title
    else:
        assert labels <= {"instance"}, title
    assert {"datasource", "instance"} == VARIABLES
