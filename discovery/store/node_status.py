"""What this process knows of the heartbeats at one node of the registry. A lease that has run out proves nothing while a heartbeat could
have come to a node that this process does not hear: then the instance is a suspect, served behind the healthy ones, and nobody takes it
out of the answers.
"""

from __future__ import annotations

from typing import NamedTuple

from discovery.core.status import Status


class NodeStatus:
    """One for each node, shared by all entries that were heard through it last, so a change is one assignment. Monotonic seconds.

    `silent`: nothing is heard of it. `since`: from when on all heartbeats at it are known here. `until`: a lease that ends later may have
    been renewed there, and this process could not know. Of a single process both are without end.

    Set by the engine, which calls `registry.staleness_changed`.
    """

    __slots__ = ("node", "silent", "since", "until")

    def __init__(self, node: str = "") -> None:
        self.node = node
        self.silent = False
        self.since = float("-inf")
        self.until = float("inf")


# This process itself, where there is no other.
DIRECT = NodeStatus()


class Override(NamedTuple):
    """What this process believes of an instance in place of what was decided last, as nobody can be told of it now: it beats here
    (`beats`), or has said goodbye here. `reason`: a sentence for `explain`.
    """

    status: Status
    reason: str
    beats: bool
