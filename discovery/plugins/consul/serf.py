"""Whether a node lives, for services that have no check: Consul's agents gossip about that (`serfHealth`), and here nobody runs one. So the
ports of such services are asked, every INTERVAL seconds, by a TCP connection. That it is accepted, or refused, is life of the host; a host
is gone when no port of it answered SILENT times in a row, and one had answered before. What never answered is not judged.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from discovery.core.caller import SERVER
from discovery.core.errors import DiscoveryError
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Vouched
from discovery.core.network import is_off_limits
from discovery.plugins.consul.directory import Directory, Place
from discovery.plugins.consul.views import ALIVE
from discovery.plugins.consul.writes import JudgeNode
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.registry import Registry
from discovery.system.connecting import OUR_TROUBLE, connect, stream_socket
from discovery.system.turns import turns

INTERVAL, TIMEOUT = 10.0, 1.0
SILENT = 3
# Connections at a time, a file each; and of one host, since any of its ports tells.
_AT_ONCE, _OF_HOST = 100, 5

_log = logging.getLogger("discovery.consul")


class Serf:
    def __init__(self, registry: Registry, directory: Directory) -> None:
        self._registry = registry
        self._directory = directory
        self._silent: dict[str, int | None] = {}  # by node: so many rounds in a row; None: it has never answered
        self._task: asyncio.Task[None] | None = None

    def start(self, engine: Engine) -> None:
        self._engine = engine
        self._task = asyncio.get_running_loop().create_task(self._rounds())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def output(self, name: str) -> str:
        """What is known of a node by its folded name, in words."""
        place, silent = self._directory.places.get(name), self._silent.get(name)
        if place is None or not place.unchecked:
            return ALIVE
        if place.silent:
            return f"no port of it answered {SILENT} times in a row"
        return ALIVE if silent is not None else "never verified: no port of it that may be asked has answered"

    async def _rounds(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.round()
            except Exception:
                _log.exception("looking for nodes failed; it goes on", {"event": "nodes.failed"})

    async def round(self) -> None:
        """Of all nodes; only where this process decides what time brings."""
        if not self._engine.leads:
            return
        places = {name: place for name, place in self._directory.places.items() if place.unchecked}
        for name in self._silent.keys() - places.keys():
            del self._silent[name]
        running = set()
        for name, place in places.items():
            await turns().over()
            running.add(asyncio.create_task(self._look(name, place)))
            if len(running) >= _AT_ONCE:
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if running:
            await asyncio.wait(running)

    async def _look(self, name: str, place: Place) -> None:
        # What another process found out holds until there is life.
        silent = self._silent.setdefault(name, SILENT if place.silent else None)
        found = (self._registry.find(id) for id in place.unchecked)
        instances = [entry.instance for entry in found if entry is not None]
        alone = not self._engine.has_other_nodes
        asked = [each for each in instances if _may_be_asked(each, alone)][:_OF_HOST]
        answers = [await probe(each.spec.ip, each.spec.port) for each in asked]
        if any(answers):
            silent = 0
        elif silent is not None and False in answers:
            silent += 1
        self._silent[name] = silent
        is_gone = silent is not None and silent >= SILENT
        if is_gone or place.silent:
            health = Health.FAILING if is_gone else Health.PASSING
            text = (
                f"no port of its node {place.node.name} answered {SILENT} times in a row"
                if is_gone
                else "its node is back"
            )
            for each in instances:
                if each.own.health is not health:
                    await self._judge(each, Finding(health, text))

    async def _judge(self, instance: Instance, finding: Finding) -> None:
        try:
            await self._engine.submit(JudgeNode(instance.id, finding), SERVER)
        except UnknownInstance:
            pass  # it went away meanwhile
        except DiscoveryError as error:
            _log.warning(
                "that the node of instance %(id)s has changed could not be noted, it will be tried again: %(reason)s",
                {"event": "node.not_noted", "id": instance.id, "reason": str(error)},
            )


def _may_be_asked(instance: Instance, is_alone: bool) -> bool:
    """Who registered it was at its address: nobody has this server ask others."""
    spec, by = instance.spec, instance.registrant.address
    if not spec.port or spec.is_host_name or is_off_limits(spec.ip, by, is_alone):
        return False
    return instance.vouched is Vouched.ITS_ADDRESS


async def probe(ip: str, port: int) -> bool | None:
    """True: it was accepted, or refused; False: silence; None: this host could not ask."""
    try:
        with stream_socket(ip) as sock:
            async with asyncio.timeout(TIMEOUT):
                await connect(sock, ip, port)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    except OSError as error:
        return None if error.errno in OUR_TROUBLE else False
    return True
