"""What one heartbeat, registration or expiry costs as the table grows, on the registry itself, alone and with DNS listening to it.

Each figure is the median of batches; a collection of garbage, which falls into few of them, is `scale`'s to find.
python -m tests.benchmarks.growth [rounds]
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import dns.message

from discovery.core.instance import Key, Registration
from discovery.dns import names
from discovery.dns.reverse import ReverseNames
from discovery.store.registry import Registry
from tests.benchmarks import report
from tests.benchmarks.fleet import TTL, Instance, fleet
from tests.benchmarks.listening import hot_path
from tests.benchmarks.rivals import CLIENT_CORE

INSTANCES = 10  # of a service
SIZES = [1_000, 10_000, 100_000]
ROUNDS, BATCH = 41, 500
SHORT_TTL, CLEANUP_INTERVAL = 1.0, 5.0
MAX_RATIO = 1.3


class Costs(NamedTuple):
    """Nanoseconds each."""

    heartbeat: float
    register: float
    expiry: float
