"""The control socket of a run: the jobs' tasks tell how far they are, and ask for their secrets.

It protects against other users and against crossed runs: the peer has this process's uid and shows the run's
token. It does not protect against code that runs as this user, which could read the database as well.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import re
import secrets
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import Factory, define

from ..errors import NotFound
from ..executor import Control, HostRun
from ..secret import Secret
from .acknowledging import Acknowledging
from .folders import write_private
from .frames import LIMIT, BadFrame, Unpacker, pack
from .ledger import Ledger
from .outcomes import HostileAnswer, as_outcome, as_progress
from .receiving import Receiving
from .redaction import Redactor
from .texts import harmless

logger = logging.getLogger("cyborglib")

#: A become password is asked for by every task that becomes root; all other secrets are given out once.
REPEATABLE = frozenset({"become_password", "admin_become_password", "target_become_password"})
#: Seconds: between two looks at whether jobs were canceled, and until a peer must have shown its token.
LOOK, PATIENCE = 0.5, 10.0
_CREDENTIALS = struct.Struct("3i")


_JOB = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20}){0,5}")


class Refused(Exception):
    """What was asked is not given. The message goes back to the task."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@define(eq=False)
class Peer:
    """One connection."""

    connection: socket.socket
    since: float
    unpacker: Unpacker = Factory(Unpacker)
    out: bytearray = Factory(bytearray)
    work: HostRun | None = None
    watches: bool = False
    #: The job whose archives' contents it hands over.
    hands_over: int | None = None


class Server:
    """Answers on the socket in a thread of its own, from `start` to `close`."""

    def __init__(
        self, folder: Path, ledger: Ledger, control: Control, redactor: Redactor, acknowledging: Acknowledging
    ) -> None:
        self._ledger, self._control, self._redactor = ledger, control, redactor
        self._acknowledging = acknowledging
        self._receiving = Receiving(control)
        self._due = {work.job: acknowledging.due(work.host) for work in ledger.open}
        self._token = secrets.token_urlsafe(32)
        self._given: set[tuple[int, str]] = set()
        self._calls: deque[Callable[[], None]] = deque()
        self._peers: dict[socket.socket, Peer] = {}
        self._closing = False
        #: The jobs whose tasks have connected: of others nothing has begun.
        self.heard: set[int] = set()
        write_private(folder / "token", self._token)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The folder is ours alone, so nobody can connect between the two calls.
        self._listener.bind(str(folder / "control"))
        os.chmod(folder / "control", 0o600)
        self._listener.listen(256)
        self._listener.setblocking(False)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="cyborg-control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Have something done in the server's thread, soon and in order."""
        self._calls.append(function)
        with contextlib.suppress(BlockingIOError):
            self._wake_write.send(b"x")

    def close(self) -> None:
        """Do what was still to be done, and end."""
        self._receiving.close()

        def end() -> None:
            self._closing = True

        self.call(end)
        self._thread.join()
        for peer in list(self._peers.values()):
            self._drop(peer)
        self._selector.close()
        for end_of in (self._listener, self._wake_read, self._wake_write):
            end_of.close()

    # -- the loop ------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        looked = 0.0
        while not self._closing:
            for key, events in self._selector.select(LOOK):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_read:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_read.recv(4096)
                elif peer := self._peers.get(key.fileobj):  # type: ignore[call-overload] # a socket, as all are
                    self._serve_peer(peer, events)
            while self._calls:
                try:
                    self._calls.popleft()()
                except Exception:
                    logger.exception("something that a run told could not be taken in")
            now = time.monotonic()
            if now - looked >= LOOK:
                looked = now
                self._look(now)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # It has gone again.
        _pid, uid, _gid = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid != os.geteuid():
            logger.warning("user %s was refused at the control socket", uid)
            connection.close()
            return
        connection.setblocking(False)
        self._peers[connection] = Peer(connection, time.monotonic())
        self._selector.register(connection, selectors.EVENT_READ)

    def _serve_peer(self, peer: Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                data = peer.connection.recv(1 << 16)
                if not data:
                    self._drop(peer)
                    return
                for message in peer.unpacker.feed(data):
                    self._answer(peer, message)
            self._flush(peer)
        except BlockingIOError:
            return
        except BadFrame as problem:
            logger.warning("a connection to the control socket was ended: %s", problem)
            self._drop(peer)
        except OSError:
            self._drop(peer)

    def _flush(self, peer: Peer) -> None:
        if peer.out:
            sent = peer.connection.send(peer.out)
            del peer.out[:sent]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.out else 0)
        self._selector.modify(peer.connection, events)

    def _drop(self, peer: Peer) -> None:
        if self._peers.pop(peer.connection, None):
            if peer.hands_over is not None:
                self._receiving.hung_up(peer.hands_over)
            self._selector.unregister(peer.connection)
            peer.connection.close()

    def _look(self, now: float) -> None:
        for peer in list(self._peers.values()):
            if peer.work is None:
                if now - peer.since > PATIENCE:
                    self._drop(peer)
            elif peer.watches and self._ledger.canceled_for(peer.work.job) is not None:
                peer.watches = False
                peer.out += pack({"canceled": True})
                try:
                    self._flush(peer)
                except OSError:
                    self._drop(peer)

    # -- what is said --------------------------------------------------------------------------------------

    def _answer(self, peer: Peer, message: dict[str, Any]) -> None:
        reply: dict[str, Any] | None
        try:
            reply = self._hello(peer, message) if peer.work is None else self._said(peer, peer.work, message)
        except Refused as refused:
            reply = {"ok": False, "error": refused.code, "message": str(refused)}
        except HostileAnswer as problem:
            reply = {"ok": False, "error": "hostile_answer", "message": str(problem)}
        except BadFrame:
            raise
        except Exception:
            # Only the kind of what went wrong is said: a message could hold what it was about.
            logger.exception("a message on the control socket could not be answered")
            reply = {"ok": False, "error": "internal", "message": "the library failed; its log says how"}
        if reply is not None:
            peer.out += pack(reply)

    def _later(self, peer: Peer, reply: dict[str, Any]) -> None:
        """An answer that took its time; the peer may be gone."""
        if peer.connection in self._peers:
            peer.out += pack(reply)
            try:
                self._flush(peer)
            except BlockingIOError:
                return  # The selector says when there is room.
            except OSError:
                self._drop(peer)

    def _hello(self, peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
        token = message.get("token")
        if message.get("do") != "hello" or not isinstance(token, str):
            raise BadFrame("it did not say hello")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            raise BadFrame("it showed the token of another run")
        job = message.get("job")
        work = self._ledger.get(job) if isinstance(job, int) else None
        if work is None:
            raise Refused("ended", "this job has ended, or is not of this run")
        if message.get("attempt") != work.attempt:
            raise Refused("ended", "this is not the attempt that is at work")
        peer.work, peer.unpacker.limit = work, LIMIT
        self.heard.add(work.job)
        return {"ok": True, "canceled": self._ledger.canceled_for(work.job) is not None}

    def _said(self, peer: Peer, work: HostRun, message: dict[str, Any]) -> dict[str, Any] | None:
        if self._ledger.get(work.job) is None:
            raise Refused("ended", "this job has ended")
        do = message.get("do")
        if do == "started":
            # Said after the agent's first answer, so it has heard what it may forget.
            self._acknowledging.told(work.host, self._due.pop(work.job, []))
            self._control.started(work.job)
        elif do == "progress":
            self._control.progress(work.job, as_progress(message.get("progress")))
        elif do == "output":
            self._output(work, message.get("lines"))
        elif do == "secret":
            return {"ok": True, "secret": self._secret(work, message.get("name"))}
        elif do == "keep":
            self._keep(work, message.get("name"), message.get("secret"))
        elif do == "deciding":
            return {"ok": True, "committed": self._control.deciding(work.job)}
        elif do == "ended":
            outcome = as_outcome(message.get("outcome"), self._redactor.clean)
            committed = self._ledger.end(work.job, outcome)
            names = _names(message.get("forget", []))
            return {"ok": True, "committed": committed, "later": committed and self._acknowledging.later(work, names)}
        elif do == "contents":
            peer.hands_over = work.job
            self._receiving.message(
                work.job, message, lambda reply: self.call(lambda: self._later(peer, reply))
            )  # fmt: skip
            return None
        elif do == "watch":
            peer.watches = True
        else:
            raise Refused("unknown", f"{harmless(do, 40)!r} is not known here")
        return {"ok": True}

    def _output(self, work: HostRun, lines: object) -> None:
        if not isinstance(lines, list):
            raise Refused("bad_arguments", "lines are a list")
        for line in lines:
            self._control.output(work.job, harmless(self._redactor.clean(str(line))))

    def _secret(self, work: HostRun, name: object) -> str:
        if not isinstance(name, str) or name not in work.secrets:
            raise Refused("refused", f"job {work.job} has no secret {harmless(name, 60)!r}")
        if name not in REPEATABLE and name not in work.secret_variables:
            if (work.job, name) in self._given:
                raise Refused("refused", f"the secret {name!r} was already given to job {work.job}")
            self._given.add((work.job, name))
        try:
            secret: Secret = self._control.secret(work.job, name)
        except NotFound as problem:
            raise Refused("refused", str(problem)) from problem
        logger.info("job %s was given its secret %r", work.job, name)
        self._redactor.add(secret.reveal())
        return secret.reveal()

    def _keep(self, work: HostRun, name: object, text: object) -> None:
        if not isinstance(name, str) or not isinstance(text, str) or not name.isidentifier():
            raise Refused("bad_arguments", "what is kept has a name and a text")
        self._redactor.add(text)
        self._control.keep(work.job, name, Secret(text))


def _names(value: Any) -> list[tuple[str, int]]:
    """Jobs as the agent calls them, and their fences."""
    try:
        found = [(name, fence) for name, fence in value]
    except (TypeError, ValueError):
        raise Refused("bad_arguments", "what may be forgotten is a list of names and fences") from None
    if len(found) > 20 or not all(
        isinstance(name, str) and _JOB.fullmatch(name) and isinstance(fence, int) for name, fence in found
    ):
        raise Refused("bad_arguments", "what may be forgotten is a list of names and fences")
    return found
