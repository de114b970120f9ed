"""How Borg gets a new passphrase: by the argument list and the environment of ours, from a pipe and nothing else."""

from __future__ import annotations

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_argv

from tests.conftest import HostFactory

pytestmark = pytest.mark.hosts


@pytest.mark.parametrize("version", ["1.2", "1.4"])
def test_borg_takes_both_passphrases_from_a_pipe(host_factory: HostFactory, version: str) -> None:
    host = host_factory("alone", borg=version)
    old, new = " old \\n'\"$(x)` ä", "new  %s \\ ö "
    env = {"HOME": "/root", "BORG_REPO": "/srv/vault"}
    host.run(["borg", "init", "-e", "repokey-blake2"], env=env | {"BORG_PASSPHRASE": old})
    argv = borg_argv.change_passphrase(lock_wait=5)
    change = env | {"BORG_PASSCOMMAND": borg_argv.A_LINE}

    def opens(passphrase: str) -> bool:
        return host.run(["borg", "list"], env=env | {"BORG_PASSPHRASE": passphrase}, check=False).returncode == 0

    # Without a second line nothing is changed, and above all not to an empty passphrase.
    assert host.run(argv, env=change, input=f"{old}\n", check=False).returncode != 0
    assert host.run(argv, env=change, input=f"wrong\n{new}\n", check=False).returncode != 0
    assert (opens(old), opens(new), opens("")) == (True, False, False)
    host.run(argv, env=change, input=f"{old}\n{new}\n")
    assert (opens(old), opens(new)) == (False, True)
