"""Runs the composed program as a target would: fed to an interpreter of its own, in a root of its own."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "plugins" / "module_utils" / "agent"


def load_agent():
    """The controller's side as a plain package, without Ansible."""
    if "cyborg_agent" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "cyborg_agent", PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["cyborg_agent"] = module
        spec.loader.exec_module(module)
    return sys.modules["cyborg_agent"]


agent_module = load_agent()


class Target:
    """A root of jobs on tmpfs and an interpreter."""

    def __init__(self, root, interpreter, user=None):
        self.root, self.interpreter, self.user = Path(root), interpreter, user
        self._numbers = itertools.count(1)
        self.env = None

    def new_job(self):
        return f"{next(self._numbers)}.1"

    def program(self, op, job, patch=None, **request):
        """``patch``: (text, other text): one place of the source that is to be another; how tests cut an agent off."""
        request = {"op": op, "job": job, "root": str(self.root), "fence": 0, **request}
        if patch is None:
            return agent_module.exchange(request)
        bundle = sys.modules["cyborg_agent.bundle"]
        source = bundle._joined(tuple(agent_module.PIECES[op]))
        assert source.count(patch[0]) == 1
        return bundle._composed(source.replace(*patch), request)

    def spawn(self, program):
        process = subprocess.Popen(
            [self.interpreter, "-I", "-S", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
            user=self.user, group=self.user, extra_groups=None if self.user is None else [], cwd="/",
        )
        process.stdin.write(program)
        process.stdin.close()
        process.stdin = None
        return process

    def read(self, process):
        with process:
            out, err = process.communicate(timeout=120)
        assert err == b""
        assert process.returncode == 0
        return agent_module.answer(out.decode("ascii"))

    def feed(self, program):
        return self.read(self.spawn(program))

    def popen(self, op, job, **request):
        return self.spawn(self.program(op, job, **request))

    def do(self, op, job, **request):
        return self.read(self.popen(op, job, **request))

    def start(self, argv, job=None, wait=60, quiet=60, **request):
        """Starts and follows to the end (or for ``wait`` seconds)."""
        return self.do("start", job or self.new_job(), argv=argv, follow={"wait": wait, "quiet": quiet}, **request)

    def shell(self, script, **request):
        return self.start(["sh", "-c", script], **request)

    def wait_for(self, job, state="ended", seconds=60):
        """The answer to ``ask`` as soon as the job is in that state."""
        deadline = time.monotonic() + seconds
        while (reply := self.do("ask", job))["state"] != state:
            assert time.monotonic() < deadline, f"the job is {reply['state']} and not {state}"
            time.sleep(0.05)
        return reply

    def folder(self, job):
        return self.root / job


def old_python():
    """A Python 3.6 if this machine has one: the oldest that targets may have."""
    found = sorted(Path.home().glob(".pyenv/versions/3.6.*/bin/python3"))
    return str(found[-1]) if found else None


@pytest.fixture(params=["python3.6", "python3"])
def interpreter(request):
    if request.param == "python3":
        return sys.executable
    path = old_python()
    if path is None:
        pytest.skip("no Python 3.6 on this machine")
    return path


@pytest.fixture
def place():
    """A folder of ours on tmpfs."""
    path = tempfile.mkdtemp(prefix="cyborg-agent-", dir="/dev/shm")
    os.chmod(path, 0o700)
    yield Path(path)
    shutil.rmtree(path)


@pytest.fixture
def target(place):
    return Target(place / "jobs", sys.executable)


@pytest.fixture
def any_target(place, interpreter):
    return Target(place / "jobs", interpreter)
