"""Clients that find their servers by SRV records: MIT Kerberos, OpenLDAP and sipsak, with the names and the zone of docs/srv-clients.md.
Nobody answers at the addresses: where they go is what is to be seen.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import discovery
from tests.docs.console import Bash, check
from tests.programs import program
from tests.stories.judges.namespace import Namespace, namespace
from tests.stories.process import LIMIT, running

PAGE = Path(discovery.__file__).parent / "docs" / "srv-clients.md"


@pytest.fixture
def zones(tmp_path: Path) -> str:
    folder = tmp_path / "zones"
    folder.mkdir()
    [text] = re.findall(r"^```zone\n(.*?)^```\n", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (folder / "svc.local.zone").write_text(text)
    return str(folder)


@pytest.fixture
def place(tmp_path: Path, zones: str) -> Iterator[Namespace]:
    with namespace(tmp_path, ZONES_DIR=zones) as place:  # type: ignore[arg-type]
        for name, port, protocol in (
            ("kerberos", 88, ["tcp", "udp"]),
            ("ldap", 389, "tcp"),
            ("sip", 5060, ["tcp", "udp"]),
        ):
            place.register(name, "10.0.0.1", port, protocol=protocol)
        yield place


def said(place: Namespace, *command: str, **environment: str) -> str:
    """It fails: nobody answers there."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    done = subprocess.run(
        [*place.prefix, "env", *variables, program(command[0]), *command[1:]],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stdout


def test_the_examples_of_the_page(tmp_path: Path, zones: str) -> None:
    with running(ZONES_DIR=zones) as server:
        check(PAGE, Bash(server, tmp_path))


def test_kinit_finds_the_kdc_over_udp_and_tcp(place: Namespace, tmp_path: Path) -> None:
    config = tmp_path / "krb5.conf"
    config.write_text("[libdefaults]\n  dns_lookup_kdc = true\n")
    text = said(place, "kinit", "alice@SVC.LOCAL", KRB5_CONFIG=str(config), KRB5_TRACE="/dev/stdout")
    for protocol in ("udp", "tcp"):
        asked = text.partition(f"Sending DNS SRV query for _kerberos._{protocol}.SVC.LOCAL.")[2]
        assert '10 100 88 "ip-10-0-0-1-p88.kerberos.svc.local."' in asked.splitlines()[1]
    assert "Sending initial UDP request to dgram 10.0.0.1:88" in text
    assert "Initiating TCP connection to stream 10.0.0.1:88" in text


def test_ldapsearch_finds_the_server_of_a_domain(place: Namespace) -> None:
    assert "Trying 10.0.0.1:389" in said(place, "ldapsearch", "-x", "-d", "1", "-H", "ldap:///dc%3Dsvc%2Cdc%3Dlocal")


def test_a_sip_client_finds_the_server_of_a_domain(place: Namespace) -> None:
    assert "using SRV record: _sip." in said(place, "sipsak", "-vv", "-s", "sip:alice@svc.local")
