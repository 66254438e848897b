"""Long polls: requests that wait until the service they ask about has changed, or anything at all.

Those that ask the same wait in one group. A commit takes the groups of its services out, which costs the same for one poll and for a
thousand, and they are answered in the turns that follow: each makes the answer anew, so that it is as fresh as any, and encodes it once
for all whom it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from itertools import islice
from random import Random

from discovery.core.name import fold
from discovery.rest.api.answers import Answer, Client, DeferredAnswer
from discovery.rest.api.errors import answer_to
from discovery.rest.api.following.waiting import Asked, Make, Wait
from discovery.rest.api.times import Times
from discovery.rest.watch.watchers import Watcher, Watchers
from discovery.store.registry import Registry
from discovery.system.turns import turns

# Polls that one step answers: 40 µs each, or 250 where a list is the answer.
_PER_STEP = 12
_HANDED_ON_PER_STEP = 2
# Seconds between two wakes of those who wait for anything at all.
EVERY = 1.0
# Seconds that a node waits for what another one has said already: ten times what it takes to arrive.
AHEAD_SECONDS = 1.0
# A wait is up to so much longer than asked for: a crowd that was answered together does not come back together.
JITTER = 1 / 16


class Poll(Watcher):
    """`group`: where it waits."""

    __slots__ = ("group", "polls", "wait")

    def __init__(self, polls: Polls, group: Group, wait: Wait) -> None:
        super().__init__()
        self.polls = polls
        self.group = group
        self.wait = wait

    def begin(self, client: Client) -> None:
        self.client = client
        self.polls.begin(self, client)

    def stop(self) -> None:
        self.polls.answer_now(self)

    def ended(self) -> None:
        self.polls.ended(self)


class Group:
    """Polls that ask the same of a service (None: of all), and what makes their answer. `most`: how many one answer is for."""

    __slots__ = ("asked", "make", "making", "most", "polls", "service")

    def __init__(self, service: str | None, asked: Asked, make: Make | None, most: int) -> None:
        self.service = service
        self.asked = asked
        self.make = make
        self.most = most
        self.polls: dict[Poll, None] = {}
        self.making: asyncio.Task[None] | None = None

    def some(self) -> list[Client]:
        """As many as one answer is for. They are no longer in it, and get their answer now."""
        clients = []
        for poll in list(islice(self.polls, self.most)):
            del self.polls[poll]
            client, poll.client = poll.client, None
            if client is not None:
                clients.append(client)
        return clients


class Polls:
    """`clock`: the event loop's seconds. `has_other_nodes`: an index above this registry's own may be one of theirs."""

    def __init__(
        self,
        registry: Registry,
        times: Times,
        random: Random,
        watchers: Watchers,
        clock: Callable[[], float],
        has_other_nodes: bool = False,
    ) -> None:
        self._registry = registry
        self._has_other_nodes = has_other_nodes
        self._ahead: dict[Poll, None] = {}  # those that have seen more, at another node
        self._times = times
        self._random = random
        self._watchers = watchers
        self._clock = clock
        self._waiting: dict[str | None, dict[Asked, Group]] = {}
        self.topics: dict[str, Callable[[str], int]] = {}
        # Of those who wait for anything: up to which index, and when, they were told last; and when they will be.
        self._told = 0
        self._told_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    # -- what handlers ask (`waiting.LongPolls`)

    def of_service(self, name: str, wait: Wait, asked: Asked, make: Make, is_drawn: bool = False) -> DeferredAnswer:
        return Poll(self, Group(fold(name), asked, make, 1 if is_drawn else _PER_STEP), wait)

    def of_services(self, wait: Wait) -> DeferredAnswer:
        return Poll(self, Group(None, (), None, _HANDED_ON_PER_STEP), wait)

    # -- what happens

    def follow(self, services: Collection[str]) -> None:
        """As a follower of the registry's index."""
        if self._waiting:
            for service in self._waiting.keys() & services:
                self._wake(service)
            if None in self._waiting:
                self._tell_all_soon()
        if self._ahead:  # afterwards: they have seen this one
            for poll in [poll for poll in self._ahead if poll.wait.seen <= self._registry.index]:
                self._is_reached(poll)

    def begin(self, poll: Poll, client: Client) -> None:
        if self._has_other_nodes and poll.wait.seen > self._registry.index:
            if self._watchers.come(poll, client):
                self._ahead[poll] = None
                poll.timer = asyncio.get_running_loop().call_later(AHEAD_SECONDS, self._is_reached, poll)
        else:
            self._begin(poll, client)

    def _is_reached(self, poll: Poll) -> None:
        """This registry has what the poll has seen, or it will not wait for it any longer."""
        if poll in self._ahead:
            client = poll.client
            self._forget(poll)
            if client is not None:
                poll.client = client
                self._begin(poll, client)

    def _begin(self, poll: Poll, client: Client) -> None:
        group = poll.group
        if not self._has_to_wait(group.service, poll.wait.seen):
            group.polls[poll] = None
            turns().add(partial(self._answer, group))
            return
        if poll.wait.patience is not None and not self._watchers.has_room(client):
            group.polls[poll] = None
            poll.timer = asyncio.get_running_loop().call_later(poll.wait.patience, self.answer_now, poll)
            return
        if not self._watchers.come(poll, client):
            return
        poll.group = group = self._waiting.setdefault(group.service, {}).setdefault(group.asked, group)
        group.polls[poll] = None
        seconds = poll.wait.seconds * (1 + self._random.random() * JITTER)
        poll.timer = asyncio.get_running_loop().call_later(seconds, self.answer_now, poll)
        if group.service is None and poll.wait.seen < self._registry.index:
            self._tell_all_soon()

    def answer_now(self, poll: Poll) -> None:
        """As things are."""
        self._is_reached(poll)
        group = poll.group
        if poll in group.polls:
            self._take(poll, group)
            poll.group = alone = Group(group.service, group.asked, group.make, group.most)
            alone.polls[poll] = None
            turns().add(partial(self._answer, alone))

    def ended(self, poll: Poll) -> None:
        self._take(poll, poll.group)
        self._forget(poll)

    def _forget(self, poll: Poll) -> None:
        self._ahead.pop(poll, None)
        self._watchers.go(poll)

    def _take(self, poll: Poll, group: Group) -> None:
        group.polls.pop(poll, None)
        of_service = self._waiting.get(group.service)
        if not group.polls and of_service is not None and of_service.get(group.asked) is group:
            del of_service[group.asked]
            if not of_service:
                del self._waiting[group.service]

    # -- when to wait

    def _has_to_wait(self, service: str | None, seen: int) -> bool:
        """Nothing is new for who has `seen` so much. 0 and what this registry cannot have said: no."""
        registry = self._registry
        if seen == 0 or seen > registry.index:
            return False
        if service is None:
            return self._has_to_wait_for_anything(seen)
        index = registry.index_of(service) if service[0] != "\0" else self._index_of_topic(service)
        # Of a quiet service the index may be older than the log, and is known all the same.
        return index == seen or (index < seen and seen >= registry.log.oldest)

    def _index_of_topic(self, topic: str) -> int:
        return self.topics[topic[1:].partition(" ")[0]](topic)

    def _has_to_wait_for_anything(self, seen: int) -> bool:
        registry = self._registry
        if seen < max(self._told, registry.log.oldest):
            return False
        if seen == registry.index or self._clock() < self._told_at + EVERY:
            return True
        self._tell_all()
        return False

    def _tell_all_soon(self) -> None:
        if self._timer is None:
            left = self._told_at + EVERY - self._clock()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left), self._tell_all)

    def _tell_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._told, self._told_at = self._registry.index, self._clock()
        if None in self._waiting:
            self._wake(None)

    # -- answers

    def _wake(self, service: str | None) -> None:
        for group in self._waiting.pop(service).values():
            if service is not None and service[0] == "\0":
                # Told later, of several changes together: some know all of them.
                self._keep(service, group, [poll for poll in group.polls if self._has_to_wait(service, poll.wait.seen)])
            turns().add(partial(self._answer, group))

    def _keep(self, service: str, group: Group, polls: list[Poll]) -> None:
        """These of the group wait on."""
        rest = Group(service, group.asked, group.make, group.most)
        for poll in polls:
            del group.polls[poll]
            poll.group = rest
            rest.polls[poll] = None
        if polls:
            self._waiting.setdefault(service, {})[group.asked] = rest

    def _answer(self, group: Group) -> bool:
        """One step: some of the group. Whether there are more."""
        if group.make is None:
            for client in group.some():
                client.hand_on()
        elif group.polls:
            try:
                made = group.make()
            except Exception as error:
                made = self._of_error(group, error)
            if not isinstance(made, Answer):
                group.making = asyncio.ensure_future(self._answer_later(group, made))
                return False
            self._give(group, made)
        return bool(group.polls)

    async def _answer_later(self, group: Group, made: Awaitable[Answer]) -> None:
        try:
            answer = await made
        except Exception as error:
            answer = self._of_error(group, error)
        self._give(group, answer)
        group.making = None
        if group.polls:
            turns().add(partial(self._answer, group))

    @staticmethod
    def _give(group: Group, answer: Answer) -> None:
        for client in group.some():
            client.answer(answer)

    def _of_error(self, group: Group, error: Exception) -> Answer:
        return answer_to(error, f"a long poll about {group.service}", self._times)
