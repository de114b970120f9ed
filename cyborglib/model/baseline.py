"""What the host of a vault said of it when the library last had changed it."""

from __future__ import annotations

from attrs import field, frozen

from .fields import whole_number


@frozen(kw_only=True)
class Baseline:
    """From where on it is counted what a client's key did to its vault. All of it is the word of the vault's host.

    `freeable_bytes` are those that a compact could free, `stored_bytes` all that were ever stored and are not
    compacted away; `transaction` is the last one of the vault, and `log_bytes` the length of the file in which those of
    its clients are written down. `at` is when that was, in seconds since 1970 by the controller's clock.
    """

    freeable_bytes: int = field(default=0, validator=whole_number("freeable_bytes"))
    stored_bytes: int = field(default=0, validator=whole_number("stored_bytes"))
    transaction: int = field(default=0, validator=whole_number("transaction"))
    log_bytes: int = field(default=0, validator=whole_number("log_bytes"))
    at: int = field(default=0, validator=whole_number("at"))
