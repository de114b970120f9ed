"""The tables. A column is called like the field it holds, and its type carries the value.

What is more than the fields: `jobs` has who works it (`owner`, `fence`, `lease_until`) and where it stands in line
(`parked`, see `claiming`). Finished jobs keep the ids of a client or policy that is gone: ids are never
used again, so there they carry no foreign key.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, Float, ForeignKey, Index, MetaData, String, Table, func, text

from ..errors import JobError
from ..model import Baseline, ClientVariables, Drill, JobKind, JobStatus, Progress, Retention, Stats, Variables
from ..secret import Secret
from .types import Choice, Json, Plain, Said, Sealed, UTCDateTime, Value, Whole, to_json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Jobs that are not finished; as SQL with literals, since only so a partial index is used.
UNFINISHED = "status IN ('waiting', 'pending', 'starting', 'running')"
ACTIVE = "status IN ('starting', 'running')"

#: A pending job stands in line at the door, which is this, or is parked at the key of a name. Jobs that are
#: not pending, or whose `not_before` has not come, stand nowhere: NULL.
READY = ""
#: Before the key at whose pause a job is parked, as there is no room.
PAUSED = "pause:"


def _plain(value: Any) -> Any:
    return value.plain()


def _list(value: Any) -> list[Any]:
    return list(value)


def _reveal(value: Secret) -> str:
    return value.reveal()


def _seal_variables(value: Variables | ClientVariables) -> str | None:
    return to_json(value.plain()) if value else None


def _seal_pairs(value: tuple[tuple[str, str], ...]) -> str | None:
    return to_json(dict(value)) if value else None


def _seal_text(value: str) -> str | None:
    return value or None


def _load_json(text_: str) -> Any:
    import json

    return json.loads(text_)


def _load_client_variables(text_: str) -> ClientVariables:
    return ClientVariables.of_plain(_load_json(text_))


def _seal_drill(value: Drill) -> str | None:
    import attrs

    if value == Drill():
        return None
    return to_json({**attrs.asdict(value, recurse=False), "options": value.options.plain()})


def _load_drill(text_: str) -> Drill:
    return Drill(**_load_json(text_))


def _texts() -> Json:
    return Json(_list, tuple)


def _variables() -> Json:
    return Json(_plain, Variables)


def _sealed_secret() -> Sealed:
    return Sealed(_reveal, Secret)


def _sealed_variables() -> Sealed:
    return Sealed(_seal_variables, _load_json)


def _id() -> Column[Any]:
    return Column("id", Whole, primary_key=True, autoincrement=True)


def _must(name: str, type_: Any, *more: Any) -> Column[Any]:
    return Column(name, type_, *more, nullable=False)


def _to(table: str, **options: Any) -> ForeignKey:
    return ForeignKey(f"cyborg_{table}.id", ondelete="RESTRICT", **options)


def _table(name: str, *columns: Any) -> Table:
    # AUTOINCREMENT: an id is never given twice, whatever was removed.
    return Table(f"cyborg_{name}", metadata, *columns, sqlite_autoincrement=True)


clients = _table(
    "clients",
    _id(),
    _must("revision", Whole),
    _must("hostname", String(253)),
    _must("connection", String(16)),
    _must("address", String(253)),
    Column("port", Whole),
    Column("user", String(64)),
    Column("become", Boolean),
    Column("become_password", _sealed_secret()),
    _must("host_vars", _variables()),
    # Anything may be in them, passwords too.
    Column("trusted_vars", Sealed(_seal_pairs, _load_json)),
    _must("tags", _texts()),
    Column("bandwidth_limit", Whole),
    Column("hypervisor", Whole, ForeignKey("cyborg_clients.id", ondelete="RESTRICT")),
    _must("vm_name", Plain),
    _must("enabled", Boolean),
    _must("ready", Boolean),
    _must("ip", Plain),
    _must("borg_version", Plain),
    _must("facts", _variables()),
    _must("host_key", Plain),
    _must("public_key", Plain),
    _must("access", _texts()),
    _must("providers", _texts()),
    Column("prepared_at", UTCDateTime),
)

repositories = _table(
    "repositories",
    _id(),
    _must("revision", Whole),
    _must("name", String(63)),
    _must("path", Plain),
    Column("passphrase", _sealed_secret()),
    _must("encryption", String(32)),
    _must("append_only", Boolean),
    _must("shared", Boolean),
    Column("quota", Whole),
    _must("managed", Boolean),
    Column("admin_user", String(64)),
    Column("admin_become", Boolean),
    Column("admin_become_password", _sealed_secret()),
    _must("admin_vars", _variables()),
    _must("enabled", Boolean),
    _must("ready", Boolean),
    _must("host_key", Plain),
    _must("borg_version", Plain),
    _must("facts", _variables()),
)

schedules = _table(
    "schedules",
    _id(),
    _must("revision", Whole),
    _must("name", String(63)),
    _must("crontab", Plain),
    _must("timezone", String(64)),
    _must("enabled", Boolean),
    Column("counted_from", UTCDateTime),
)

policies = _table(
    "policies",
    _id(),
    _must("revision", Whole),
    _must("name", String(63)),
    _must("type", String(63)),
    _must("repository", Whole, _to("repositories")),
    Column("schedule", Whole, _to("schedules")),
    Column("retention", Value(Retention)),
    Column("extra_vars", _sealed_variables()),
    Column("client_extra_vars", Sealed(_seal_variables, _load_client_variables)),
    Column("prehook", Sealed(_seal_text, str)),
    Column("posthook", Sealed(_seal_text, str)),
    _must("compression", String(32)),
    _must("timeout", Whole),
    _must("retries", Whole),
    _must("enabled", Boolean),
    Column("counted_from", UTCDateTime),
    Column("next_run", UTCDateTime),
    Column("drill", Sealed(_seal_drill, _load_drill)),
    Column("drills_from", UTCDateTime),
    Column("next_drill", UTCDateTime),
)

policy_clients = Table(
    "cyborg_policy_clients",
    metadata,
    Column("policy", Whole, _to("policies"), primary_key=True, autoincrement=False),
    Column("client", Whole, _to("clients"), primary_key=True, autoincrement=False),
    _must("position", Whole),
)

vaults = _table(
    "vaults",
    _id(),
    _must("revision", Whole),
    _must("repository", Whole, _to("repositories")),
    Column("client", Whole, _to("clients")),
    _must("location", Plain),
    Column("passphrase", _sealed_secret()),
    Column("next_passphrase", _sealed_secret()),
    _must("borg_id", Plain),
    Column("key_export", _sealed_secret()),
    _must("public_key", Plain),
    Column("controller_key", _sealed_secret()),
    _must("ready", Boolean),
    _must("suspect", Said),
    _must("adopted", Boolean),
    _must("encryption", Plain),
    _must("filesystem", Plain),
    Column("free_bytes", Whole),
    Column("measured_at", UTCDateTime),
    Column("created_at", UTCDateTime),
    Column("prepared_at", UTCDateTime),
    Column("rekeyed_at", UTCDateTime),
    Column("baseline", Value(Baseline)),
    Column("unsettled_at", UTCDateTime),
    Column("deleted_at", UTCDateTime),
    Column("prune_at", UTCDateTime),
    Column("compact_at", UTCDateTime),
    Column("repository_checked_at", UTCDateTime),
    Column("archives_checked_at", UTCDateTime),
    Column("data_checked_at", UTCDateTime),
    Column("next_check", UTCDateTime),
)

jobs = _table(
    "jobs",
    _id(),
    _must("kind", Choice(JobKind)),
    _must("status", Choice(JobStatus)),
    Column("policy", Whole),
    Column("client", Whole),
    Column("hypervisor", Whole),
    Column("repository", Whole),
    Column("vault", Whole),
    Column("archive", Whole),
    _must("launched_by", Said),
    Column("relaunch_of", Whole),
    Column("due", UTCDateTime),
    _must("attempt", Whole),
    _must("attempts", Whole),
    _must("timeout", Whole),
    Column("created_at", UTCDateTime),
    Column("not_before", UTCDateTime),
    Column("started_at", UTCDateTime),
    Column("ended_at", UTCDateTime),
    _must("cancel_requested", Boolean),
    _must("reason", Said),
    Column("error", Value(JobError)),
    _must("warnings", _texts()),
    Column("stats", Value(Stats)),
    Column("progress", Value(Progress)),
    Column("extra_vars", _sealed_variables()),
    Column("options", _sealed_variables()),
    _must("policy_name", Plain),
    _must("client_name", Plain),
    _must("repository_name", Plain),
    # Not fields of a job: which engine works it (and the how-manieth it is), until when (ms by the database's
    # clock), and where the job stands in line.
    _must("fence", Whole),
    Column("owner", Plain),
    Column("lease_until", Whole),
    Column("parked", Plain),
    CheckConstraint("parked IS NULL OR status = 'pending'", name="ck_cyborg_jobs_parked"),
)

#: A job waits until those it needs are successful.
job_after = Table(
    "cyborg_job_after",
    metadata,
    Column("job", Whole, _to("jobs"), primary_key=True, autoincrement=False),
    Column("needs", Whole, _to("jobs"), primary_key=True, autoincrement=False),
)

#: What an unfinished job must hold to be worked; gone when it is finished.
job_keys = Table(
    "cyborg_job_keys",
    metadata,
    Column("job", Whole, _to("jobs"), primary_key=True, autoincrement=False),
    Column("key", Plain, primary_key=True),
    _must("exclusive", Boolean),
)

#: What the jobs at work hold now.
holds = Table(
    "cyborg_holds",
    metadata,
    Column("job", Whole, _to("jobs"), primary_key=True, autoincrement=False),
    Column("key", Plain, primary_key=True),
    _must("exclusive", Boolean),
)

archives = _table(
    "archives",
    _id(),
    _must("name", Plain),
    _must("borg_id", Plain),
    _must("vault", Whole, _to("vaults")),
    Column("policy", Whole, _to("policies")),
    Column("client", Whole, _to("clients")),
    Column("job", Whole, _to("jobs")),
    _must("part", Plain),
    Column("created_at", UTCDateTime),
    Column("recorded_at", UTCDateTime),
    Column("confirmed_at", UTCDateTime),
    Column("missing_at", UTCDateTime),
    Column("proved_at", UTCDateTime),
    Column("pruned_at", UTCDateTime),
    Column("cataloged_at", UTCDateTime),
    _must("doubtful", Said),
    _must("foreign", Boolean),
    _must("files", Whole),
    _must("original_bytes", Whole),
    _must("compressed_bytes", Whole),
    _must("deduplicated_bytes", Whole),
    _must("roots", _texts()),
)

proofs = _table(
    "proofs",
    _id(),
    _must("archive", Whole, _to("archives")),
    _must("how", Plain),
    Column("proved_at", UTCDateTime),
    # The job may have gone, as jobs do; what was proved stays.
    Column("policy", Whole),
    Column("client", Whole),
    Column("job", Whole),
    _must("files", Whole),
    _must("bytes", Whole),
    _must("seconds", Float),
    _must("tables", Whole),
    _must("rows", Whole),
)

output = Table(
    "cyborg_output",
    metadata,
    Column("job", Whole, _to("jobs"), primary_key=True, autoincrement=False),
    Column("n", Whole, primary_key=True, autoincrement=False),
    _must("line", Said),
)

#: What is full, by the key of those that write there: jobs that hold the key wait, but for those that make room.
pauses = Table(
    "cyborg_pauses",
    metadata,
    Column("key", Plain, primary_key=True),
    _must("code", String(32)),
    _must("reason", Said),
    _must("since", UTCDateTime),
    _must("tries", Whole),
    _must("look_at", UTCDateTime),
    _must("filesystem", Plain),
    Column("trial", Whole),
    _must("tried", Whole),
)

settings = Table(
    "cyborg_settings",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=False),
    _must("prepare", Boolean),
    _must("catalog", Boolean),
    _must("prune", Boolean),
    _must("prune_every", Whole),
    _must("max_prune_share", Float),
    _must("compact", Boolean),
    _must("compact_after", Whole),
    _must("verify_compact", Boolean),
    _must("max_fewer_files", Float),
    _must("max_fewer_bytes", Float),
    _must("controller_account", String(32)),
    _must("parallel", Whole),
    _must("hold_client", Boolean),
    _must("first_contact", String(16)),
    _must("connect_timeout", Whole),
    _must("lock_wait", Whole),
    _must("lease", Whole),
    _must("prepare_timeout", Whole),
    _must("catalog_timeout", Whole),
    _must("prune_timeout", Whole),
    _must("compact_timeout", Whole),
    _must("check_timeout", Whole),
    _must("restore_timeout", Whole),
    _must("drill_timeout", Whole),
    _must("min_free", Whole),
    _must("reserve", Whole),
    _must("quota_share", Whole),
    _must("keep_output", Whole),
    _must("output_lines", Whole),
    _must("keep_jobs", Whole),
    _must("retry_delays", _texts()),
    _must("check_repository_days", Whole),
    _must("check_archives_days", Whole),
    _must("check_data_days", Whole),
    _must("check_seconds", Whole),
)

meta = Table(
    "cyborg_meta",
    metadata,
    Column("name", String(63), primary_key=True),
    _must("value", Plain),
)

invitations = _table(
    "invitations",
    _id(),
    _must("kind", String(32)),
    _must("object", Whole),
    _must("token", String(128)),
    _must("expires_at", UTCDateTime),
    Column("used_at", UTCDateTime),
)


def _index(name: str, *columns: Any, unique: bool = False, where: str = "") -> None:
    condition: dict[str, Any] = {"sqlite_where": text(where), "postgresql_where": text(where)} if where else {}
    Index(name, *columns, unique=unique, **condition)


for _named, _column in ((clients, "hostname"), (repositories, "name"), (schedules, "name"), (policies, "name")):
    _index(f"uq_{_named.name}_{_column}_lower", func.lower(_named.c[_column]), unique=True)
_index("ix_cyborg_clients_hypervisor", clients.c.hypervisor)
_index("ix_cyborg_policies_repository", policies.c.repository)
_index("ix_cyborg_policies_schedule", policies.c.schedule)
_index("ix_cyborg_policies_next_run", policies.c.next_run)
_index("ix_cyborg_policies_next_drill", policies.c.next_drill)
_index("ix_cyborg_proofs_archive", proofs.c.archive)
_index("ix_cyborg_policy_clients_client", policy_clients.c.client)
_own, _shared = "client IS NOT NULL", "client IS NULL"
_index("uq_cyborg_vaults_repository_client", vaults.c.repository, vaults.c.client, unique=True, where=_own)
_index("uq_cyborg_vaults_repository", vaults.c.repository, unique=True, where=_shared)
_index("ix_cyborg_vaults_client", vaults.c.client)
_index("ix_cyborg_vaults_prune_at", vaults.c.prune_at)
_index("ix_cyborg_vaults_compact_at", vaults.c.compact_at)
_index("ix_cyborg_vaults_next_check", vaults.c.next_check)
_index("uq_cyborg_archives_vault_borg_id", archives.c.vault, archives.c.borg_id, unique=True)
_index("ix_cyborg_archives_job", archives.c.job)
_index("ix_cyborg_archives_policy_client", archives.c.policy, archives.c.client)
_index("ix_cyborg_archives_client", archives.c.client)
_index("uq_cyborg_invitations_token", invitations.c.token, unique=True)
# The line of those that may start, and what parks them; the order is that of ids.
_index("ix_cyborg_jobs_line", jobs.c.parked, jobs.c.id, where="parked IS NOT NULL")
_index("ix_cyborg_jobs_later", jobs.c.not_before, where="not_before IS NOT NULL")
_index("ix_cyborg_jobs_active", jobs.c.owner, jobs.c.lease_until, where=ACTIVE)
# Two engines never make the same backup twice: neither for one moment nor beside an unfinished one.
_index(
    "uq_cyborg_jobs_unfinished_backup",
    jobs.c.policy,
    jobs.c.client,
    unique=True,
    where=f"kind = 'backup' AND {UNFINISHED}",
)
_index(
    "uq_cyborg_jobs_due",
    jobs.c.policy,
    jobs.c.due,
    jobs.c.client,
    unique=True,
    where="kind = 'backup' AND due IS NOT NULL",
)
for _column in ("client", "hypervisor", "repository", "vault"):
    _index(f"ix_cyborg_jobs_unfinished_{_column}", jobs.c[_column], where=UNFINISHED)
_index("ix_cyborg_jobs_status", jobs.c.status, jobs.c.id)
_index("ix_cyborg_jobs_policy", jobs.c.policy, jobs.c.client, jobs.c.id)
_index("ix_cyborg_jobs_client", jobs.c.client, jobs.c.id)
_index("ix_cyborg_jobs_vault", jobs.c.vault, jobs.c.id)
# What ended long ago, oldest first.
_index("ix_cyborg_jobs_ended", jobs.c.ended_at, jobs.c.id, where="ended_at IS NOT NULL")
_index("ix_cyborg_job_after_needs", job_after.c.needs)
_index("ix_cyborg_holds_key", holds.c.key)
