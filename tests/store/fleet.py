"""A small fleet in a store, and plans for it."""

from __future__ import annotations

from cyborglib.model import Archive, Client, Job, JobKind, Policy, Repository, Schedule, Vault
from cyborglib.planning import Key, NewJob
from cyborglib.store import Claim, Store
from cyborglib.testing import FixedClock


class Fleet:
    """Three clients with a vault each, backed up by the policy `etc` every night."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clients = [store.clients.add(Client(f"web{n}.example.org")) for n in (1, 2, 3)]
        self.repository = store.repositories.add(Repository("nas", "borg@nas:/srv/{client}"))
        self.schedule = store.schedules.add(Schedule("nightly", "0 2 * * *"))
        self.policy = store.policies.add(
            Policy("etc", "config", repository=self.repository, clients=self.clients, schedule=self.schedule)
        )
        self.vaults = [
            store.vaults.add(Vault(self.repository, client, f"ssh://borg@nas/srv/{client.name}"))
            for client in self.clients
        ]

    def job(self, kind: JobKind | str, n: int = 0, **fields: object) -> Job:
        """A job of the n-th client."""
        kind = JobKind(kind)
        client, vault = self.clients[n], self.vaults[n]
        values: dict[str, object] = {"kind": kind, "client": client.id, "client_name": client.hostname}
        if kind is not JobKind.PREPARE_CLIENT:
            values |= {"vault": vault.id, "repository": self.repository.id, "repository_name": self.repository.name}
        if kind in (JobKind.BACKUP, JobKind.CATALOG):
            values |= {"policy": self.policy.id, "policy_name": self.policy.name}
        return Job(**(values | fields))  # type: ignore[arg-type]

    def chain(self, n: int = 0, **fields: object) -> list[NewJob]:
        """Prepare the client, prepare the vault, back up, list: each after those before it."""
        client, vault = Key(f"client:{self.clients[n].id}"), Key(f"vault:{self.vaults[n].id}")
        return [
            NewJob(self.job("prepare_client", n), (client,)),
            NewJob(self.job("prepare_repository", n), (vault, client), (0,)),
            NewJob(self.job("backup", n, **fields), (vault, client), (0, 1)),
            NewJob(self.job("catalog", n), (Key(vault.name, alone=False),), (2,)),
        ]

    def archive(self, n: int = 0, name: str = "first") -> Archive:
        """An archive as a backup of the n-th client makes it."""
        vault = self.vaults[n].id
        assert vault is not None
        policy, client = self.policy.id, self.clients[n].id
        return Archive(name=name, borg_id=f"{name}-id", vault=vault, policy=policy, client=client)

    def claim(self, limit: int = 20, owner: str = "engine", **options: object) -> list[Claim]:
        """What an engine takes now."""
        clock = self.store._database.clock
        assert isinstance(clock, FixedClock)
        return self.store.jobs.claim(owner, limit=limit, now=clock(), lease=60, **options)  # type: ignore[arg-type]

    def take(self, owner: str = "engine") -> Claim:
        """The one job that an engine takes now."""
        (claim,) = self.claim(limit=1, owner=owner)
        return claim


def alone(*names: str) -> tuple[Key, ...]:
    """Keys held alone."""
    return tuple(Key(name) for name in names)


def shared(*names: str) -> tuple[Key, ...]:
    """Keys held together with other readers."""
    return tuple(Key(name, alone=False) for name in names)


def free_job(title: str = "", **fields: object) -> Job:
    """A job that refers to nothing, for tests of keys alone."""
    return Job(kind=JobKind.DRILL, client_name=title, **fields)  # type: ignore[arg-type]


def ids(jobs: list[Job] | list[Claim]) -> list[int]:
    """The ids of jobs or of claimed jobs."""
    found = [job.job.id if isinstance(job, Claim) else job.id for job in jobs]
    return [number for number in found if number is not None]
