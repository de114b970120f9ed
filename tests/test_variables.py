"""Variables keep what they were given, cannot change, and do not show their values."""

from __future__ import annotations

import copy
import enum
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyborglib import Invalid, Secret
from cyborglib.model import Variables

CANARY = "correct horse battery"
texts = st.text(st.characters(exclude_characters="\x00"), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
mappings = st.dictionaries(st.from_regex(r"[b-z][a-z0-9_]{0,10}", fullmatch=True), plain, max_size=4)


@settings(max_examples=100, deadline=None)
@given(values=mappings)
def test_what_goes_in_comes_out(values):
    kept = Variables(values)
    assert kept.plain() == values
    assert json.loads(json.dumps(kept.plain())) == values
    assert kept == Variables(kept.plain()) == Variables(kept)
    assert hash(kept) == hash(Variables(kept.plain()))
    assert kept == values


@settings(max_examples=100, deadline=None)
@given(one=mappings, other=mappings)
def test_equal_ones_have_one_hash(one, other):
    if Variables(one) == Variables(other):
        assert hash(Variables(one)) == hash(Variables(other))
        assert one == other


@pytest.mark.parametrize(("one", "other"), [(True, 1), (False, 0), (1, 1.0), (0, None), ("1", 1), ([], None), ([], {})])
def test_what_a_role_would_tell_apart_is_not_equal(one, other):
    assert Variables({"x": one}) != Variables({"x": other})
    assert Variables({"x": [one]}) != {"x": [other]}


def test_order_of_names_does_not_matter():
    assert Variables({"a": 1, "b": {"c": 1, "d": 2}}) == Variables({"b": {"d": 2, "c": 1}, "a": 1})


def test_it_is_a_copy_that_cannot_change():
    inner = ["/etc"]
    values = {"folders": inner, "nested": {"x": inner}}
    kept = Variables(values)
    inner.append("/root")
    values["more"] = 1
    assert kept.plain() == {"folders": ["/etc"], "nested": {"x": ["/etc"]}}
    for spoil in (
        lambda: kept.update(x=1),  # type: ignore[attr-defined]
        lambda: kept["nested"].update(x=1),
        lambda: kept["folders"].append("x"),
        lambda: kept.__setitem__("x", 1),  # type: ignore[attr-defined]
    ):
        with pytest.raises((TypeError, AttributeError)):
            spoil()
    kept.plain()["folders"].append("x")
    assert kept["folders"] == ("/etc",)
    assert copy.deepcopy(kept) is copy.copy(kept) is kept


def test_values_do_not_show():
    kept = Variables({"password": CANARY, "nested": {"token": [CANARY]}})
    for shown in (repr(kept), str(kept), f"{kept}", repr([kept])):
        assert CANARY not in shown
        assert "password" in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(kept)


class Colour(enum.StrEnum):
    RED = "red"


def test_subclasses_are_kept_as_what_they_are_for_json():
    kept = Variables({"x": Colour.RED, "y": enum.IntEnum("N", "A").A})
    assert [type(value) for value in kept.values()] == [str, int]


deep: object = "x"
for _ in range(30):
    deep = [deep]
endless: list[object] = []
endless.append(endless)


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        {1, 2},
        object(),
        Secret(CANARY),
        float("nan"),
        float("inf"),
        2**63,
        10**5000,
        "a\x00b",
        ["a\x00b"],
        {"a\x00": 1},
        {1: "x"},
        {None: "x"},
        deep,
        endless,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_or_a_program_does_not_take(value):
    with pytest.raises(Invalid, match=r"extra_vars: password\b") as refused:
        Variables({"password": value}, what="extra_vars")
    assert CANARY not in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("values", ["text", "", 0, [("a", 1)], {1, 2}, 5, Secret(CANARY)], ids=repr)
def test_what_is_no_mapping(values):
    with pytest.raises(Invalid, match="mapping"):
        Variables(values)
