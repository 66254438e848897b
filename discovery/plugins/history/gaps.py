"""What lies between two files of the history: the server was not running, or what happened could not be written. Pure."""

from __future__ import annotations

from typing import NamedTuple

from discovery.plugins.history.asked import ServerEvent
from discovery.plugins.history.file import SIGN_OF_LIFE, Began, Ended, Info
from discovery.plugins.history.replies import STARTED, STOPPED, UNRECORDED
from discovery.plugins.history.rows import PER_COMMIT
from discovery.rest.api.times import iso


class Gap(NamedTuple):
    """Between `since` and `until`, epoch seconds; up to `surely` it may not have begun. `told`: what it is, in words. `commit`: the index
    from which it goes on.
    """

    since: float
    surely: float
    until: float
    unrecorded: bool
    told: str
    commit: int


def gap_after(info: Info, following: Info) -> Gap | None:
    """None: one file was begun when the other was ended, and nothing is missing."""
    since, until = info.alive, following.wall
    unrecorded = info.ended is Ended.UNRECORDED or following.began is Began.UNRECORDED
    if unrecorded or following.number != info.number + 1:
        since = since if following.missing_from is None else following.missing_from
        events = f"{following.missing:,} events" if following.missing else "what happened"
        text = f"{events} from {iso(since)} to {iso(until)} could not be kept"
        return Gap(since, since, until, True, text, following.commit)
    if following.began is not Began.START:
        return None
    if info.ended is Ended.STOPPED:
        surely = since
        text = f"the server was stopped: nobody was answered from {iso(since)} to {iso(until)}"
    else:
        surely = min(since + SIGN_OF_LIFE, until)
        text = (
            f"the server ended without being stopped (it was killed, or its machine went down): nobody was answered from {iso(since)}, "
            f"when it was last known alive, or a few seconds later, to {iso(until)}"
        )
    return Gap(since, surely, until, False, text, following.commit)


def life_of(info: Info, gap: Gap | None) -> list[ServerEvent]:
    """What a file says of the server: that it started with it, and how it ended. `gap`: behind it."""
    found = []
    first = info.commit * PER_COMMIT
    if info.began is Began.START:
        reason = f"the server started; instances that it knew: {info.instances:,}"
        found.append(ServerEvent(info.number, first, STARTED, info.wall, info.wall, info.commit, reason))
    if gap is not None:
        kind = UNRECORDED if gap.unrecorded else STOPPED
        found.append(ServerEvent(info.number, _LAST, kind, gap.since, gap.until, gap.commit, gap.told))
    return found


# Behind every event of a file.
_LAST = (1 << 62) - 1
