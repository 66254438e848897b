"""No token can use up the maintenance windows."""

from __future__ import annotations

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.store import operations
from discovery.store.errors import TooManyWindows
from discovery.store.operations import Maintain
from tests.driven import DrivenRegistry
from tests.store.making import START, WALL, a_registry, spec

CI, OTHER = Caller("10.0.0.1", "ci", Grants(register=("*",))), Caller("10.0.0.2", "other", Grants(register=("*",)))
ADMIN = Caller("10.0.0.3", "zoe", Grants(admin=True))
ANYBODY = Caller("10.0.0.4")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> DrivenRegistry:
    """Ten windows in all, three of one token, five of tokens that are no admin's."""
    monkeypatch.setattr(operations, "MAX_WINDOWS", 10)
    monkeypatch.setattr(operations, "MAX_WINDOWS_PER_TOKEN", 3)
    monkeypatch.setattr(operations, "MAX_WINDOWS_OF_TOKENS", 5)
    registry = a_registry(max_instances=100)
    for port in range(1, 31):
        registry.register(spec(port=port), START)
    return registry


def maintain(registry: DrivenRegistry, by: Caller, *ports: int) -> None:
    for port in ports:
        scope = Scope.of(Key("web", "10.0.0.1", port))
        registry.carry_out(Maintain(scope, Window("upgrade", WALL + 60)), START, WALL, by)


def test_one_token_has_its_share_and_no_more(registry: DrivenRegistry) -> None:
    maintain(registry, CI, 1, 2, 3)
    with pytest.raises(TooManyWindows, match="of the token ci"):
        maintain(registry, CI, 4)
    maintain(registry, CI, 1)  # another one in its place
    maintain(registry, OTHER, 5)


def test_all_tokens_together_leave_room_for_admins(registry: DrivenRegistry) -> None:
    maintain(registry, CI, 1, 2, 3)
    maintain(registry, OTHER, 4, 5)
    with pytest.raises(TooManyWindows, match="without the right 'admin'"):
        maintain(registry, OTHER, 6)
    maintain(registry, ADMIN, 6, 7, 8, 9, 10)
    with pytest.raises(TooManyWindows, match="There are 10 maintenance windows,"):
        maintain(registry, ADMIN, 11)


def test_without_tokens_all_are_anybodys(registry: DrivenRegistry) -> None:
    maintain(registry, ANYBODY, *range(1, 11))


def test_who_opened_a_window_outlasts_a_restart(registry: DrivenRegistry) -> None:
    maintain(registry, CI, 1, 2, 3)
    after = a_registry(max_instances=100)
    after.load(registry.snapshot(START, WALL), START, WALL)
    with pytest.raises(TooManyWindows, match="of the token ci"):
        maintain(after, CI, 4)


def test_a_token_that_takes_over_others_windows_has_no_more_than_its_share(registry: DrivenRegistry) -> None:
    maintain(registry, ADMIN, *range(1, 11))
    maintain(registry, CI, 1, 2, 3)
    with pytest.raises(TooManyWindows, match="of the token ci"):
        maintain(registry, CI, 4)
    assert sum(window.by == "ci" for window in registry.windows.values()) == 3
