"""The first tables."""

import sqlalchemy as sa
from alembic import op

from cyborglib.store.migrations import catalogue

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cyborg_clients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hostname", sa.String(length=253), nullable=False),
        sa.Column("connection", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=253), nullable=False),
        sa.Column("port", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("user", sa.String(length=64), nullable=True),
        sa.Column("become", sa.Boolean(), nullable=True),
        sa.Column("become_password", sa.Text(), nullable=True),
        sa.Column("host_vars", sa.Text(), nullable=False),
        sa.Column("trusted_vars", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("bandwidth_limit", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("hypervisor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("vm_name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("borg_version", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("host_key", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("providers", sa.Text(), nullable=False),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["hypervisor"], ["cyborg_clients.id"], name=op.f("fk_cyborg_clients_hypervisor"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_clients")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cyborg_clients_hypervisor", "cyborg_clients", ["hypervisor"], unique=False)
    op.create_index(
        "uq_cyborg_clients_hostname_lower", "cyborg_clients", [sa.literal_column("lower(hostname)")], unique=True
    )
    op.create_table(
        "cyborg_invitations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("object", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_invitations")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_cyborg_invitations_token", "cyborg_invitations", ["token"], unique=True)
    op.create_table(
        "cyborg_jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("policy", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("hypervisor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("repository", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("vault", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("archive", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("launched_by", sa.Text(), nullable=False),
        sa.Column("relaunch_of", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("due", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("attempts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("stats", sa.Text(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("extra_vars", sa.Text(), nullable=True),
        sa.Column("options", sa.Text(), nullable=True),
        sa.Column("policy_name", sa.Text(), nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("repository_name", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("parked", sa.Text(), nullable=True),
        sa.CheckConstraint("parked IS NULL OR status = 'pending'", name="ck_cyborg_jobs_parked"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_jobs")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_cyborg_jobs_active",
        "cyborg_jobs",
        ["owner", "lease_until"],
        unique=False,
        sqlite_where=sa.text("status IN ('starting', 'running')"),
        postgresql_where=sa.text("status IN ('starting', 'running')"),
    )
    op.create_index("ix_cyborg_jobs_client", "cyborg_jobs", ["client", "id"], unique=False)
    op.create_index(
        "ix_cyborg_jobs_ended",
        "cyborg_jobs",
        ["ended_at", "id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NOT NULL"),
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "ix_cyborg_jobs_later",
        "cyborg_jobs",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("not_before IS NOT NULL"),
        postgresql_where=sa.text("not_before IS NOT NULL"),
    )
    op.create_index(
        "ix_cyborg_jobs_line",
        "cyborg_jobs",
        ["parked", "id"],
        unique=False,
        sqlite_where=sa.text("parked IS NOT NULL"),
        postgresql_where=sa.text("parked IS NOT NULL"),
    )
    op.create_index("ix_cyborg_jobs_policy", "cyborg_jobs", ["policy", "client", "id"], unique=False)
    op.create_index("ix_cyborg_jobs_status", "cyborg_jobs", ["status", "id"], unique=False)
    op.create_index(
        "ix_cyborg_jobs_unfinished_client",
        "cyborg_jobs",
        ["client"],
        unique=False,
        sqlite_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
        postgresql_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
    )
    op.create_index(
        "ix_cyborg_jobs_unfinished_hypervisor",
        "cyborg_jobs",
        ["hypervisor"],
        unique=False,
        sqlite_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
        postgresql_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
    )
    op.create_index(
        "ix_cyborg_jobs_unfinished_repository",
        "cyborg_jobs",
        ["repository"],
        unique=False,
        sqlite_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
        postgresql_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
    )
    op.create_index(
        "ix_cyborg_jobs_unfinished_vault",
        "cyborg_jobs",
        ["vault"],
        unique=False,
        sqlite_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
        postgresql_where=sa.text("status IN ('waiting', 'pending', 'starting', 'running')"),
    )
    op.create_index("ix_cyborg_jobs_vault", "cyborg_jobs", ["vault", "id"], unique=False)
    op.create_index(
        "uq_cyborg_jobs_due",
        "cyborg_jobs",
        ["policy", "due", "client"],
        unique=True,
        sqlite_where=sa.text("kind = 'backup' AND due IS NOT NULL"),
        postgresql_where=sa.text("kind = 'backup' AND due IS NOT NULL"),
    )
    op.create_index(
        "uq_cyborg_jobs_unfinished_backup",
        "cyborg_jobs",
        ["policy", "client"],
        unique=True,
        sqlite_where=sa.text("kind = 'backup' AND status IN ('waiting', 'pending', 'starting', 'running')"),
        postgresql_where=sa.text("kind = 'backup' AND status IN ('waiting', 'pending', 'starting', 'running')"),
    )
    op.create_table(
        "cyborg_meta",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cyborg_meta")),
    )
    op.create_table(
        "cyborg_repositories",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("passphrase", sa.Text(), nullable=True),
        sa.Column("encryption", sa.String(length=32), nullable=False),
        sa.Column("append_only", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("quota", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("managed", sa.Boolean(), nullable=False),
        sa.Column("admin_user", sa.String(length=64), nullable=True),
        sa.Column("admin_become", sa.Boolean(), nullable=True),
        sa.Column("admin_become_password", sa.Text(), nullable=True),
        sa.Column("admin_vars", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("host_key", sa.Text(), nullable=False),
        sa.Column("borg_version", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_repositories")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_cyborg_repositories_name_lower", "cyborg_repositories", [sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "cyborg_schedules",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("crontab", sa.Text(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("counted_from", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_schedules")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_cyborg_schedules_name_lower", "cyborg_schedules", [sa.literal_column("lower(name)")], unique=True
    )
    op.create_table(
        "cyborg_pauses",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("filesystem", sa.Text(), nullable=False),
        sa.Column("trial", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("tried", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_cyborg_pauses")),
    )
    op.create_table(
        "cyborg_settings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("prepare", sa.Boolean(), nullable=False),
        sa.Column("catalog", sa.Boolean(), nullable=False),
        sa.Column("prune", sa.Boolean(), nullable=False),
        sa.Column("prune_every", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("max_prune_share", sa.Float(), nullable=False),
        sa.Column("compact", sa.Boolean(), nullable=False),
        sa.Column("compact_after", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("verify_compact", sa.Boolean(), nullable=False),
        sa.Column("max_fewer_files", sa.Float(), nullable=False),
        sa.Column("max_fewer_bytes", sa.Float(), nullable=False),
        sa.Column("controller_account", sa.String(length=32), nullable=False),
        sa.Column("parallel", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hold_client", sa.Boolean(), nullable=False),
        sa.Column("first_contact", sa.String(length=16), nullable=False),
        sa.Column("connect_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lock_wait", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lease", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prepare_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("catalog_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prune_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("compact_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("check_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("restore_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("drill_timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("min_free", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reserve", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quota_share", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("keep_output", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("output_lines", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("keep_jobs", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("retry_delays", sa.Text(), nullable=False),
        sa.Column("check_repository_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("check_archives_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("check_data_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("check_seconds", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_settings")),
    )
    op.create_table(
        "cyborg_holds",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["cyborg_jobs.id"], name=op.f("fk_cyborg_holds_job"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("job", "key", name=op.f("pk_cyborg_holds")),
    )
    op.create_index("ix_cyborg_holds_key", "cyborg_holds", ["key"], unique=False)
    op.create_table(
        "cyborg_job_after",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("needs", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["job"], ["cyborg_jobs.id"], name=op.f("fk_cyborg_job_after_job"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["needs"], ["cyborg_jobs.id"], name=op.f("fk_cyborg_job_after_needs"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("job", "needs", name=op.f("pk_cyborg_job_after")),
    )
    op.create_index("ix_cyborg_job_after_needs", "cyborg_job_after", ["needs"], unique=False)
    op.create_table(
        "cyborg_job_keys",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["cyborg_jobs.id"], name=op.f("fk_cyborg_job_keys_job"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("job", "key", name=op.f("pk_cyborg_job_keys")),
    )
    op.create_table(
        "cyborg_output",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["cyborg_jobs.id"], name=op.f("fk_cyborg_output_job"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("job", "n", name=op.f("pk_cyborg_output")),
    )
    op.create_table(
        "cyborg_policies",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("type", sa.String(length=63), nullable=False),
        sa.Column("repository", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("schedule", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("retention", sa.Text(), nullable=True),
        sa.Column("extra_vars", sa.Text(), nullable=True),
        sa.Column("client_extra_vars", sa.Text(), nullable=True),
        sa.Column("prehook", sa.Text(), nullable=True),
        sa.Column("posthook", sa.Text(), nullable=True),
        sa.Column("compression", sa.String(length=32), nullable=False),
        sa.Column("timeout", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("retries", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("counted_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_run", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drill", sa.Text(), nullable=True),
        sa.Column("drills_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_drill", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository"], ["cyborg_repositories.id"], name=op.f("fk_cyborg_policies_repository"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["schedule"], ["cyborg_schedules.id"], name=op.f("fk_cyborg_policies_schedule"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_policies")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cyborg_policies_next_drill", "cyborg_policies", ["next_drill"], unique=False)
    op.create_index("ix_cyborg_policies_next_run", "cyborg_policies", ["next_run"], unique=False)
    op.create_index("ix_cyborg_policies_repository", "cyborg_policies", ["repository"], unique=False)
    op.create_index("ix_cyborg_policies_schedule", "cyborg_policies", ["schedule"], unique=False)
    op.create_index("uq_cyborg_policies_name_lower", "cyborg_policies", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "cyborg_vaults",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("revision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("repository", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("passphrase", sa.Text(), nullable=True),
        sa.Column("next_passphrase", sa.Text(), nullable=True),
        sa.Column("borg_id", sa.Text(), nullable=False),
        sa.Column("key_export", sa.Text(), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("controller_key", sa.Text(), nullable=True),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("suspect", sa.Text(), nullable=False),
        sa.Column("adopted", sa.Boolean(), nullable=False),
        sa.Column("encryption", sa.Text(), nullable=False),
        sa.Column("filesystem", sa.Text(), nullable=False),
        sa.Column("free_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rekeyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("baseline", sa.Text(), nullable=True),
        sa.Column("unsettled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prune_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("repository_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archives_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_check", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client"], ["cyborg_clients.id"], name=op.f("fk_cyborg_vaults_client"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["repository"], ["cyborg_repositories.id"], name=op.f("fk_cyborg_vaults_repository"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_vaults")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cyborg_vaults_next_check", "cyborg_vaults", ["next_check"], unique=False)
    op.create_index("ix_cyborg_vaults_client", "cyborg_vaults", ["client"], unique=False)
    op.create_index("ix_cyborg_vaults_compact_at", "cyborg_vaults", ["compact_at"], unique=False)
    op.create_index("ix_cyborg_vaults_prune_at", "cyborg_vaults", ["prune_at"], unique=False)
    op.create_index(
        "uq_cyborg_vaults_repository",
        "cyborg_vaults",
        ["repository"],
        unique=True,
        sqlite_where=sa.text("client IS NULL"),
        postgresql_where=sa.text("client IS NULL"),
    )
    op.create_index(
        "uq_cyborg_vaults_repository_client",
        "cyborg_vaults",
        ["repository", "client"],
        unique=True,
        sqlite_where=sa.text("client IS NOT NULL"),
        postgresql_where=sa.text("client IS NOT NULL"),
    )
    op.create_table(
        "cyborg_archives",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("borg_id", sa.Text(), nullable=False),
        sa.Column("vault", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("policy", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pruned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cataloged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("doubtful", sa.Text(), nullable=False),
        sa.Column("foreign", sa.Boolean(), nullable=False),
        sa.Column("files", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("original_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("compressed_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("deduplicated_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("roots", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client"], ["cyborg_clients.id"], name=op.f("fk_cyborg_archives_client"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["job"], ["cyborg_jobs.id"], name=op.f("fk_cyborg_archives_job"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["policy"], ["cyborg_policies.id"], name=op.f("fk_cyborg_archives_policy"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["vault"], ["cyborg_vaults.id"], name=op.f("fk_cyborg_archives_vault"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_archives")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cyborg_archives_client", "cyborg_archives", ["client"], unique=False)
    op.create_index("ix_cyborg_archives_job", "cyborg_archives", ["job"], unique=False)
    op.create_index("ix_cyborg_archives_policy_client", "cyborg_archives", ["policy", "client"], unique=False)
    op.create_index("uq_cyborg_archives_vault_borg_id", "cyborg_archives", ["vault", "borg_id"], unique=True)
    op.create_table(
        "cyborg_proofs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("archive", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("policy", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("files", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("tables", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rows", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["archive"], ["cyborg_archives.id"], name=op.f("fk_cyborg_proofs_archive"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_proofs")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cyborg_proofs_archive", "cyborg_proofs", ["archive"], unique=False)
    op.create_table(
        "cyborg_policy_clients",
        sa.Column("policy", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["client"], ["cyborg_clients.id"], name=op.f("fk_cyborg_policy_clients_client"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["policy"], ["cyborg_policies.id"], name=op.f("fk_cyborg_policy_clients_policy"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("policy", "client", name=op.f("pk_cyborg_policy_clients")),
    )
    op.create_index("ix_cyborg_policy_clients_client", "cyborg_policy_clients", ["client"], unique=False)
    catalogue.make()
