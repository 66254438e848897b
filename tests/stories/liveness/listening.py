"""Processes that listen on the port that they register, and beat from the address that they register, by saying all of it again.

python -m tests.stories.liveness.listening URL TTL SERVICE=IP:PORT,IP:PORT… …     prints `ready` when all are registered; never ends
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from discovery.store.probing import BEATEN

# Seconds for one beat.
PATIENCE = 1.0

Addresses = Sequence[tuple[str, int]]


@contextmanager
def listening(
    url: str, ttl: float, services: Mapping[str, Addresses], prefix: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """One process for all of them: to kill it is to kill them all. `prefix`: a command that starts it."""
    words = [f"{name}={','.join(f'{ip}:{port}' for ip, port in all)}" for name, all in services.items()]
    command = [*prefix, sys.executable, "-m", "tests.stories.liveness.listening", url, str(ttl), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def have_beaten(instances: Sequence[Mapping[str, Any]], ttl: float) -> bool:
    """Whether all of /resolve's instances are healthy and registered for so long that the brake may ask their ports."""
    since = datetime.now(UTC) - timedelta(seconds=2 * ttl + BEATEN)
    return all(
        each["status"] == "healthy" and datetime.fromisoformat(each["registeredAt"]) < since for each in instances
    )


async def _live(url: str, ttl: float, name: str, ip: str, port: int, registered: asyncio.Event) -> None:
    body = json.dumps({"name": name, "ip": ip, "port": port, "ttl": ttl}).encode()
    head = f"POST /register HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    server = await asyncio.start_server(lambda _, writer: writer.close(), ip, port)
    async with server:
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    to = urlsplit(url)
                    reader, writer = await asyncio.open_connection(to.hostname, to.port, local_addr=(ip, 0))
                    writer.write(head.encode() + b"\r\n\r\n" + body)
                    answer = await reader.read(12)
                    writer.close()
                if answer.endswith(b" 503"):  # a node whose etcd has no time: soon again, as any client
                    raise OSError(answer)
                assert answer.endswith(b" 201"), answer
                registered.set()
            except OSError:
                await asyncio.sleep(0.1)
                continue
            await asyncio.sleep(ttl / 3 * random.uniform(0.8, 1.0))


async def _main(url: str, ttl: float, services: list[str]) -> None:
    events = []
    async with asyncio.TaskGroup() as lives:  # one that fails ends them all
        for service in services:
            name, _, addresses = service.partition("=")
            for address in addresses.split(","):
                ip, _, port = address.rpartition(":")
                events.append(asyncio.Event())
                lives.create_task(_live(url, ttl, name, ip, int(port), events[-1]))
        for event in events:
            await event.wait()
        print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
