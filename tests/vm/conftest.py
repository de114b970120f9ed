"""A hypervisor that plain ansible-playbook reaches, with Borg and an empty vault; one for all tests of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.hypervisor import Hypervisor
from tests.roles.conftest import PASSPHRASE, ROOT, VAULT, Plain
from tests.vm.programs import Programs

# Where the collection is found in a checkout.
sys.path.append(str(ROOT / ".ansible"))


class Machines(Plain):
    """Runs the policy type vm there."""

    hypervisor: Hypervisor

    def save(self, name: str, *arguments: str, shared: dict[str, Any] | None = None, **options: Any) -> str:
        """Back a domain up, which must go well; what was said."""
        options.setdefault("keep_free", 64)
        return well(self.backup("vm", *arguments, shared=shared, name=name, **options))

    def refused(self, name: str, **options: Any) -> str:
        """What a backup says that must fail; it leaves no archive."""
        options.setdefault("keep_free", 64)
        before = self.archives()
        said = failed(self.backup("vm", name=name, **options))
        assert self.archives() == before
        return said

    def load(self, *arguments: str, shared: dict[str, Any] | None = None, **options: Any) -> str:
        return well(self.restore("vm", *arguments, shared=shared, **options))

    def unpack(self, folder: str, archive: str = "") -> None:
        """By hand: with Borg and tar alone."""
        named = f"{VAULT}::{archive or self.archive}"
        command = f"mkdir -p {folder}; borg extract --stdout {named} | tar -C {folder} -xSf -"
        self.host.run(["bash", "-o", "pipefail", "-ec", command], env={"BORG_PASSPHRASE": PASSPHRASE})

    def stats(self) -> dict[str, int]:
        """Of the last archive."""
        told = json.loads(self.borg("info", "--json", f"{VAULT}::{self.archive}"))
        return dict(told["archives"][0]["stats"])

    def sh_there(self, command: str) -> str:
        """What a command line prints on the hypervisor."""
        return str(self.host.run(["bash", "-euo", "pipefail", "-c", command]).stdout)


def well(done: subprocess.CompletedProcess[str]) -> str:
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, said
    assert PASSPHRASE not in said
    return said


def failed(done: subprocess.CompletedProcess[str]) -> str:
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert PASSPHRASE not in said
    return said


@pytest.fixture(scope="module")
def machines(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    host = lab.host(servers="hypervisor")
    made = Machines(tmp_path_factory.mktemp("machines"), lab, host)
    made.hypervisor = Hypervisor(host)
    host.run(["mkdir", "-p", str(Path(VAULT).parent)])
    made.borg("init", "--encryption", "repokey-blake2", VAULT)
    yield made
    host.remove()


@pytest.fixture(scope="module")
def programs(lab: Lab) -> Iterator[Programs]:
    """A hypervisor on which the programs are run by hand."""
    host = lab.host(servers="hypervisor")
    made = Programs(Hypervisor(host))
    yield made
    host.remove()
    made.close()
