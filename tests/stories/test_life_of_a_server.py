"""Start, stop and refuse to start: what an operator sees of the process itself."""

from __future__ import annotations

import signal

import pytest

from tests.stories.nursery import Fork
from tests.stories.process import LIMIT, ROOT, Discovery, environment, running


def test_it_says_where_it_listens_and_then_ready(server: Discovery) -> None:
    assert server.output == [
        f"listening http://127.0.0.1:{server.port}",
        f"listening dns://127.0.0.1:{server.dns_port}",
        "ready",
    ]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(server: Discovery, signum: int) -> None:
    assert server.stop(signum) == 0
    assert "Traceback" not in "\n".join(server.log)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PORT": "80x"}, "PORT"),
        ({"DNS_PORT": "65536"}, "DNS_PORT"),
        ({"HOST": "0.0.0.0"}, "ALLOW_ANONYMOUS=true"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
    ],
)
def test_a_bad_setting_is_named_and_ends_it_with_status_2(settings: dict[str, str], said: str) -> None:
    server = Fork(ROOT, environment(**settings))
    out, err = server.communicate(LIMIT)
    assert (server.wait(), out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_port_in_use_is_named(server: Discovery) -> None:
    with (
        pytest.raises(AssertionError, match=f"Cannot listen on 127.0.0.1:{server.port}.*PORT"),
        running(PORT=server.port),
    ):
        pass
