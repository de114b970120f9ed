"""The posthook runs however a backup ended, if there is a way to run it at all."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.plugin_utils.control import ControlError
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.hooks import Hooked


class Ends:
    """A backup that ends by an error, or well."""

    error: Exception | None = None

    def _guarded(self) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {}


class Action(Hooked, Ends):
    """Hooks without a host: what ran is noted."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.ran = error, []
        self.vars, self.check, self._notes = {}, False, []

    def _hook(self, name: str) -> str:
        return name

    def _run(self, step: str, text: str, outcome: str, failure: Failure | None, *, watched: bool) -> dict[str, Any]:
        self.ran.append((step, outcome))
        return {"rc": 0, "out": "", "err": ""}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "successful"), (Failure("dump_failed", "x"), "failed"), (Canceled("x"), "canceled"),
        (KeyError("a mistake in somebody's own policy type"), "failed"),
        (Failure("lost", "it may still be at work"), ""), (AnsibleConnectionFailure("gone"), ""),
        (ControlError("gone", "the library is gone"), ""),
    ],
)  # fmt: skip
def test_the_posthook_runs_if_anything_can(error: Exception | None, outcome: str) -> None:
    action = Action(error)
    if error is None:
        action._guarded()
    else:
        with pytest.raises(type(error)):
            action._guarded()
    assert action.ran == [("prehook", "pending"), *([("posthook", outcome)] if outcome else [])]


@pytest.mark.parametrize(("whole", "times"), [(None, [86400, 3600]), (600, [500, 600]), (86400, [86300, 3600])])
def test_a_posthook_that_hangs_holds_the_vault_for_an_hour_at_most(whole: int | None, times: list[int]) -> None:
    given = []

    class Timed(Action):
        _run = Hooked._run

        def whole_timeout(self) -> int | None:
            return whole

        def timeout(self) -> int | None:
            return whole and whole - 100

        def say(self, line: str) -> None:
            pass

        def shell(self, step: str, text: str, *, timeout: int, **asked: Any) -> dict[str, Any]:
            given.append(timeout)
            return {"rc": 0, "out": "", "err": ""}

    Timed(None)._guarded()
    assert given == times
