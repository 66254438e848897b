"""nginx and Caddy in front of the registry, with the directives of docs/proxies.md: writes, and events as they happen."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path

import pytest

import discovery
from tests.ports import free_port
from tests.stories.judges.daemon import answers_tcp, daemon
from tests.stories.process import LIMIT, running

PAGE = (Path(discovery.__file__).parent / "docs" / "proxies.md").read_text()
_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{front}; location / {{ {directives} }} }}
}}
"""
_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}/storage
}}
http://127.0.0.1:{front} {{
  {directives}
}}
"""
PROXIES = {
    "nginx": (_NGINX, ["-p", "{folder}", "-e", "stderr", "-c", "{folder}/config"]),
    "caddy": (_CADDY, ["run", "--adapter", "caddyfile", "--config", "{folder}/config"]),
}


def directives(proxy: str) -> str:
    """Of the page's section about it."""
    [text] = re.findall(rf"^## {proxy}$.*?^\*\*In front of the registry\.\*\* (.*?)\n\n", PAGE, re.M | re.S | re.I)
    found = re.findall(r"`((?:reverse_)?proxy_[^`]*;|reverse_proxy [^`]*)`", text)
    assert found, text
    return " ".join(found)


@pytest.mark.parametrize("proxy", PROXIES)
def test_registrations_and_events_go_through_it_at_once(proxy: str, tmp_path: Path) -> None:
    template, arguments = PROXIES[proxy]
    front = free_port()
    with running() as server:
        lines = directives(proxy).replace(":3100", f":{server.port}")
        (tmp_path / "config").write_text(template.format(folder=tmp_path, front=front, directives=lines))
        with daemon(proxy, *(each.format(folder=tmp_path) for each in arguments), folder=tmp_path) as running_one:
            running_one.until(lambda: answers_tcp(front))
            events = http.client.HTTPConnection("127.0.0.1", front, timeout=LIMIT)
            events.request("GET", "/events")
            stream = events.getresponse()
            assert (stream.status, stream.headers.get_content_type()) == (200, "text/event-stream")

            client = http.client.HTTPConnection("127.0.0.1", front, timeout=LIMIT)
            body = json.dumps({"name": "web", "ip": "10.0.0.1", "port": 80, "ttl": 600})
            client.request("POST", "/register", body, {"Content-Type": "application/json"})
            assert client.getresponse().status == 201
            assert any(b"10.0.0.1" in line for line in iter(stream.readline, b""))
            events.close()
            client.close()
