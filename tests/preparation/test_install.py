"""An installation that is canceled, or whose connection breaks, leaves no broken packages."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.agent.conftest import agent_module
from tests.conftest import HostFactory
from tests.lab import Host

pytestmark = pytest.mark.hosts

#: dpkg, but slow to begin, so that there is a middle in which to be canceled.
SLOW = '#!/bin/sh\ncase "$*" in *--unpack*|*--configure*) sleep 3;; esac\nexec /usr/bin/dpkg.real "$@"\n'


def ask(host: Host, op: str, pieces: list[str] | None = None, **request: Any) -> dict[str, Any]:
    request = {"op": op, "job": "7.1", "fence": 0, **request}
    program = agent_module.program(pieces, request) if pieces else agent_module.exchange(request)
    done = host.run(["python3", "-I", "-S", "-"], input=program, check=False)
    return dict(agent_module.answer(done.stdout))


def start(host: Host, **more: Any) -> dict[str, Any]:
    request = {"op": "host_install", "wanted": ["borg"], "update": False}
    stdin = agent_module.program(["host_install"], request).decode("ascii")
    return ask(host, "start", argv=["/usr/bin/python3", "-I", "-S", "-"], stdin=stdin, **{"follow": None, **more})


def test_canceled_in_the_middle(host_factory: HostFactory) -> None:
    web = host_factory()
    web.run(["mv", "/usr/bin/dpkg", "/usr/bin/dpkg.real"])
    web.write("/usr/bin/dpkg", SLOW, mode=0o755)
    assert start(web)["state"] in ("starting", "running")
    deadline = time.monotonic() + 120
    while not any("--unpack" in argv for argv in web.processes()):
        assert time.monotonic() < deadline, ask(web, "follow")
        time.sleep(0.1)
    canceled = ask(web, "cancel", grace=3)
    assert canceled["state"] == "ended"
    assert canceled["result"]["canceled"]
    # The package manager goes on to its end, and a preparation that comes meanwhile waits for it.
    assert any(argv[0].endswith("apt-get") for argv in web.processes())
    again = start(web, job="7.2", follow={"wait": 100})
    while again["state"] != "ended":
        assert time.monotonic() < deadline + 120
        again = ask(web, "follow", job="7.2", wait=20)
    answer = agent_module.answer(again["result"]["out"])
    assert (answer["state"], answer["borg"]["version"]) == ("done", "1.2.4"), answer
    assert web.run(["dpkg", "--audit"]).stdout == ""
    assert not [argv for argv in web.processes() if "apt-get" in argv[0]]
    assert web.run(["ls", "/run/cyborg"]).stdout.split() == ["7.1", "7.2", "install.lock"]
