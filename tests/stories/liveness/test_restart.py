"""A restart, as seen by 1,000 clients (200 without --all) that beat and by everybody who asks: nobody registers again, and no answer says
less than all.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode

from tests.examples import examples
from tests.ports import free_port
from tests.programs import program
from tests.stories.liveness.beating import Clients, beating, crowd
from tests.stories.process import LIMIT, Discovery, running, until

SERVICES, EACH = examples(100), 10
# Seconds between two beats; the leases are far longer.
EVERY = 4.0


class Seen(NamedTuple):
    """One answer: how many records of how many, and its rcode. `at`: monotonic seconds of its arrival."""

    at: float
    rcode: str
    records: int


class Watch:
    """Asks all the time, in threads of its own, and notes every answer; where nobody listens there is none."""

    def __init__(self, dns_port: int) -> None:
        self.dug: list[Seen] = []
        self.asked: list[Seen] = []
        self.serials: list[int] = []
        self.wrong: list[str] = []
        self._dns_port = dns_port
        self._stop = threading.Event()
        work = (self._dig, self._ask, self._serial)
        self._threads = [threading.Thread(target=self._repeat, args=(one,), daemon=True) for one in work]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, one: Callable[[int], None]) -> None:
        for number in count():
            if self._stop.is_set():
                return
            try:
                one(number)
            except Exception as error:  # it must be heard of
                self.wrong.append(repr(error))
                raise

    def _dig(self, number: int) -> None:
        name = f"crowd-{number % SERVICES}.svc.local"
        where = ("@127.0.0.1", "-p", str(self._dns_port))
        options = ("-r", "+norecurse", "+tries=1", "+time=1", "+tcp" if number % 5 == 4 else "+notcp")
        done = subprocess.run(
            [program("dig"), *where, *options, name, "SRV" if number % 2 else "A"],
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        if done.returncode == 0 and "status: " in done.stdout:
            rcode = done.stdout.partition("status: ")[2].partition(",")[0]
            records = int(done.stdout.partition("ANSWER: ")[2].partition(",")[0])
            self.dug.append(Seen(time.monotonic(), rcode, records))
        else:
            assert done.returncode in (0, 9, 10), done  # 9, 10: no answer; 0 with +tcp, where nobody listens
        time.sleep(0.02)  # about as long as dig takes, so that it takes half a core at most

    def _ask(self, number: int) -> None:
        reply = self._udp(f"crowd-{number % SERVICES}.svc.local", "A")
        if reply is not None:
            assert reply.flags & dns.flags.AA
            records = sum(len(rrset) for rrset in reply.answer)
            self.asked.append(Seen(time.monotonic(), dns.rcode.to_text(reply.rcode()), records))
        time.sleep(0.01)  # the clients want the interpreter too

    def _serial(self, number: int) -> None:
        reply = self._udp("svc.local", "SOA")
        if reply is not None:
            self.serials.append(reply.answer[0][0].serial)
        time.sleep(0.01)

    def _udp(self, name: str, rtype: str) -> dns.message.Message | None:
        try:
            return dns.query.udp(dns.message.make_query(name, rtype), "127.0.0.1", port=self._dns_port, timeout=0.5)
        except (OSError, dns.exception.Timeout):
            time.sleep(0.01)
            return None


@contextmanager
def watching(dns_port: int) -> Iterator[Watch]:
    watch = Watch(dns_port)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def test_nobody_registers_again_and_no_answer_says_less(tmp_path: Path) -> None:
    """Stopped by SIGTERM and started again, then killed and started again, on the same ports."""
    settings: dict[str, Any] = {
        "DATA_DIR": str(tmp_path / "data"), "MAX_INSTANCES_PER_SERVICE": EACH, "PORT": free_port(), "DNS_PORT": free_port(),
    }  # fmt: skip
    with ExitStack() as stack:
        server = stack.enter_context(running(**settings))
        clients = stack.enter_context(beating(server.port, crowd(SERVICES, EACH), every=EVERY))
        watch = stack.enter_context(watching(server.dns_port))
        ready = [0.0]
        for signum in (signal.SIGTERM, signal.SIGKILL):
            _live_a_while(server, clients, ready[-1])
            stopped_at = time.monotonic()
            server.stop(signum)
            server = stack.enter_context(running(**settings))
            ready.append(time.monotonic())
            print(f"{signal.Signals(signum).name}: ready again after {ready[-1] - stopped_at:.2f} s")
        _live_a_while(server, clients, ready[-1])
        assert server.request("GET", "/stats").body["activeInstances"] == SERVICES * EACH
        until(lambda: min(sum(one.at > ready[-1] for one in list(seen)) for seen in (watch.dug, watch.asked)) > 20)
        watch.stop()
        _check_answers(watch, ready[1:])
        _check_beats(clients)


def _live_a_while(server: Discovery, clients: Clients, since: float) -> None:
    """Until everybody has beaten; something changes all the time, so that the index and the serial move."""

    def all_have_beaten() -> bool:
        server.register("churn", "10.250.0.1", 1)
        assert server.request("DELETE", "/services/churn/instances?ip=10.250.0.1&port=1").status == 200
        return clients.answered(since) == set(range(SERVICES * EACH))

    until(all_have_beaten)
    told = [line for line in server.log if " WARNING " in line or " ERROR " in line]
    # The process stands still where others use all cores, and so does their disk.
    assert not [line for line in told if "stood still" not in line and "the disk has not answered" not in line]


def _check_answers(watch: Watch, restarts: list[float]) -> None:
    assert not watch.wrong
    for which, seen in (("dig", watch.dug), ("dnspython", watch.asked)):
        after = [sum(one.at > restart for one in seen) for restart in restarts]
        print(f"{which}: {len(seen)} answers, {after} after the restarts:", dict(Counter(one[1:] for one in seen)))
        assert {one[1:] for one in seen} == {("NOERROR", EACH)}
    print(f"{len(set(watch.serials))} serials of {len(watch.serials)} asked for")
    assert all(before <= after for before, after in pairwise(watch.serials)), "the serial went back"


def _check_beats(clients: Clients) -> None:
    print(f"beats of {SERVICES * EACH} clients:", dict(Counter(beat.status for beat in clients.beats)))
    assert not clients.refused()
    last = {number: beat.index for number, beat in clients.registered.items()}
    for beat in list(clients.beats):
        if beat.status == 200:
            assert beat.id == clients.registered[beat.client].id
            assert beat.index >= last[beat.client], "the index went back"
            last[beat.client] = beat.index
