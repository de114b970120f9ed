"""Takes in what tasks hand over of archives' contents, in a thread of its own: others are answered meanwhile."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import CyborgError, InvalidTransition, NotFound
from ..executor import Contents, Control
from .listing import Listing, Unreadable

logger = logging.getLogger("cyborglib")

_ID = re.compile(r"[0-9a-f]{64}")
_TEXT = 4 * 1024 * 1024


class Receiving:
    """The listings that are on their way in one run, at most one for each job. `told` gets each answer."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="cyborg-contents")
        #: Job -> the archive that it hands over. Of the worker's own.
        self._open: dict[int, tuple[int, Listing, Contents]] = {}

    def message(self, job: int, message: Mapping[str, Any], told: Callable[[dict[str, Any]], None]) -> None:
        """Take in what a task says, and tell the answer later, from another thread. The task waits for it."""
        try:
            self._worker.submit(lambda: told(self._answer(job, message)))
        except RuntimeError:  # closed just now
            told(_refused("ended", "the run is over"))

    def hung_up(self, job: int) -> None:
        """The task of a job is gone: what it had not handed over whole does not stay."""
        with contextlib.suppress(RuntimeError):  # closed
            self._worker.submit(self._abandon, job)

    def close(self) -> None:
        """End, leaving what is not whole to be undone by who comes next."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _answer(self, job: int, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, **self._done(job, message)}
        except Unreadable as problem:
            self._abandon(job)
            return _refused("unparsable", f"Borg's listing cannot be read: {problem}")
        except (InvalidTransition, NotFound) as problem:
            self._open.pop(job, None)
            return _refused("ended", str(problem))
        except CyborgError as problem:
            self._open.pop(job, None)
            return _refused("internal", str(problem))
        except Exception:
            logger.exception("the contents of an archive could not be taken in")
            self._abandon(job)
            return _refused("internal", "the library failed; its log says how")

    def _done(self, job: int, message: Mapping[str, Any]) -> dict[str, Any]:
        archive, begin = message.get("archive"), message.get("begin")
        if not isinstance(archive, int):
            raise NotFound("an archive is called by its number")
        if begin is not None:
            self._abandon(job)
            if not isinstance(begin, str) or not _ID.fullmatch(begin):
                raise NotFound("an archive has an id of 64 digits")
            contents = self._control.contents(job, archive)
            if contents is not None:
                self._open[job] = archive, Listing(begin), contents
            return {"wanted": contents is not None}
        if message.get("abandon"):
            self._abandon(job)
            return {}
        known, listing, contents = self._open.get(job) or (None, None, None)
        if known != archive or listing is None or contents is None:
            raise NotFound(f"nothing of the archive {archive} is on its way")
        if message.get("end"):
            contents.take(listing.end())
            contents.finish()
            del self._open[job]
            return {"entries": contents.entries, "left_out": contents.left_out}
        piece = message.get("piece")
        if not isinstance(piece, str) or len(piece) > _TEXT:
            raise Unreadable("a piece of it is none")
        contents.take(listing.feed(piece))
        return {}

    def _abandon(self, job: int) -> None:
        _archive, _listing, contents = self._open.pop(job, (None, None, None))
        if contents is not None:
            try:
                contents.abandon()
            except Exception as problem:
                # Whoever takes it in next clears it away.
                logger.warning("what was taken in of an archive could not be undone now: %s", problem)


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": code, "message": message}
