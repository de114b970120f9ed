"""A client, a vault of its own and a job, to be assigned and settled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import evolve

import cyborglib as cy
from cyborglib.executor import ArchiveMade
from cyborglib.kinds import Work
from cyborglib.sealing import generate_ssh_key

NOON = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ID, OTHER_ID = "ab" * 32, "cd" * 32
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"

PASSPHRASE, BECOME, ADMIN = "canary of the vault", "canary of sudo", "canary of the administrator"
EXPORT = cy.Secret(f"BORG_KEY {ID}\nhqlhbGdvcml0aG2mc2hhMjU2\n")
CONTROLLER_KEY, _ = generate_ssh_key("cyborg controller")
#: What no run may hold.
CANARIES = (
    PASSPHRASE,
    BECOME,
    ADMIN,
    CONTROLLER_KEY.reveal(),
    CONTROLLER_KEY.reveal().splitlines()[2],
    EXPORT.reveal(),
)

CLIENT = cy.Client(
    "web1.example.org",
    id=3,
    ready=True,
    access=[5],
    host_key=HOST_KEY,
    become_password=BECOME,
    bandwidth_limit=100,
    facts={"keys": "/etc/cyborg/keys", "become": True, "python": "/usr/bin/python3"},
)
REPOSITORY = cy.Repository("nas", "borg@nas:/srv/{client}", id=1, host_key=HOST_KEY, admin_become_password=ADMIN)
STORAGE_BOX = cy.Repository("box", "u1@box.example:backup/{client}", managed=False, id=1, host_key=HOST_KEY)
DISK = cy.Repository("disk", "/srv/borg", id=1)
VAULT = cy.Vault(
    1,
    3,
    "ssh://borg@nas/srv/web1.example.org-3",
    id=5,
    ready=True,
    borg_id=ID,
    passphrase=PASSPHRASE,
    key_export=EXPORT,
    controller_key=CONTROLLER_KEY,
)
POLICY = cy.Policy("etc", "config", repository=1, clients=[3], id=9, compression="lz4")
ARCHIVE = cy.Archive(name="old", borg_id="11" * 32, vault=5, policy=9, client=3, id=8, roots=[("/etc", "ext4:1")])


def role(
    type: str, variables: Mapping[str, Any], policy_vars: Mapping[str, Any] | None = None, *, drill: bool = False
) -> tuple[str, Mapping[str, Any], Mapping[str, cy.Secret]]:
    """Each variable that is called `password` or `command` is a secret."""
    values = {f"policy_{type}_{name}": value for name, value in {**(policy_vars or {}), **variables}.items()}
    secrets = {name: cy.Secret(value) for name, value in values.items() if name.endswith(("_password", "_command"))}
    plain = {name: value for name, value in values.items() if name not in secrets}
    return f"cyborg.backup.policy_{type}", plain, secrets


def work(kind: str, **changes: Any) -> Work:
    """A claimed job of a kind. `job` may hold changes of the job's own fields."""
    job = cy.Job(
        kind=kind,
        id=42,
        attempt=2,
        policy=9,
        policy_name="etc",
        client=3,
        client_name="web1.example.org",
        repository=1,
        repository_name="nas",
        vault=5,
        extra_vars={"exclude": ["/etc/{{ x }}"]},
        timeout=77,
    )
    given = {
        "fence": 4,
        "settings": cy.Settings(),
        "now": NOON,
        "client": CLIENT,
        "repository": REPOSITORY,
        "vault": VAULT,
        "policy": POLICY,
        "archive": ARCHIVE,
        "state_dir": "/var/lib/cyborg",
        "role": role,
    } | changes
    given["job"] = evolve(job, **changes.get("job", {}))
    return Work(**given)


def made(name: str, borg_id: str = OTHER_ID) -> ArchiveMade:
    return ArchiveMade(name=name, borg_id=borg_id, stats=cy.Stats(files=1))
