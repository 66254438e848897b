"""The pages whose examples are run as they stand there, with bash, curl and dig."""

from __future__ import annotations

import csv
import re
import subprocess
import urllib.request
from pathlib import Path

import discovery
from tests.docs.console import BLOCK, Bash, check
from tests.ports import free_port
from tests.programs import program
from tests.stories.judges.daemon import answers_tcp, daemon
from tests.stories.process import LIMIT, ROOT, running, until

DOCS = Path(discovery.__file__).parent / "docs"
README = DOCS.parents[1] / "README.md"


def test_http(tmp_path: Path) -> None:
    with running() as server:
        check(DOCS / "http.md", Bash(server, tmp_path))


def test_quickstart(tmp_path: Path) -> None:
    with running(DATA_DIR=str(tmp_path / "data")) as server:
        check(DOCS / "quickstart.md", Bash(server, tmp_path))


def test_troubleshooting(tmp_path: Path) -> None:
    """With the services that the page speaks of."""
    (tmp_path / "zones").symlink_to(ROOT / "zones")
    with running(CLEANUP_INTERVAL_SECONDS=600, DATA_DIR=str(tmp_path / "data")) as server:
        server.register("user-service", "127.0.0.1", 3001, ttl=600)
        server.register("user-service", "127.0.0.2", 3002, ttl=600)
        server.register("billing", "10.0.0.9", 4000, ttl=1)
        until(lambda: server.request("GET", "/ready").body["warnings"])  # billing is gone
        check(DOCS / "troubleshooting.md", Bash(server, tmp_path))


def test_legacy_hosts(tmp_path: Path) -> None:
    """That real resolvers take these lines is told in tests/cli/test_doctor.py."""
    with running() as server:
        check(DOCS / "legacy-hosts.md", Bash(server, tmp_path))


def test_operations(tmp_path: Path) -> None:
    with running(DATA_DIR=str(tmp_path / "data")) as server:
        server.register("user-service", "127.0.0.1", 3001, ttl=600)
        server.register("user-service", "127.0.0.2", 3002, ttl=600)
        check(DOCS / "operations.md", Bash(server, tmp_path))


def test_a_certificate_for_a_try_is_one_that_curl_takes(tmp_path: Path) -> None:
    text = (DOCS / "operations.md").read_text()
    [make, ask] = re.findall(r"^((?:openssl|curl) (?:.*\\\n)*.*)\n", text.partition("## TLS")[2], re.M)
    subprocess.run(["bash", "-c", make], cwd=tmp_path, check=True, capture_output=True, timeout=LIMIT)
    with running(tmp_path, TLS_CERT="tls.crt", TLS_KEY="tls.key") as server:
        [port] = re.findall(r"https://127.0.0.1:([0-9]+)", "\n".join(server.output))
        done = subprocess.run(
            ["bash", "-c", ask.replace("3100", port)], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT
        )
    assert '"status":"healthy"' in done.stdout, done


def test_haproxy_follows_a_service_that_is_too_large_for_udp(tmp_path: Path) -> None:
    [config] = re.findall(r"```haproxy\n(.*?)```", (DOCS / "proxies.md").read_text(), re.S)
    front = free_port()
    with running(MAX_INSTANCES_PER_SERVICE=30) as server:
        for port in range(3001, 3026):
            server.register("user-service", "127.0.0.1", port, ttl=600)
        config = config.replace(":8600", f":{server.dns_port}").replace(":8080", f":{front}")
        (tmp_path / "haproxy.cfg").write_text(
            config.replace("frontend in\n", "frontend in\n  stats uri /stats\n  stats show-legends\n")
        )

        def up() -> set[str]:
            with urllib.request.urlopen(f"http://127.0.0.1:{front}/stats;csv", timeout=LIMIT) as reply:
                rows = csv.DictReader(reply.read().decode().removeprefix("# ").splitlines())
                servers = [row for row in rows if row["pxname"] == "users" and row["svname"].startswith("user")]
            return {row["addr"] for row in servers if not row["status"].startswith("MAINT")}

        with daemon("haproxy", "-db", "-f", "haproxy.cfg", folder=tmp_path) as proxy:
            proxy.until(lambda: answers_tcp(front))
            proxy.until(lambda: up() == {f"127.0.0.1:{port}" for port in range(3001, 3026)})


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    [config] = re.findall(r"```nginx\n(.*?)```", (DOCS / "proxies.md").read_text(), re.S)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds) + "access_log off;\n"
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\n" + config.replace("http {", "http {\n" + places))
    command = [program("nginx"), "-t", "-p", str(tmp_path), "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT)
    assert done.returncode == 0, done


def test_no_page_has_examples_that_nobody_runs() -> None:
    elsewhere = {"cli.md", "prometheus.md", "srv-clients.md"}
    here = set(re.findall(r'check\(DOCS / "([a-z-]+\.md)"', Path(__file__).read_text()))
    assert {page.name for page in DOCS.glob("*.md") if BLOCK.search(page.read_text())} == here | elsewhere


def test_the_changelog_opens_with_this_version() -> None:
    first = re.findall(r"^## (.*)$", (DOCS / "changelog.md").read_text(), re.M)[0]
    assert first == discovery.__version__


def test_the_tour_of_the_readme_is_pasted_as_one_block(tmp_path: Path) -> None:
    tour, beats = re.findall(r"```bash\n(.*?)```", README.read_text().partition("## A tour")[2], re.S)
    with running() as server:
        bash = Bash(server, tmp_path)
        said = bash(tour.replace(".venv/bin/", "")).splitlines()
        [listed] = [line for line in said if line.startswith('{"serviceName"')]
        assert '"instanceCount":2' in listed
        addresses, ports, tagged = said[3:5], said[5:7], said[7:9]
        assert sorted(addresses) == sorted(tagged) == ["127.0.0.1", "127.0.0.2"]
        assert {line.split()[2] for line in ports} == {"3001", "3002"}
        assert "did you mean user-service?" in said[9]
        assert said[10].startswith("draining user-service 127.0.0.1:3001")
        assert said[-2] == "127.0.0.2"
        assert said[-1].startswith("no longer draining")
        # A beat, and the same of an instance that is known: what the loop does until Ctrl-C.
        [beat] = re.findall(r"do (curl .*?); echo; sleep 3; done$", beats, re.M)
        assert [bash(f"{beat} -o /dev/null -w '%{{http_code}}'").strip() for _ in range(2)] == ["201", "200"]
