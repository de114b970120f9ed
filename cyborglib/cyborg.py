"""Cyborg: the one object that a script or service holds."""

from __future__ import annotations

from .facade.adopting import Adopting
from .facade.aftercare import Aftercare
from .facade.contents import Contents
from .facade.keeping import Keeping
from .facade.proving import Proving
from .facade.queueing import Queueing
from .facade.working import Working


class Cyborg(Adopting, Queueing, Aftercare, Keeping, Proving, Contents, Working):
    """Everything of one store: what is to be backed up, the verbs, and the engine that works them.

    `bind` is a database URL ("sqlite:///cyborg.db", "postgresql+psycopg://…") or the host application's
    SQLAlchemy Engine, which is never disposed of here. Opening makes the tables in an empty database and
    migrates older ones; `migrate=False` never alters anything.

    `key` seals the secrets: a Fernet key, a list of them (all unseal; the first seals a new database) or the path of
    a file that holds one. None: $CYBORG_KEY, $CYBORG_KEY_FILE, else for an SQLite file a key file in the user's
    configuration folder, made only together with the database.

    Raises `MissingKey`, `WrongKey`, `SchemaTooNew`, `SchemaTooOld` or `StoreError`; nothing is overwritten.
    """
