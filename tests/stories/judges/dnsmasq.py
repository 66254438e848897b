"""dnsmasq with us as the server of our zone, or of what a page's lines say, and no other: everything else it refuses. It does not read the
machine's files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.stories.judges.daemon import answers_tcp, daemon


@contextmanager
def dnsmasq(upstream: int, folder: Path, lines: str = "") -> Iterator[int]:
    """Its port. `lines`: in place of that of our zone."""
    port = free_port()
    config = folder / "dnsmasq.conf"
    config.write_text(
        f"{lines or f'server=/svc.local/127.0.0.1#{upstream}'}\n"
        f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\nuser=\nlog-facility=-\n"
    )
    with daemon("dnsmasq", "--keep-in-foreground", f"--conf-file={config}", folder=folder) as running:
        running.until(lambda: answers_tcp(port))
        yield port
