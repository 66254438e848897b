"""What promtool says of rules."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import discovery
from tests.programs import program

DEPLOY = Path(discovery.__file__).parent / "deploy"
ALERTS = DEPLOY / "alerts.yml"


class Case(NamedTuple):
    """`alert` "": any. `series`: to their values, a minute apart, in promtool's notation. `fires`: the labels of each alert at minute
    `at`, beside `alertname` and `severity`.
    """

    alert: str
    series: Mapping[str, str]
    fires: Sequence[Mapping[str, str]] = ({"instance": "a"},)
    at: int = 20


def check(rules: Path) -> str:
    """What promtool says of a file of rules; its own words when there is something wrong with it."""
    done = subprocess.run(
        [program("promtool"), "check", "rules", "--lint-fatal", rules], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_expressions(expressions: Sequence[str], folder: Path) -> None:
    """They are PromQL."""
    rules = [{"record": f"expression:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    file = folder / "expressions.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))  # JSON is YAML
    check(file)


def unit_test(cases: Sequence[Case], folder: Path) -> str:
    """Runs `promtool test rules` over the cases; "" when all is as they say."""
    file = folder / "tests.yml"
    file.write_text(
        json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [_test(case) for case in cases]})
    )
    done = subprocess.run([program("promtool"), "test", "rules", file], capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _test(case: Case) -> Any:
    firing = f'ALERTS{{alertname="{case.alert}", alertstate="firing"}}' if case.alert else 'ALERTS{alertstate="firing"}'
    return {
        "name": case.alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f"count by ({', '.join(sorted(case.fires[0]))}) ({firing})" if case.fires else firing,
                "eval_time": f"{case.at}m",
                "exp_samples": [
                    {"labels": "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}", "value": 1}
                    for labels in case.fires
                ],
            }
        ],
    }
