"""The commands that ask and change a registry, against a real one. cli.md's examples show most of them; here are the edges."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.cli.live import At, process
from tests.stories.process import Discovery, running, until
from tests.stories.standards.secure import running_secure

# As a stranger would have it.
NASTY = "\x1b[2J\u202e[red]x[/red]:smile:"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, DNS_TTL_SECONDS=1, MAX_INSTANCES_PER_SERVICE=200) as server:
        yield server


@pytest.fixture
def at(server: Discovery) -> Iterator[At]:
    """An empty registry, without maintenance windows, which survive what clears it."""
    yield At(server.http)
    server.request("POST", "/admin/clear")
    for window in server.request("GET", "/maintenance").body["windows"]:
        of = f"/services/{quote(window['serviceName'])}" + (
            f"/instances/maintenance?ip={window['ip']}&port={window['port'] or ''}"
            if "ip" in window
            else "/maintenance"
        )
        assert server.request("DELETE", of).status == 200


def test_everything_that_can_be_registered(at: At, server: Discovery) -> None:
    arguments = "register web --ip 2001:db8::1 --port 80 --ttl 2m --tag a --tag b --meta k=v=w --meta n= --zone eu"
    done = at(*arguments.split(), "--weight", "7", "--priority", "3", "--id", "mine", "-o", "json")
    found = server.request("GET", f"/instances/{done.content['instance']['id']}").body
    expected = {
        "id": "mine", "ip": "2001:db8::1", "port": 80, "ttl": 120.0, "tags": ["a", "b"], "metadata": {"k": "v=w", "n": ""},
        "zone": "eu", "weight": 7, "priority": 3,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert at("get", "instance", "mine", "-o", "json").content["tags"] == ["a", "b"]
    assert "\nmetadata" in at("get", "instance", "mine").out
    assert at("get", "instances", "-o", "name").out == "mine\n"


def test_a_host_name_without_a_port_is_named_in_every_spelling_by_every_command(at: At, server: Discovery) -> None:
    done = at("register", "Orders DB", "--address", "DB.Example.com.", "--id", "one", "--lease", "none")
    assert done.out.startswith("registered Orders DB DB.Example.com. [id one]")
    at("register", "Orders DB", "--ip", "db.example.com", "--port", "5432", "--id", "two")
    assert [line.split()[2] for line in at("get", "instances").out.splitlines()[1:]] == [
        "DB.Example.com.",
        "db.example.com:5432",
    ]
    for command in ("get service", "resolve", "explain", "watch"):
        assert "DB.Example.com. " in at(*command.split(), "orders db").out, command
    assert at("get", "instances", "--port", "none", "-o", "name").out == "one\n"
    by = ("orders DB", "--ip", "DB.example.com", "--port", "none")
    assert "[id one]" in at("drain", *by, "--no-wait").out
    assert at("maintenance", "begin", *by, "--reason", "a new disk", "--for", "1h").status == 0
    assert " db.example.com " in at("maintenance", "list").out
    assert at("deregister", *by).out == "deregistered Orders DB DB.Example.com. [id one]\n"
    assert "db.example.com:5432" in at("drain", "--host", "DB.EXAMPLE.COM", "--no-wait").out
    assert "no instance" in at("drain", *by).err


def test_checks_are_registered_reported_and_explained(at: At, server: Discovery, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    checks = [
        "ttl:30s,id=db-pool,criticalAfter=1h",
        f"http:/up,ca={ca},port=8443",
        "grpc:shop.Orders,tls=true",
        '{"tcp": true}',
    ]
    words = [word for check in checks for word in ("--check", check)]
    at("register", "web", "--ip", "10.9.9.9", "--port", "80", "--id", "mine", *words)
    assert server.request("GET", "/instances/mine").body["checks"] == [
        {"ttl": 30.0, "id": "db-pool", "criticalAfter": 3600.0},
        {"http": "/up", "id": "http", "ca": ca.read_text(), "port": 8443} | _PROBED,
        {"grpc": "shop.Orders", "id": "grpc", "tls": True} | _PROBED,
        {"tcp": True, "id": "tcp"} | _PROBED,
    ]
    assert "db-pool failing" in at("explain", "web").out
    done = at("report", "mine", "db-pool", "warning", "--because", "18 of 20")
    assert done.out == "the check db-pool of web [id mine] is warning\n"
    assert "its check db-pool warns: 18 of 20" in at("explain", "web").out
    assert "it has db-pool, http, grpc, tcp" in at("report", "mine", "other", "passing").said
    for wrong in ("ttl:soon", '{"tcp"', "tcp,port", "http:/,ca=/nowhere"):
        done = at("register", "web", "--ip", "10.0.0.1", "--port", "1", "--check", wrong)
        assert (done.status, "--check" in done.err) == (2, True)


_PROBED = {"interval": 10.0, "timeout": 2.0, "failures": 3, "successes": 1}


def test_what_the_original_did_not_know_can_be_registered_too(at: At, server: Discovery) -> None:
    own = ("--tag", "urlprefix-/web", "--tag", "Traefik.enable=true", "--health", "warning", "--because", "80 % full")
    at(
        "register",
        "web",
        "--ip",
        "10.0.0.1",
        "--port",
        "1",
        "--id",
        "one",
        "--keep",
        "1d",
        "--warning-weight",
        "7",
        "--hold",
        "1h",
        *own,
    )
    checks = ("--check", "tcp", "--check", "http:/healthz", "--check", '{"ttl": 30, "id": "pool"}')
    done = at("register", "web", "--ip", "10.0.0.1", "--port", "2", "--id", "two", "--lease", "none", *checks)
    assert (
        done.out == "registered web 10.0.0.1:2 [id two]; it needs no heartbeats, and stays until it is deregistered\n"
    )
    expected: list[dict[str, Any]] = [
        {
            "keep": 86400.0, "tags": ["urlprefix-/web", "Traefik.enable=true"], "health": "warning", "output": "80 % full",
            "warningWeight": 7, "hold": 3600.0,
        },
        {"lease": "none"},
    ]  # fmt: skip
    for id, fields in zip(("one", "two"), expected, strict=True):
        found = server.request("GET", f"/instances/{id}").body
        assert {name: found.get(name) for name in fields} == fields
    assert [each["id"] for each in found["checks"]] == ["tcp", "http", "pool"]


def test_lapsed_warning_and_permanent_are_told_apart_and_the_lapsed_are_none_of_the_living(at: At) -> None:
    for port, more in enumerate(("--ttl 1s --keep 1h", "--lease none", "--ttl 60s --health warning --because full"), 1):
        assert at("register", "web", "--ip", "10.0.0.1", "--port", str(port), *more.split()).status == 0
    until(lambda: at("get", "instances", "--status", "lapsed", "-o", "name").out)
    shown = [line.split()[1:3] for line in at("get", "instances").out.splitlines()[1:]]
    assert shown == [["10.0.0.1:1", "lapsed"], ["10.0.0.1:2", "healthy,"], ["10.0.0.1:3", "healthy,"]]
    assert "healthy, permanent" in at("get", "instances", "--status", "permanent").out
    assert "healthy, warning" in at("get", "service", "web").out
    assert "full" in at("get", "instances", "--status", "warning", "-o", "wide").out
    assert at("get", "services").out.splitlines()[1].split(maxsplit=1) == ["web", "2 of 2   1 lapsed, 1 warning"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "port"),
        (["--port", "80", "--ttl", "0.1s"], "ttl"),
        (["--port", "80", "--ttl", "0"], "ttl"),
        (["--port", "80", "--tag", "a\nb"], "tags"),
        (["--port", "80", "--keep", "8d"], "keep"),
        (["--port", "80", "--keep", "1m", "--lease", "none"], "lease"),
        (["--port", "80", "--because", "it is full"], "output"),
        (["--port", "80", "--health", "failing", "--because", "x" * 5000], "output"),
    ],
)
def test_what_the_registry_refuses_is_1_with_its_reason(at: At, arguments: list[str], said: str) -> None:
    assert said in at("register", "web", "--ip", "10.0.0.1", *arguments).said


def test_a_weight_or_priority_of_0_is_not_left_out(at: At, server: Discovery) -> None:
    at("register", "web", "--ip", "10.0.0.1", "--port", "80", "--weight", "0", "--priority", "0", "--id", "w")
    found = server.request("GET", "/instances/w").body
    assert (found["weight"], found["priority"]) == (0, 0)


def test_one_at_another_port_takes_its_own_id_when_told_to(at: At) -> None:
    for port, more, status in (("80", (), 0), ("81", (), 1), ("81", ("--replace",), 0)):
        done = at("register", "web", "--ip", "10.0.0.1", "--port", port, "--id", "mine", *more)
        assert (done.status, '"replace": true' in done.err) == (status, bool(status))
    assert [each["port"] for each in at("get", "instances", "-o", "json").content] == [81]


@pytest.mark.parametrize(
    "command", ["get service", "get instance", "resolve", "explain", "wait", "watch", "drain", "undrain", "deregister"]
)
def test_an_empty_name_is_2(at: At, command: str) -> None:
    done = at(*command.split(), "")
    assert (done.status, done.out) == (2, "")
    assert "empty" in done.err


def test_the_history_of_an_empty_name_is_not_that_of_all(at: At) -> None:
    assert at("history", "").status != 0


def test_the_end_of_a_maintenance_may_be_a_time_of_day(at: At, server: Discovery) -> None:
    server.register("clock")
    for clock in ("00:00", "12:00", "23:59"):
        assert at("maintenance", "begin", "clock", "--reason", "x", "--until", clock).status == 0, clock


@pytest.mark.parametrize(
    "arguments",
    [
        ["register", "web", "--ip", "10.0.0.1", "--port", "x"],
        ["register", "web", "--ip", "10.0.0.1", "--port", "1", "--ttl", "soon"],
        ["register", "web", "--ip", "10.0.0.1", "--port", "1", "--meta", "novalue"],
        ["drain"],
        ["drain", "web", "--host", "10.0.0.1"],
        ["maintenance", "begin", "web", "--reason", "x"],
        ["maintenance", "begin", "web", "--reason", "x", "--for", "1m", "--until", "12:00"],
        ["get", "services", "--status", "ill"],
        ["register", "web", "--ip", "10.0.0.1", "--port", "1", "--health", "great"],
        ["run", "--name", "web", "--port", "1", "--check", '{"http": 1}', "--", "true"],
        ["register", "web", "--ip", "10.0.0.1", "--port", "1", "--keep", "-1s"],
        ["run", "--name", "web", "--port", "1", "--tag", "a\nb", "--", "true"],
        ["resolve", "web", "--strategy", "best"],
        ["resolve", "web", "--dns-server", "example.com"],
        ["resolve", "web", "--dns", "--tag", "blue"],
        ["resolve", "web", "--dns-server", "127.0.0.1", "--limit", "1"],
        ["run", "--name", "web", "--port", "70000", "--", "true"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_2(at: At, arguments: list[str]) -> None:
    done = at(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("discovery: ")
    assert "Traceback" not in done.err


def test_more_services_than_a_page_are_all_there(at: At, server: Discovery) -> None:
    names = [f"s{number:03d}" for number in range(230)]
    bodies = [{"name": name, "ip": "10.0.0.1", "port": 1} for name in names]
    assert server.request("POST", "/registrations", {"instances": bodies}).body["registered"] == 230
    assert at("get", "services", "-o", "name").out.split() == names
    assert len(at("get", "hosts", "-o", "json").content[0]["instances"]) == 230
    assert at("get", "service", "S117", "-o", "json").content["name"] == "s117"
    assert "no service s23 is" in at("get", "service", "s23").said


def test_nothing_that_matches_is_said_and_is_no_failure(at: At) -> None:
    done = at("get", "services")  # which says, too, who went within the hour
    assert (done.status, done.out, done.err.partition("\n")[0]) == (0, "", "nothing is registered that matches")
    assert at("get", "instances", "-o", "json") == (0, "[]\n", "")
    assert at("get", "hosts", "-o", "yaml") == (0, "[]\n", "")


def test_filters_are_the_servers(at: At, server: Discovery) -> None:
    server.register("web", port=1, tags=["a", "b"], zone="eu", metadata={"v": "1"})
    server.register("web", port=2, tags=["a"], zone="us", metadata={"v": "2"})
    for arguments, port in (("--tag a --tag b", 1), ("--zone us", 2), ("--meta v=1", 1), ("--port 2", 2)):
        for command in (["get", "instances"], ["resolve", "web"]):
            content = at(*command, *arguments.split(), "-o", "json").content
            found = content if isinstance(content, list) else content["instances"]
            assert [each["port"] for each in found] == [port], arguments


def test_strangers_texts_move_no_cursor_and_are_no_markup(at: At, server: Discovery) -> None:
    server.register("web", metadata={NASTY: {NASTY: NASTY}})
    server.request("PUT", "/services/web/maintenance", {"reason": NASTY, "seconds": 60})
    for command in (["get", "instances"], ["get", "service", "web"], ["maintenance", "list"]):
        for output in ("table", "wide", "json", "yaml", "name"):
            out = at(*command, "-o", output).out
            assert out.replace("\n", "").isprintable()
            if output == "json":
                assert "[red]x[/red]:smile:" in out
            if output == "yaml":
                yaml.safe_load(out)
    shown = at("get", "instances", "-o", "wide").out
    assert "\\x1b[2J\\x202e[red]x[/red]:smile:" in shown
    [found] = at("get", "instances", "-o", "json").content
    assert found["metadata"] == {NASTY: {NASTY: NASTY}}
    assert yaml.safe_load(at("get", "instances", "-o", "yaml").out)[0]["metadata"] == {NASTY: {NASTY: NASTY}}
    assert at("maintenance", "end", "web").status == 0


def test_drain_ends_when_no_cache_holds_them(at: At, server: Discovery) -> None:
    for port in (1, 2):
        server.register("web", port=port)
    done: list[object] = []
    waiting = threading.Thread(target=lambda: done.append(at("drain", "web", "-o", "json")))
    waiting.start()
    until(lambda: server.request("GET", "/resolve/web").status == 404)
    assert done == []
    waiting.join(60)
    assert [reply["instance"]["status"] for reply in at("drain", "web", "--no-wait", "-o", "json").content] == [
        "draining"
    ] * 2
    assert at("undrain", "web", "--port", "2", "-o", "name").status == 0
    assert [each["port"] for each in server.request("GET", "/resolve/web").body["instances"]] == [2]


def test_a_host_is_drained_whole(at: At, server: Discovery) -> None:
    server.register("web", ip="10.0.0.1")
    server.register("billing", ip="10.0.0.1")
    server.register("web", ip="10.0.0.2")
    assert len(at("drain", "--host", "10.0.0.1", "--no-wait", "-o", "name").out.split()) == 2
    statuses = {(each["name"], each["ip"]): each["status"] for each in at("get", "instances", "-o", "json").content}
    assert statuses == {
        ("web", "10.0.0.1"): "draining",
        ("billing", "10.0.0.1"): "draining",
        ("web", "10.0.0.2"): "healthy",
    }


def test_an_instance_is_meant_by_its_id_too(at: At, server: Discovery) -> None:
    server.register("web", id="w1")
    assert "draining web" in at("drain", "w1", "--no-wait").out
    assert at("maintenance", "begin", "w1", "--reason", "disk", "--for", "1h").status == 0
    [window] = at("maintenance", "list", "-o", "json").content
    assert (window["serviceName"], window["ip"], window["reason"]) == ("web", "127.0.0.1", "disk")
    assert at("maintenance", "end", "web", "--ip", "127.0.0.1").status == 0
    assert at("maintenance", "list") == (0, "", "nothing is in maintenance\n")
    assert at("deregister", "w1").out.startswith("deregistered web 127.0.0.1:3001 [id w1]")
    assert "no service w1 is registered" in at("deregister", "w1").said


def test_all_of_a_service_go_only_when_that_is_said(at: At, server: Discovery) -> None:
    for port in (1, 2):
        server.register("web", port=port)
    assert "2 instances" in at("deregister", "web").said
    assert len(at("deregister", "web", "--all", "-o", "json").content) == 2
    assert server.request("GET", "/services").body["totalInstances"] == 0


def test_dns_is_asked_as_a_client_would(at: At, server: Discovery) -> None:
    for port in range(1, 150):  # more than fit UDP
        server.register("web", ip="10.0.0.1", port=port)
    server.register("six", ip="2001:db8::1", port=1)
    dns = ["--dns-server", f"127.0.0.1:{server.dns_port}"]
    records = at("resolve", "web", *dns, "-o", "json").content
    assert sum(record["type"] == "SRV" for record in records) == 149
    assert "AAAA" in at("resolve", "six.svc.local", *dns).out
    assert "NXDOMAIN; no service wbe; did you mean web?" in at("resolve", "wbe", *dns).said
    assert "REFUSED" in at("resolve", "web.example.com", *dns).said
    server.request("PUT", "/services/six/maintenance", {"reason": "x", "seconds": 60})
    assert "NODATA; six is known, 0 of 1 healthy" in at("resolve", "six", *dns).said
    assert "is no name" in at("resolve", "a..b", *dns).said


def test_a_dns_server_that_is_not_there_is_named(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discovery.cli.dns_client.TIMEOUT", 0.2)
    assert "127.0.0.1:1 gives no answer over DNS" in at("resolve", "web", "--dns-server", "127.0.0.1:1").said


def test_tokens_are_shown_and_missing_rights_told(tmp_path: Path) -> None:
    secret = "a secret of some length"  # noqa: S105
    file = tmp_path / "token"
    file.write_text(f"{secret}\n")
    register = ["register", "web", "--ip", "10.0.0.1", "--port", "1"]
    with running(API_TOKEN=secret) as server:
        assert "DISCOVERY_TOKEN" in At(server.http)(*register).said
        assert "not known" in At(server.http, DISCOVERY_TOKEN="wrong")(*register).said  # noqa: S106
        assert At(server.http, DISCOVERY_TOKEN=secret)(*register).status == 0
        assert At(server.http, DISCOVERY_TOKEN_FILE=str(file))(*register).status == 0


def test_a_registry_behind_tls_is_checked_against_the_authorities_given(tmp_path: Path) -> None:
    """OpenSSL reads the variable when a process makes its first context, so this is a process of its own."""
    with running_secure(tmp_path) as secure:
        url = f"https://127.0.0.1:{secure.https_port}"
        trusting: dict[str, Any] = {"SSL_CERT_FILE": str(secure.pair.cert)}
        for more, status in (({}, 1), (trusting, 0)):
            done = process("get", "services", "-o", "json", DISCOVERY_URL=url, **more)
            assert done.returncode == status, done
            assert ("certificate is not trusted" in done.stderr) == bool(status)


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "nix"),
        ("resolve", "nix"),
        ("drain", "nix"),
        ("get", "service", "nix"),
    ],
)
def test_of_a_service_that_is_not_there_commands_name_commands(at: At, command: tuple[str, ...]) -> None:
    said = at(*command).said
    assert "`discovery history nix`" in said
    assert "GET /" not in said


def test_what_a_refusal_tells_to_do_next_is_a_command(at: At, server: Discovery) -> None:
    server.register("mine", "10.9.1.1", 1, id="its-own")
    said = at("register", "other", "--ip", "10.9.1.2", "--port", "1", "--id", "its-own").said
    assert "(`discovery get instance its-own` shows it)" in said
    assert "`discovery maintenance list`" in at("maintenance", "end", "mine").said
    assert at("deregister", "mine").status == 0


def test_undrain_says_of_one_that_does_not_drain_that_it_did_not(at: At, server: Discovery) -> None:
    server.register("calm", "10.9.0.1", 1)
    server.register("calm", "10.9.0.2", 1)
    assert at("drain", "calm", "--ip", "10.9.0.1", "--no-wait").status == 0
    first, second = sorted(at("undrain", "calm").out.splitlines(), key=lambda line: "10.9.0.2" in line)
    assert first.startswith("no longer draining calm 10.9.0.1:1")
    assert second.startswith("calm 10.9.0.2:1 ")
    assert second.endswith(" did not drain")
    assert at("deregister", "calm", "--all").status == 0


@pytest.mark.parametrize(
    "command",
    [("history", "--since"), ("history", "--until"), ("explain", "web", "--at"), ("audit", "--file", "x", "--since")],
)
def test_a_time_may_begin_with_a_minus(at: At, command: tuple[str, ...]) -> None:
    assert at(*command, "-2m").status != 2
    assert "is no time" in at(*command, "-2x").err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--name", "bad\nname"), "name"),
        (("--name", "x" * 256), "name"),
        (("--name", "ok", "--ip", "nowhere"), "ip"),
        (("--name", "ok", "--meta", "x=" + 17000 * "x"), "metadata"),
        (("--name", "ok", "--weight", "99999"), "weight"),
    ],
)
def test_run_refuses_what_the_registry_would_before_it_starts_the_program(
    at: At, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = at("run", *options, "--port", "1", "--", "touch", str(tmp_path / "started"))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert not (tmp_path / "started").exists()
