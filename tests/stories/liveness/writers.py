"""Those who write while the server is killed, and what each knows: what was acknowledged, and what it asked for and never heard of.

A writer has its own places (name, ip, port), so at most one request for each is under way. What a place may look like afterwards is
what was acknowledged, or what the request that got no answer would have made of it; nothing between.
"""

from __future__ import annotations

import http.client
import json
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from tests.stories.process import LIMIT

PLACES = 12  # of each writer, in three services
# What a writer does next where something is registered; where nothing is, it registers.
MIX = {"deregister": 10, "deregister by id": 3, "register again": 3, "drain": 3, "maintain": 2, "end": 2}


class Place(NamedTuple):
    name: str
    ip: str
    port: int

    @property
    def query(self) -> str:
        return f"ip={self.ip}&port={self.port}"


@dataclass(frozen=True)
class State:
    """Of a place. `id` None: nothing is registered; "": registered, under an id that only the server knows; so `registered_at`.

    `window`: the reason of the maintenance window of the place, which outlives the registration.
    """

    id: str | None = None
    registered_at: str = ""
    metadata: int = 0
    draining: bool = False
    window: str | None = None

    def fits(self, seen: State) -> bool:
        """Whether the server shows this state, all of it."""
        id = seen.id if self.id == "" and seen.id else self.id
        return replace(self, id=id, registered_at=self.registered_at or seen.registered_at) == seen


class Request(NamedTuple):
    method: str
    path: str
    body: Mapping[str, Any] | None
    makes: State


class Writer:
    """`states`: what was acknowledged, by place. `open`: what the request would have made that had no answer; `clearing`: those that a
    clear of everything would have left so, had it been answered.
    """

    def __init__(self, number: int, per_second: float, random: Random) -> None:
        self.states = {
            Place(f"svc-{number}-{place % 3}", f"10.{number}.0.{place + 1}", 8000 + place): State()
            for place in range(PLACES)
        }
        self.open: dict[Place, State] = {}
        self.clearing: dict[Place, State] = {}
        self.acknowledged: Counter[str] = Counter()
        self.refused: list[object] = []
        self.index = 0
        self._per_second = per_second
        self._random = random

    def write(self, port: int, stop: threading.Event) -> None:
        """Until `stop`, or until the server does not answer."""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        try:
            while not stop.wait(self._random.expovariate(self._per_second)):
                place = self._random.choice(list(self.states))
                kind = self._choose(self.states[place])
                self._send(client, place, kind, self._request(kind, place, self.states[place]))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            client.close()

    def compare(self, seen: Mapping[Place, State]) -> Counter[str]:
        """With what the server shows now, which is taken for what was acknowledged then. What became of the open ones."""
        became: Counter[str] = Counter()
        for place, acknowledged in self.states.items():
            now = seen.get(place, State())
            if place in self.open or place in self.clearing:
                made, which = (
                    (self.open.pop(place), "write") if place in self.open else (self.clearing.pop(place), "clear")
                )
                assert made.fits(now) or acknowledged == now, (place, acknowledged, made, now)
                became[f"{which}: {'there' if made.fits(now) else 'not there'}"] += 1
            else:
                assert acknowledged == now, (place, acknowledged, now)
            self.states[place] = now
        return became

    def _send(self, client: http.client.HTTPConnection, place: Place, kind: str, request: Request) -> None:
        """OSError or HTTPException when there is no answer."""
        self.open[place] = request.makes
        body = None if request.body is None else json.dumps(request.body)
        client.request(request.method, request.path, body, {"Content-Type": "application/json"})
        response = client.getresponse()
        said = json.loads(response.read())
        del self.open[place]
        if response.status not in (200, 201):
            self.refused.append((request, said))
            return
        self.acknowledged[kind] += 1
        self.index = max(self.index, said.get("index", 0))
        made = request.makes
        if made.id == "" or (made.id and not made.registered_at):
            shown = said["instance"]
            made = replace(made, id=shown["id"], registered_at=shown["registeredAt"])
        self.states[place] = made

    def _choose(self, state: State) -> str:
        if state.id is None:
            return "end" if state.window and self._random.random() < 0.3 else "register"
        kind = self._random.choices(list(MIX), list(MIX.values()))[0]
        return "maintain" if kind == "end" and not state.window else kind

    def _request(self, kind: str, place: Place, state: State) -> Request:
        number, name = self._random.randrange(1, 1 << 30), place.name
        where = f"/services/{name}/instances"
        match kind:
            case "register" | "register again":
                own = {"id": str(uuid.UUID(int=self._random.getrandbits(128)))} if number % 2 else {}
                body = {**place._asdict(), "metadata": {"number": number}, "tags": [f"t{number}"], "ttl": 3600}
                made = replace(state, metadata=number)
                if state.id is None:
                    body |= own
                    made = replace(made, id=own.get("id", ""), registered_at="", draining=False)
                return Request("POST", "/register", body, made)
            case "drain":
                method = "DELETE" if state.draining else "PUT"
                makes = replace(state, draining=not state.draining)
                return Request(method, f"{where}/drain?{place.query}", None, makes)
            case "maintain":
                reason = f"because {number}"
                window = {"reason": reason, "seconds": 3600}
                return Request("PUT", f"{where}/maintenance?{place.query}", window, replace(state, window=reason))
            case "end":
                return Request("DELETE", f"{where}/maintenance?{place.query}", None, replace(state, window=None))
            case "deregister by id":
                return Request("DELETE", f"/instances/{state.id}", None, State(window=state.window))
            case _:
                return Request("DELETE", f"{where}?{place.query}", None, State(window=state.window))


def work(port: int, writers: list[Writer], stop: threading.Event) -> list[threading.Thread]:
    """All of them at once."""
    threads = [threading.Thread(target=writer.write, args=(port, stop), daemon=True) for writer in writers]
    for thread in threads:
        thread.start()
    return threads


def shown(services: Mapping[str, Any], windows: list[dict[str, Any]]) -> dict[Place, State]:
    """What GET /services and GET /maintenance say of each place that they know of."""
    reasons = {Place(one["serviceName"], one["ip"], one["port"]): one["reason"] for one in windows}
    states = {place: State(window=reason) for place, reason in reasons.items()}
    for service in services.values():
        for one in service["instances"]:
            place = Place(one["name"], one["ip"], one["port"])
            assert one["tags"] == [f"t{one['metadata']['number']}"], "half of one registration and half of another"
            states[place] = State(
                one["id"], one["registeredAt"], one["metadata"]["number"], one.get("draining", False),
                reasons.get(place),
            )  # fmt: skip
            assert one.get("maintenance", {}).get("reason") == reasons.get(place)
    return states
