"""Claims jobs, hands runs to the executor, records and tells."""

from .engine import Engine

__all__ = ["Engine"]
