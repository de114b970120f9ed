"""Looks for secrets where none may be: command lines and environments of all processes, and files.

A program of its own (`python -m tests.hosts.watcher`), so that it keeps looking while the tests work; what it
looks for comes by a pipe. Hosts of the lab share this kernel, so their processes are seen too.
"""

from __future__ import annotations

import base64
import json
import os
import re
import select
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: Seconds between two looks at the processes; and how many of those until the next look at the files.
PAUSE, FILES_EACH = 0.02, 10
#: What is larger holds data, and is read by nobody within a look.
LARGEST = 64 * 1024 * 1024


def forms(token: str) -> list[bytes]:
    """A token of letters and digits as it may be written, also in the middle of something that was encoded.

    As JSON, in a URL or for a shell it looks as it is, whatever stands around it.
    """
    raw = token.encode()
    found = [raw, raw.hex().encode(), token.encode("utf-16-le"), raw[::-1]]
    for before in range(3):
        whole = (before + len(raw)) // 3 * 4
        text = base64.b64encode(bytes(before) + raw)[(0, 2, 3)[before] : whole]
        found += [text, text.replace(b"+", b"-").replace(b"/", b"_")]
    return found


class Watch:
    """What was looked for, and what was found, as lines that do not repeat it."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._pattern = re.compile(b"|".join(re.escape(form) for token in tokens for form in forms(token)))
        self._known: dict[str, tuple[bytes, bytes]] = {}
        self.hits: set[str] = set()
        self.samples = 0
        self.seen: set[str] = set()
        self.folders: set[str] = set()

    def search(self, where: str, data: bytes) -> None:
        if found := self._pattern.search(data):
            around = data[max(0, found.start() - 60) : found.start()]
            self.hits.add(f"{where}: …{around!r} and then it")

    def processes(self) -> None:
        """Every process's command line and environment, as they are now."""
        self.samples += 1
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                argv = Path(f"/proc/{pid}/cmdline").read_bytes()
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                if self._known.get(pid) == (argv, environment):
                    continue
                self._known[pid] = argv, environment
                name = os.path.basename(argv.split(b"\0")[0]).decode(errors="replace")
                self.seen.add(name)
                if b"BORG_PASSPHRASE_FD=" in environment:
                    self.seen.add("a Borg that reads its passphrase from a pipe")
                self.search(f"command line of {name}", argv)
                self.search(f"environment of {name}", environment)

    def files(self, folders: Iterable[str], since: float = 0.0) -> int:
        """Every file below some folders that changed since then; gives how many there were."""
        count = 0
        for folder in folders:
            for parent, _, names in os.walk(folder):
                for name in names:
                    if self._file(os.path.join(parent, name), since):
                        count += 1
                        self.folders.add("/".join([folder, *os.path.relpath(parent, folder).split("/")[:1]]))
        return count

    def _file(self, path: str, since: float) -> bool:
        with suppress(OSError):
            state = os.lstat(path)
            if stat.S_ISREG(state.st_mode) and state.st_size <= LARGEST and state.st_ctime >= since:
                self.search(path, os.fsencode(path) + b"\0" + Path(path).read_bytes())
                return True
            if stat.S_ISLNK(state.st_mode):
                self.search(path, os.fsencode(os.readlink(path)))
        return False


@contextmanager
def watching(tokens: Iterable[str], folders: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Watch processes, and files below some folders, while something goes on; afterwards the dict has what came of it.

    `hits` (texts), `samples` (how many looks), `seen` (names of programs), `folders` (in which files were read).
    """
    result: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hosts.watcher"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"tokens": [*tokens], "folders": [*folders]}) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "looking\n"
        try:
            yield result
        finally:
            process.stdin.close()
            result.update(json.loads(process.stdout.read()))


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    watch = Watch(asked["tokens"])
    watch.processes()
    print("looking", flush=True)
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        watch.processes()
        if watch.samples % FILES_EACH == 0:
            watch.files(asked["folders"])
    names = {"hits": watch.hits, "seen": watch.seen, "folders": watch.folders}
    print(json.dumps({name: sorted(found) for name, found in names.items()} | {"samples": watch.samples}))


if __name__ == "__main__":
    main()
