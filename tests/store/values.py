"""Strategies for every value that a store keeps, with every field of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from cyborglib.errors import ErrorCode, JobError
from cyborglib.model import (
    Archive,
    Baseline,
    Client,
    Drill,
    Job,
    JobKind,
    JobStatus,
    Policy,
    Progress,
    Proof,
    Repository,
    Retention,
    Schedule,
    Settings,
    Stats,
    Variables,
    Vault,
)
from cyborglib.secret import Secret

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
hosts = st.one_of(
    st.from_regex(r"[a-zA-Z]([a-zA-Z0-9-]{0,20}[a-zA-Z])?(\.[a-z]{1,10}){0,4}", fullmatch=True),
    st.ip_addresses().filter(lambda address: getattr(address, "scope_id", None) is None).map(str),
)
accounts = st.from_regex(r"[a-z_][a-z0-9_.-]{0,31}", fullmatch=True)
#: Everything that both databases keep in a text column.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)
#: Names of files too: bytes that are no UTF-8 come as lone low surrogates.
raw_texts = st.text(st.one_of(st.characters(codec="utf-8"), st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)))
lines = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), max_size=60)
whole = st.integers(-(2**63), 2**63 - 1)
sizes = st.integers(0, 2**62)
floats = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1, exclude_min=True)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_bounds = (datetime(1900, 1, 1), datetime(2999, 12, 30))  # noqa: DTZ001 - hypothesis wants them so
times = st.datetimes(*_bounds, timezones=st.one_of(st.just(UTC), zones))
secrets = lines.map(Secret)
#: A private key, or what Borg exported: several lines, and in the worst case anything.
long_secrets = st.text(st.characters(), max_size=200).map(Secret)
key_lines = st.sampled_from(["", "ssh-ed25519 " + "A" * 68])


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


plain_json = st.recursive(
    st.none() | st.booleans() | whole | floats | raw_texts.filter(lambda text: "\x00" not in text),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
variables = st.dictionaries(
    names.filter(lambda name: not name.lower().startswith("ansible_")), plain_json, max_size=4
).map(Variables)
stats = st.builds(
    Stats,
    files=sizes,
    original_bytes=sizes,
    compressed_bytes=sizes,
    deduplicated_bytes=sizes,
    seconds=floats,
)
progress = st.builds(
    Progress,
    files=sizes,
    original_bytes=sizes,
    compressed_bytes=sizes,
    deduplicated_bytes=sizes,
    seconds=floats,
    path=raw_texts,
    fraction=maybe(floats),
    remaining=maybe(floats),
)
retentions = st.builds(
    Retention,
    hourly=st.integers(0, 9999),
    daily=st.integers(0, 9999),
    weekly=st.integers(0, 9999),
    monthly=st.integers(0, 9999),
    yearly=st.integers(0, 9999),
    within=st.sampled_from(["", "2d", "12H"]),
)
host_vars = st.fixed_dictionaries({}, optional={"become_user": accounts, "interpreter": st.just("/usr/bin/python3")})
clients = st.builds(
    Client,
    hosts,
    connection=st.sampled_from(["ssh", "local"]),
    address=st.just("") | hosts,
    port=maybe(st.integers(1, 65535)),
    user=maybe(accounts),
    become=maybe(st.booleans()),
    become_password=maybe(secrets),
    host_vars=host_vars,
    trusted_vars=st.dictionaries(st.sampled_from(["ansible_shell_type", "x", "y_1"]), texts, max_size=3),
    tags=st.lists(names, max_size=4),
    bandwidth_limit=maybe(st.integers(1, 2**31)),
    hypervisor=st.sampled_from([None, 1, 2]),
    vm_name=st.text(st.characters(categories=["L", "N", "P"]), max_size=60),
    enabled=st.booleans(),
    ready=st.booleans(),
    ip=texts,
    borg_version=texts,
    facts=variables,
    host_key=key_lines,
    public_key=texts,
    prepared_at=maybe(times),
    access=st.lists(st.integers(1, 2**60), max_size=3),
    providers=st.lists(names, max_size=2),
)
repositories = st.builds(
    Repository,
    names,
    path=st.sampled_from(["/srv/backup", "borg@nas:/srv/{client}", "ssh://borg@[2001:db8::1]:2222/srv/ä"]),
    passphrase=maybe(secrets.filter(bool)),
    encryption=st.sampled_from(["repokey-blake2", "repokey"]),
    append_only=st.booleans(),
    shared=st.booleans(),
    quota=maybe(st.integers(10**7, 2**62)),
    admin_user=maybe(accounts),
    admin_become=maybe(st.booleans()),
    admin_become_password=maybe(secrets),
    admin_vars=host_vars,
    enabled=st.booleans(),
    ready=st.booleans(),
    host_key=key_lines,
    borg_version=texts,
    facts=variables,
)
schedules = st.builds(
    Schedule,
    names,
    st.sampled_from(["0 2 * * *", "*/15 1-5 * jan,mar mon", "@weekly"]),
    timezone=st.sampled_from(["UTC", "Europe/Paris", "America/Argentina/ComodRivadavia"]),
    enabled=st.booleans(),
)
commands = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
drills = st.builds(
    Drill,
    days=st.integers(0, 3660),
    files=st.integers(1, 1000),
    bytes=st.integers(1, 2**62),
    whole=st.booleans(),
    host=maybe(whole),
    options=variables,
)
policies = st.builds(
    Policy,
    names,
    names,
    repository=st.just(1),
    # Always with the one that may have variables of its own.
    clients=st.lists(st.integers(2, 3), unique=True).map(lambda others: [*others[1:], 1, *others[:1]]),
    schedule=st.sampled_from([None, 1]),
    retention=maybe(retentions),
    extra_vars=variables,
    client_extra_vars=st.dictionaries(st.just(1), variables),
    prehook=commands,
    posthook=commands,
    compression=st.sampled_from(["none", "auto,zstd,22", "lzma,0"]),
    timeout=st.integers(1, 31_622_400),
    retries=st.integers(0, 20),
    drill=drills,
    enabled=st.booleans(),
)

vaults = st.builds(
    Vault,
    repository=st.just(1),
    client=st.sampled_from([None, 1, 2, 3]),
    location=st.sampled_from(["/srv/backup", "ssh://borg@nas/srv/ä"]),
    passphrase=maybe(long_secrets),
    next_passphrase=maybe(long_secrets),
    borg_id=texts,
    key_export=maybe(long_secrets),
    public_key=texts,
    controller_key=maybe(long_secrets),
    ready=st.booleans(),
    suspect=texts,
    adopted=st.booleans(),
    encryption=texts,
    filesystem=texts,
    free_bytes=maybe(st.integers(0, 2**62)),
    measured_at=maybe(times),
    created_at=maybe(times),
    prepared_at=maybe(times),
    rekeyed_at=maybe(times),
    baseline=maybe(
        st.builds(
            Baseline, freeable_bytes=sizes, stored_bytes=sizes, transaction=sizes, log_bytes=sizes, at=sizes
        )
    ),
    unsettled_at=maybe(times),
    deleted_at=maybe(times),
    prune_at=maybe(times),
    compact_at=maybe(times),
    repository_checked_at=maybe(times),
    archives_checked_at=maybe(times),
    data_checked_at=maybe(times),
    next_check=maybe(times),
)
archives = st.builds(
    Archive,
    name=texts,
    borg_id=texts,
    vault=st.just(4),  # the one that the tests leave in their store
    policy=st.sampled_from([None, 1]),
    client=st.sampled_from([None, 1, 2]),
    part=texts,
    created_at=maybe(times),
    recorded_at=maybe(times),
    confirmed_at=maybe(times),
    missing_at=maybe(times),
    proved_at=maybe(times),
    pruned_at=maybe(times),
    cataloged_at=maybe(times),
    doubtful=texts,
    foreign=st.booleans(),
    files=whole,
    original_bytes=whole,
    compressed_bytes=whole,
    deduplicated_bytes=whole,
    roots=st.lists(st.tuples(raw_texts, raw_texts), max_size=3),
)
proofs = st.builds(
    Proof,
    archive=st.just(1),
    how=raw_texts,
    proved_at=maybe(times),
    policy=maybe(whole),
    client=maybe(whole),
    job=maybe(whole),
    files=whole,
    bytes=whole,
    seconds=st.floats(0, 10**9),
    tables=whole,
    rows=whole,
)
errors = st.builds(JobError, st.sampled_from(ErrorCode), raw_texts, permanent=st.booleans())
#: The fields of a job that are written while it is worked, and those that it is queued with.
jobs = st.builds(
    Job,
    kind=st.sampled_from(JobKind),
    status=st.sampled_from(JobStatus),
    policy=maybe(whole),
    client=maybe(whole),
    repository=maybe(whole),
    vault=maybe(whole),
    hypervisor=maybe(whole),
    archive=maybe(whole),
    launched_by=texts,
    relaunch_of=st.none() | st.integers(1, 2**62),
    due=maybe(times),
    attempt=sizes,
    attempts=sizes,
    timeout=sizes,
    created_at=maybe(times),
    not_before=maybe(times),
    started_at=maybe(times),
    ended_at=maybe(times),
    cancel_requested=st.booleans(),
    reason=texts,
    error=maybe(errors),
    warnings=st.lists(raw_texts, max_size=3),
    stats=maybe(stats),
    progress=maybe(progress),
    extra_vars=variables,
    options=variables,
    policy_name=texts,
    client_name=texts,
    repository_name=texts,
)
settings = st.builds(
    Settings,
    prepare=st.booleans(),
    catalog=st.booleans(),
    prune=st.booleans(),
    prune_every=st.integers(1, 366),
    max_prune_share=shares,
    compact=st.booleans(),
    compact_after=st.integers(0, 366),
    verify_compact=st.booleans(),
    max_fewer_files=shares,
    max_fewer_bytes=shares,
    controller_account=st.one_of(st.just(""), accounts),
    parallel=st.integers(1, 1000),
    hold_client=st.booleans(),
    first_contact=st.sampled_from(["refuse", "accept"]),
    connect_timeout=st.integers(1, 600),
    lock_wait=st.integers(0, 86400),
    lease=st.integers(5, 3600),
    prepare_timeout=st.integers(1, 366 * 86400),
    catalog_timeout=st.integers(1, 366 * 86400),
    prune_timeout=st.integers(1, 366 * 86400),
    compact_timeout=st.integers(1, 366 * 86400),
    check_timeout=st.integers(1, 366 * 86400),
    restore_timeout=st.integers(1, 366 * 86400),
    drill_timeout=st.integers(1, 366 * 86400),
    min_free=st.integers(0, 99),
    reserve=st.integers(0, 2**62),
    quota_share=st.integers(0, 100),
    keep_output=st.integers(1, 36500),
    output_lines=st.integers(100, 10**7),
    keep_jobs=st.integers(1, 36500),
    retry_delays=st.lists(st.integers(0, 86400), max_size=4),
    check_repository_days=st.integers(0, 3660),
    check_archives_days=st.integers(0, 3660),
    check_data_days=st.integers(0, 3660),
    check_seconds=st.integers(60, 7 * 86400),
)
