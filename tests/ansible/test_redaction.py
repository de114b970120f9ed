"""Secrets are taken out of lines in every form they may come in."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborglib.ansible.redaction import MASK, Redactor

SECRET = 'päss "word" it\'s/\\a+b'


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.add(secret)
    return made


@pytest.mark.parametrize(
    "form",
    [
        SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), json.dumps({"a": [SECRET]}), quote(SECRET),
        quote(SECRET, safe=""), quote_plus(SECRET), shlex.quote(SECRET), repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"u:" + SECRET.encode() + b"@x").decode(),
        base64.b64encode(b"user:" + SECRET.encode()).decode(),
    ],
)  # fmt: skip
def test_forms(form: str) -> None:
    cleaned = redactor(SECRET).clean(f"before {form} after")
    assert MASK in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "word" not in cleaned


@given(st.text(min_size=8, alphabet=st.characters(blacklist_categories=["Cs"])), st.text(), st.text())
def test_no_secret_is_left(secret: str, before: str, after: str) -> None:
    line = secret.splitlines()[0] if secret.splitlines() else ""
    if len(line) >= 8 and not line.startswith("-----"):
        assert line not in redactor(secret).clean(before + line + after).replace(MASK, "\0")


@given(st.binary(min_size=12).map(lambda data: data.hex()), st.binary(max_size=9), st.binary(max_size=9))
def test_base64_at_every_place(secret: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    assert MASK in redactor(secret).clean(encoded)


def test_short_ones_are_not_looked_for() -> None:
    assert redactor("geheim").clean("geheim bleibt") == "geheim bleibt"


def test_each_line_of_a_key() -> None:
    key = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2EAAAADAQABAAABgQC7\nabc\n-----END KEY-----\n"
    made = redactor(key)
    assert made.clean("got AAAAB3NzaC1yc2EAAAADAQABAAABgQC7!") == f"got {MASK}!"
    assert made.clean("-----BEGIN KEY-----") == "-----BEGIN KEY-----"


def test_the_longest_goes_first() -> None:
    made = redactor("password", "password-and-more")
    assert made.clean("x password-and-more y") == f"x {MASK} y"
