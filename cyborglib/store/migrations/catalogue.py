"""The first tables of the catalogue of contents, for the first revision."""

import sqlalchemy as sa
from alembic import op


def make() -> None:
    """Make them."""
    op.create_table(
        "cyborg_owners",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("uid", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gid", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_owners")),
    )
    op.create_index("uq_cyborg_owners", "cyborg_owners", ["uid", "gid", "user", "group"], unique=True)
    op.create_table(
        "cyborg_paths",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("parent", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_paths")),
    )
    op.create_index("uq_cyborg_paths_parent_name", "cyborg_paths", ["parent", "name"], unique=True)
    op.create_table(
        "cyborg_series",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("policy", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("client", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("vault", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stem", sa.Text(), nullable=False),
        sa.Column("old", sa.Boolean(), nullable=False),
        sa.Column("archive", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("fence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cyborg_series")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cyborg_series_policy_client", "cyborg_series", ["policy", "client"], unique=False)
    op.create_table(
        "cyborg_versions",
        sa.Column("path", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("series", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column(
            "first_archive", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("last_archive", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(length=1), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mtime", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("mode", sa.SmallInteger(), nullable=True),
        sa.Column("owner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("path", "series", "first_archive", name=op.f("pk_cyborg_versions")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_cyborg_versions_first",
        "cyborg_versions",
        ["series", "first_archive"],
        unique=False,
        sqlite_where=sa.text("first_archive > 0"),
        postgresql_where=sa.text("first_archive > 0"),
    )
    op.create_index("ix_cyborg_versions_last", "cyborg_versions", ["series", "last_archive", "path"], unique=False)
    op.create_table(
        "cyborg_contents",
        sa.Column("series", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("archive", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("entries", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["archive"], ["cyborg_archives.id"], name=op.f("fk_cyborg_contents_archive"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["series"], ["cyborg_series.id"], name=op.f("fk_cyborg_contents_series"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("series", "archive", name=op.f("pk_cyborg_contents")),
    )
    op.create_index("ix_cyborg_contents_archive", "cyborg_contents", ["archive"], unique=False)
