"""Knot and BIND as secondaries of the server in a namespace, which has no way out: both ask 127.0.0.1:53 and answer at PORT. BIND may
be given several primaries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.stories.judges.daemon import Daemon, daemon
from tests.stories.judges.namespace import Namespace
from tests.stories.transfer.keys import ALGORITHM, NAME, SECRET

PORT = 5300

_KNOT = f"""
server:
  rundir: "{{folder}}"
  listen: 127.0.0.1@{PORT}
  user: root
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: "{{folder}}"
key:
  - id: {NAME}
    algorithm: {ALGORITHM}
    secret: {SECRET}
remote:
  - id: primary
    address: 127.0.0.1@53
    key: {NAME}
acl:
  - id: told
    address: 127.0.0.1
    key: {NAME}
    action: notify
zone:
  - domain: svc.local
    storage: "{{folder}}"
    master: primary
    acl: told
    refresh-min-interval: 2
"""

# It reads the server's own file of keys.
_BIND = f"""
include "{{folder}}/keys.conf";
options {{{{
  directory "{{folder}}";
  pid-file none;
  session-keyfile "{{folder}}/session.key";
  listen-on port {PORT} {{{{ 127.0.0.1; }}}};
  listen-on-v6 {{{{ none; }}}};
  recursion no;
  dnssec-validation no;
  notify no;
  min-refresh-time 1;
}}}};
controls {{{{ }}}};
zone "svc.local" {{{{
  type secondary;
  primaries {{{{ {{primaries}} }}}};
  allow-transfer {{{{ 127.0.0.1; }}}};
  file "svc.local.db";
  masterfile-format text;
}}}};
"""


@contextmanager
def knot(place: Namespace, folder: Path) -> Iterator[Daemon]:
    config = folder / "knot.conf"
    config.write_text(_KNOT.format(folder=folder))
    with daemon("knotd", "-c", str(config), folder=folder, prefix=place.prefix) as running:
        yield running


@contextmanager
def bind(place: Namespace, folder: Path, primaries: Sequence[str] = ("127.0.0.1",)) -> Iterator[Daemon]:
    config = folder / "named.conf"
    listed = " ".join(f"{primary} port 53 key {NAME};" for primary in primaries)
    config.write_text(_BIND.format(folder=folder, primaries=listed))
    with daemon("named", "-g", "-c", str(config), folder=folder, prefix=place.prefix) as running:
        yield running
