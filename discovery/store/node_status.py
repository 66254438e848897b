"""Through which node of the registry an instance was heard last. While that node is silent, the instance's own silence proves nothing:
it is a suspect, served behind the healthy, and nobody lets its lease run out. A single process has one node, which is never silent.
"""

from __future__ import annotations


class NodeStatus:
    """One for each node, shared by all entries that were heard through it; so a node that falls silent is one assignment.

    `silent`: set and cleared by the engine, which tells `registry.staleness_changed` of it.
    """

    __slots__ = ("node", "silent")

    def __init__(self, node: str = "") -> None:
        self.node = node
        self.silent = False


# This process itself.
DIRECT = NodeStatus()
