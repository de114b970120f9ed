"""A stream that goes into a file, and what may stay of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.action.borg_load import ActionModule
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

PARTIAL = "/srv/.wiki.sql.3.7.1.5"


class Action(ActionModule):
    """Without a host: the stream breaks off, and what is asked of the host then may fail too."""

    job, title = "3.7.1", "web1"

    def __init__(self, drops: Exception | None) -> None:
        self.args, self.vars, self.drops, self.steps = {"path": "/srv/wiki.sql", "overwrite": True}, {}, drops, []

    def command_id(self, step: str) -> str:
        return "3.7.1.5"

    def extract_into(self, script: str, **asked: Any) -> str:
        assert asked["env"]["INTO"] == PARTIAL
        raise Failure("lost", "The host could not be reached again.")

    def shell(self, step: str, script: str, **asked: Any) -> dict[str, Any]:
        self.steps.append(step)
        if self.drops:
            raise self.drops
        return {"rc": 0, "out": "", "err": ""}


@pytest.mark.parametrize("drops", [None, Failure("lost", "x"), AnsibleConnectionFailure("gone")])
def test_what_cannot_be_removed_is_named(drops: Exception | None) -> None:
    action = Action(drops)
    with pytest.raises(Failure) as told:
        action._into_file("/srv/wiki.sql")
    assert told.value.code == "lost"
    assert action.steps == ["drop"]
    assert (f"may lie on web1 as {PARTIAL}: remove it there" in told.value.message) == bool(drops)


def test_an_engine_that_goes_away_leaves_a_name() -> None:
    action = Action(None)
    action.vars["cyborg_attach"] = True
    with pytest.raises(Failure, match=f"may lie on web1 as {PARTIAL}: remove it, and restore again"):
        action.borg()
