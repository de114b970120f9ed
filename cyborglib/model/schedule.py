"""When: a crontab line in a time zone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import field, frozen

from ..crontab import Crontab
from ..timezones import validate_timezone
from .fields import as_utc, name_of, observed, truth


@frozen
class Schedule:
    """A crontab line of five fields, read in a time zone: `Schedule("nightly", "0 2 * * *", timezone="Europe/Paris")`.

    Raises `Invalid`, naming the field that is wrong. A moment that a change of the clocks skips comes at
    the end of the gap; one that comes twice is taken once (lines whose minute or hour begins with `*` go
    by elapsed time instead). What was missed while nothing ran comes once, late.
    """

    name: str = field(validator=name_of("the schedule's name"))
    crontab: str = field()
    timezone: str = field(default="UTC", kw_only=True)
    enabled: bool = field(default=True, kw_only=True, validator=truth("enabled"))

    id: int | None = observed()
    revision: int = observed(0)
    #: Since when its moments count: when it was last added, changed or enabled.
    counted_from: datetime | None = observed(converter=as_utc)

    @crontab.validator
    def _check_crontab(self, _attribute: Any, value: object) -> None:
        Crontab.parse(value)

    @timezone.validator
    def _check_timezone(self, _attribute: Any, value: object) -> None:
        validate_timezone(value)
