"""What holds for the whole of one store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from ..errors import Invalid
from .fields import check_account, maybe_empty, one_of, share, shown, truth, whole_number

_DAY = 24 * 3600
#: Seconds that any job may take at most.
_LONGEST = 366 * _DAY


def _delays(values: Iterable[int]) -> tuple[int, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise Invalid(f"retry_delays must be a list of seconds, like (10, 60), not {shown(values)}")
    return tuple(values)


def _seconds(name: str, default: int) -> Any:
    return field(default=default, validator=whole_number(name, least=1, most=_LONGEST))


@frozen(kw_only=True)
class Settings:
    """What holds for the whole of one store; change it by `cyborg.settings = attrs.evolve(cyborg.settings, …)`."""

    #: Prepare what is not ready before a backup. Off: such a backup is skipped, and says so.
    prepare: bool = field(default=True, validator=truth("prepare"))
    #: After a backup, let the controller itself list the vault, which confirms the archive.
    catalog: bool = field(default=True, validator=truth("catalog"))
    #: Delete what a policy's retention does not keep. A policy without a retention keeps everything anyway.
    prune: bool = field(default=True, validator=truth("prune"))
    #: Days between two prunes of a vault, which are spread over them.
    prune_every: int = field(default=7, validator=whole_number("prune_every", least=1, most=366))
    #: The share of a series (what one policy made of one client) that one prune may delete, above 0 to 1.
    max_prune_share: float = field(default=0.5, validator=share("max_prune_share"))
    #: Free the space of what was pruned.
    compact: bool = field(default=True, validator=truth("compact"))
    #: Days that deletions wait before a compact makes them final; until then the repository's host can bring them back.
    compact_after: int = field(default=7, validator=whole_number("compact_after", most=366))
    #: Before a compact of a vault whose host takes no commands, have the controller read and verify all of its data.
    verify_compact: bool = field(default=True, validator=truth("verify_compact"))
    #: The share of files, and of bytes, that a backup may have less than those before it and not be doubtful, to 1.
    max_fewer_files: float = field(default=0.5, validator=share("max_fewer_files"))
    max_fewer_bytes: float = field(default=0.7, validator=share("max_fewer_bytes"))
    #: The account without rights as which the controller lists vaults where the engine is root, as what clients wrote
    #: there is read then; "" for the engine's own. For a repository with `managed=False` it needs its own ssh key.
    controller_account: str = field(default="", validator=maybe_empty(check_account, "controller_account"))
    #: How many jobs one engine works at a time.
    parallel: int = field(default=20, validator=whole_number("parallel", least=1, most=1000))
    #: A job holds its client, so that two never work there at once.
    hold_client: bool = field(default=True, validator=truth("hold_client"))
    #: What to do with a host whose key nobody has pinned: "refuse", or "accept" what it shows first.
    first_contact: str = field(default="refuse", validator=one_of("first_contact", ("refuse", "accept")))
    #: Seconds until a connection that gives no answer has failed.
    connect_timeout: int = field(default=10, validator=whole_number("connect_timeout", least=1, most=600))
    #: Seconds that Borg waits for a lock on a vault before the job fails.
    lock_wait: int = field(default=600, validator=whole_number("lock_wait", most=86400))
    #: Seconds after which an engine that gave no sign of life has lost its jobs.
    lease: int = field(default=60, validator=whole_number("lease", least=5, most=3600))
    #: Seconds that a job may take, by its kind: preparations of every sort, and so on. A backup's are its policy's.
    prepare_timeout: int = _seconds("prepare_timeout", 3600)
    catalog_timeout: int = _seconds("catalog_timeout", 3600)
    prune_timeout: int = _seconds("prune_timeout", 6 * 3600)
    compact_timeout: int = _seconds("compact_timeout", _DAY)
    check_timeout: int = _seconds("check_timeout", 7 * _DAY)
    restore_timeout: int = _seconds("restore_timeout", 7 * _DAY)
    drill_timeout: int = _seconds("drill_timeout", _DAY)
    #: Per cent of a file system: with less of it free where vaults lie, `SpaceLow` is told. 0: never.
    min_free: int = field(default=10, validator=whole_number("min_free", most=99))
    #: Bytes of a managed host's file system that clients leave for prune and compact; a twentieth of it at most.
    reserve: int = field(default=5_000_000_000, validator=whole_number("reserve"))
    #: Per cent of what is free where a vault is prepared on a managed host, that it may take on top of what it has,
    #: unless its repository says a `quota`. 0: no quota.
    quota_share: int = field(default=50, validator=whole_number("quota_share", most=100))
    #: Days that the output of an ended job is kept, and how many lines of one job at most: the first and the last.
    keep_output: int = field(default=90, validator=whole_number("keep_output", least=1, most=36500))
    output_lines: int = field(default=10_000, validator=whole_number("output_lines", least=100, most=10**7))
    #: Days that an ended job is kept, unless it made an archive that is still known, or an unfinished job needs it.
    keep_jobs: int = field(default=365, validator=whole_number("keep_jobs", least=1, most=36500))
    #: Seconds before the first and the second try again; later ones wait as long as the last.
    retry_delays: tuple[int, ...] = field(default=(10, 60), converter=_delays)
    #: In how many days all of each vault is gone through by `borg check`: the files of its repository, what its
    #: archives are made of, and the data in them, which is read and decrypted. 0 never. Vaults are spread over these
    #: days.
    check_repository_days: int = field(default=30, validator=whole_number("check_repository_days", most=3660))
    check_archives_days: int = field(default=30, validator=whole_number("check_archives_days", most=3660))
    check_data_days: int = field(default=180, validator=whole_number("check_data_days", most=3660))
    #: Seconds after which the check of a repository's files ends for the day; it goes on there the next one.
    check_seconds: int = field(default=3600, validator=whole_number("check_seconds", least=60, most=7 * 86400))

    @retry_delays.validator
    def _check_delays(self, attribute: Any, value: tuple[int, ...]) -> None:
        check = whole_number("retry_delays: the delay", most=86400)
        for delay in value:
            check(self, attribute, delay)
