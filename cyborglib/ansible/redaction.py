"""A second wall: the secrets of a run are taken out of what is said of it, should one ever get there."""

from __future__ import annotations

import base64
import json
import shlex
import threading
from urllib.parse import quote, quote_plus

from ..secret import SHORTEST

MASK = "***"


def forms(secret: str) -> set[str]:
    """A secret as it may turn up: raw, in JSON, in a URL, shell-quoted, in base64 (at each of three places)."""
    found = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        shlex.quote(secret),
        repr(secret)[1:-1],
    }
    data = secret.encode("utf-8", "surrogateescape")
    for before in range(3):
        # Only the letters that depend on nothing but the secret: those at both ends hold its neighbours too.
        text = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        inner = text[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= SHORTEST}


class Redactor:
    """Knows the secrets that were handed out, and takes them out of whole lines. May be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """From now on, leave this out. One shorter than 8 characters is not looked for; of a text of several
        lines (a key) each line counts."""
        new: set[str] = set()
        for line in {secret, *secret.splitlines()}:
            if len(line) >= SHORTEST and not line.startswith("-----"):
                new |= forms(line)
        with self._lock:
            # The longest first, so that none leaves a rest of another behind.
            self._forms = tuple(sorted({*self._forms, *new}, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """The text without any of them."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text
