"""A flood of DNS queries over UDP from addresses that look foreign, in as many processes as are asked for; nobody reads the replies.

`python -m tests.stories.attack.flood PORT NUMBER NAME…` sends until its standard input ends, then prints how many it sent.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import dns.message

from tests.stories.process import LIMIT, ROOT

PROCESSES = 2
# Prefixes (/24) that each sends from, 127.1.NUMBER.1 and on, and queries from one before the next has its turn.
PREFIXES, IN_A_ROW = 8, 64


class Flood:
    """`sent` once the `with` block has ended."""

    sent: int


@contextmanager
def flooding(port: int, *names: str) -> Iterator[Flood]:
    """It runs already, on what others leave of the processors: an attacker has some of its own."""
    command = ["nice", "-n", "19", sys.executable, "-m", __name__, str(port)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    senders = [
        subprocess.Popen([*command, str(number), *names], cwd=ROOT, **pipes)  # type: ignore[call-overload]
        for number in range(PROCESSES)
    ]
    flood = Flood()
    try:
        for sender in senders:
            assert sender.stdout.readline() == "sending\n"
        yield flood
        flood.sent = sum(int(sender.communicate(timeout=LIMIT)[0]) for sender in senders)
    finally:
        for sender in senders:
            sender.kill()
            sender.communicate()


def main() -> None:
    port, number, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    socks = [_bound(f"127.1.{number * PREFIXES + prefix}.1", port) for prefix in range(PREFIXES)]
    queries = [dns.message.make_query(name, rtype).to_wire() for name, rtype in product(names, ("A", "SRV"))]
    print("sending", flush=True)
    sent = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for sock in socks:
            for turn in range(IN_A_ROW):
                sock.send(queries[turn % len(queries)])
            sent += IN_A_ROW
    print(sent)


def _bound(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least there is
    sock.bind((address, 0))
    sock.connect(("127.0.0.1", port))
    return sock


if __name__ == "__main__":
    main()
