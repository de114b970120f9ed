"""Keeps everything in SQLite or PostgreSQL. The only importer of SQLAlchemy and (for upgrades) alembic.

`metadata` holds the tables, all named `cyborg_…`, for a host that makes them with migrations of its own.
"""

from .claiming import Claim
from .database import unavailable
from .jobs import JobShelf, Queued
from .reading import ReadOnly, ReadShelf
from .schema import metadata
from .shelf import Shelf
from .store import Store

__all__ = ["Claim", "JobShelf", "Queued", "ReadOnly", "ReadShelf", "Shelf", "Store", "metadata", "unavailable"]
