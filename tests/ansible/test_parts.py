"""How parts of a backup are called: by the host that makes them, and by the library."""

from __future__ import annotations

import time

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_action, borg_argv, parts
from hypothesis import given
from hypothesis import strategies as st

from cyborglib.parts import encoded


@given(st.text(max_size=80) | st.text("ä{ ", min_size=30, max_size=80))
def test_both_sides_agree_and_borg_takes_it(name: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        name = name.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    assert parts.encoded(name) == encoded(name)
    assert borg_argv.archive("a+" + encoded(name)).startswith("::a+")
    assert len(encoded(name)) <= 100


@pytest.mark.parametrize(
    ("name", "text"),
    [("orders", "orders"), ("my db", "my@20db"), ("{{ x }}", "@7b@7b@20x@20@7d@7d"), ("a/b'", "a@2fb@27")],
)
def test_names_stay_readable(name: str, text: str) -> None:
    assert encoded(name) == text


def test_long_names_that_begin_alike_stay_apart() -> None:
    first, second = encoded("ä" * 60 + "1"), encoded("ä" * 60 + "2")
    assert first != second
    assert len(first) == len(second) == 100


@pytest.mark.parametrize(("whole", "gone", "left"), [(1000, 400, 600), (1000, 2000, 60), (5, 100, 5), (0, 9, None)])
def test_all_parts_share_the_time_of_their_job(whole: int, gone: int, left: int | None) -> None:
    class Action(borg_action.BorgAction):  # type: ignore[misc] # of a package without types
        def __init__(self) -> None:
            self.vars, self._since = {"cyborg_timeout": whole}, time.monotonic() - gone

    assert Action().timeout() == left
