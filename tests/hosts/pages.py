"""Steps of a page of docs/, to be done as they are printed, with a test's own names in the place of the examples'."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

DOCS = Path(__file__).resolve().parents[2] / "docs"
_LINE = re.compile(r"^(?:#+ (?P<heading>[^\n]+)|```(?P<language>\w+)\n(?P<text>.*?)^```$)", re.DOTALL | re.MULTILINE)


@frozen
class Step:
    """A block of a page: what it is written in, and the heading that it stands under."""

    heading: str
    language: str
    text: str

    def with_(self, names: dict[str, str]) -> str:
        """The block with other names. Each that is given must be in it, or the page was changed beneath the test."""
        text = self.text
        for example, ours in names.items():
            assert example in text, f"{example!r} is not in the step under {self.heading!r} any more:\n{text}"
            text = text.replace(example, ours)
        return text


def steps(page: str) -> list[Step]:
    """All blocks of a page, in order."""
    found, heading = [], ""
    for match in _LINE.finditer((DOCS / page).read_text()):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(Step(heading, match["language"], match["text"]))
    return found
