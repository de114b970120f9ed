"""A secret shows nowhere but where it is asked for."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import pytest

from cyborglib import Invalid, Secret
from cyborglib.secret import as_secret

CANARY = "correct horse battery"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>40}".format,
        "{:>40}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - one of the ways
        lambda secret: repr([secret]),
        lambda secret: json.dumps([secret], default=str),
    ],
)
def test_no_way_of_showing_it_shows_it(show):
    assert "***" in show(Secret(CANARY))
    assert CANARY not in show(Secret(CANARY))


@pytest.mark.parametrize(
    "spoil",
    [
        pickle.dumps,
        json.dumps,
        lambda secret: setattr(secret, "_text", "other"),
        lambda secret: delattr(secret, "_text"),
        lambda secret: setattr(secret, "more", "other"),
        lambda secret: secret < secret,
        lambda secret: secret + "x",
    ],
)
def test_what_it_does_not_allow(spoil):
    secret = Secret(CANARY)
    with pytest.raises((TypeError, AttributeError)) as refused:
        spoil(secret)
    assert CANARY not in "".join(traceback.format_exception(refused.value))
    assert secret.reveal() == CANARY


def test_equality_and_copies():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("\udcff")}) == 2
    assert Secret("\udcff") == Secret("\udcff"), "half a character is no reason to raise with the text in the error"
    assert not Secret("")
    secret = Secret(CANARY)
    assert copy.copy(secret) is copy.deepcopy(secret) is secret


def test_what_becomes_a_secret():
    assert as_secret("a") == Secret("a")
    assert as_secret(None) is None
    assert as_secret(secret := Secret("a")) is secret
    for wrong in (5, b"a", ["a"]):
        with pytest.raises(Invalid, match="text"):
            as_secret(wrong)  # type: ignore[arg-type]


def test_generated_ones_are_long_and_differ():
    texts = {Secret.generate().reveal() for _ in range(10)}
    assert len(texts) == 10
    assert all(len(text) == 43 for text in texts)
