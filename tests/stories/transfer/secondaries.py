"""Knot and BIND as secondaries of the server in a namespace, which has no way out, by the lines of the plugin's page: both ask PRIMARY at
port 53 and answer at 127.0.0.1, PORT. BIND may be given several primaries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import discovery
from tests.stories.judges.daemon import Daemon, daemon
from tests.stories.judges.namespace import Namespace
from tests.stories.transfer.keys import NAME, SECRET

# Not the address that the kernel would choose for a packet of ours.
PRIMARY, PORT = "127.0.0.3", 5300

PAGE = Path(discovery.__file__).parent / "plugins" / "transfer" / "README.md"
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
template:
  - id: default
    storage: "{{folder}}"
"""
_BIND = f"""
options {{{{
  directory "{{folder}}";
  pid-file none;
  session-keyfile "{{folder}}/session.key";
  listen-on port {PORT} {{{{ 127.0.0.1; }}}};
  listen-on-v6 {{{{ none; }}}};
  recursion no;
  dnssec-validation no;
  notify no;
  allow-transfer {{{{ 127.0.0.1; }}}};
  masterfile-format text;
}}}};
controls {{{{ }}}};
"""


def _lines(beginning: str, ours: Mapping[str, str]) -> str:
    """The block of the page that begins so, with what stands in it of somebody's own replaced by ours."""
    text = beginning + PAGE.read_text().partition(f"```{beginning}")[2].partition("```")[0]
    text = text.removeprefix("yaml\n").removeprefix("\n")
    for theirs, mine in ours.items():
        assert theirs in text
        text = text.replace(theirs, mine)
    return text


@contextmanager
def knot(place: Namespace, folder: Path) -> Iterator[Daemon]:
    config = folder / "knot.conf"
    ours = {"10.0.0.1@8600": f"{PRIMARY}@53", "10.0.0.1": PRIMARY, "secret: …": f"secret: {SECRET}"}
    config.write_text(_KNOT.format(folder=folder) + _lines("yaml\n# Knot", ours))
    with daemon("knotd", "-c", str(config), folder=folder, prefix=place.prefix) as running:
        yield running


@contextmanager
def bind(place: Namespace, folder: Path, primaries: Sequence[str] = (PRIMARY,)) -> Iterator[Daemon]:
    config = folder / "named.conf"
    listed = " ".join(f"{primary} port 53 key {NAME};" for primary in primaries)
    lines = _lines("\n// BIND", {"10.0.0.1 port 8600 key secondary-1;": listed})
    config.write_text(_BIND.format(folder=folder) + lines)
    with daemon("named", "-g", "-c", str(config), folder=folder, prefix=place.prefix) as running:
        yield running
