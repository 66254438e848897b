"""unbound as a caching resolver over our zone alone, as strict as it can be set, and unable to reach any other server.

Every name outside is refused (`local-zone: "."`), there is neither a forwarder nor a trust anchor, and what it sends leaves
from 127.0.0.1, which the kernel lets nowhere but to this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.programs import is_at_least
from tests.stories.judges.daemon import answers_tcp, daemon

_CONFIG = """
server:
  verbosity: 1
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  num-threads: 1
  interface: 127.0.0.1@{port}
  outgoing-interface: 127.0.0.1
  do-ip6: no
  module-config: "{modules}"
  local-zone: "." refuse
  local-zone: "{zone}." transparent
  qname-minimisation: yes
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-glue: yes
  harden-below-nxdomain: yes
  harden-referral-path: yes
  harden-large-queries: yes
  harden-short-bufsize: yes
{more}
  unwanted-reply-threshold: 1000
  minimal-responses: no
  serve-expired: no
  prefetch: no
remote-control:
  control-enable: no
{lines}
"""
_OURS = """
server:
  do-not-query-localhost: no
stub-zone:
  name: "svc.local."
  stub-addr: 127.0.0.1@{upstream}
"""


@contextmanager
def unbound(
    upstream: int, folder: Path, sends_subnets: bool = False, zone: str = "svc.local", lines: str = ""
) -> Iterator[int]:
    """Its port. `sends_subnets`: it says for whom it asks (RFC 7871), and keeps an answer for each. `lines`: those of a page for the
    zone, in place of ours.
    """
    port = free_port()
    config = folder / "unbound.conf"
    more = "  harden-unknown-additional: yes" if is_at_least("unbound", "1.18") else ""  # Debian 12 has 1.17
    if sends_subnets:
        more += "\n  send-client-subnet: 127.0.0.1\n  client-subnet-always-forward: yes"
    modules = "subnetcache iterator" if sends_subnets else "iterator"
    lines = lines or _OURS.format(upstream=upstream)
    config.write_text(_CONFIG.format(folder=folder, port=port, zone=zone, lines=lines, more=more, modules=modules))
    with daemon("unbound", "-d", "-p", "-c", str(config), folder=folder) as running:
        running.until(lambda: answers_tcp(port))
        yield port
