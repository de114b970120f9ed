"""What holds for every value: checked when it is built, frozen, masked, equal by what it holds."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

import cyborglib as cy
from cyborglib.model.fields import EXECUTES, SEALED, declared_fields, observed_fields, sealed_fields
from tests.borg_itself import ask_borg

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CANARY = "correct horse battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"

VALUES = [
    cy.Client("web1.example.org", port=22, become_password=CANARY, trusted_vars={"ansible_become_pass": CANARY}),
    cy.Repository("vault", "borg@nas:/srv/{client}", passphrase=CANARY, admin_become_password=CANARY),
    cy.Vault(1, 2, "ssh://borg@nas/srv/web-2", passphrase=CANARY, key_export=CANARY, controller_key=CANARY),
    cy.Schedule("nightly", "0 2 * * *", timezone="Europe/Paris"),
    cy.Policy("etc", "config", repository=1, clients=[1, 2], extra_vars={"password": CANARY}, retention={"daily": 7}),
    cy.Job(kind="backup", extra_vars={"password": CANARY}, options={"token": [CANARY]}),
    cy.Archive(name="a", borg_id="b" * 64, vault=1, roots=[("/etc", "ext4")]),
    cy.Settings(),
    cy.Retention(daily=7, within="2d"),
    cy.Stats(files=1),
    cy.Progress(files=1),
    cy.JobError("lock_held", "locked"),
]
each = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


@each
def test_frozen_and_slotted(value):
    name = attrs.fields(type(value))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        value.something_else = 1
    assert not hasattr(value, "__dict__")


@each
def test_equal_by_what_it_holds(value):
    same = attrs.evolve(value)
    assert same == value
    assert same is not value
    assert hash(same) == hash(value)
    assert copy.deepcopy(value) == value
    if hasattr(value, "id"):
        assert attrs.evolve(value, id=7) != value


@each
def test_every_field_survives_being_built_again(value):
    fields = {attribute.name: getattr(value, attribute.name) for attribute in attrs.fields(type(value))}
    assert type(value)(**fields) == value


@each
def test_no_secret_shows(value):
    for shown in (repr(value), str(value), f"{value}", repr(attrs.asdict(value, filter=lambda a, _: a.repr))):
        assert CANARY not in shown


def test_a_value_with_a_secret_is_not_pickled():
    for value in VALUES[:3] + VALUES[4:6]:
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(value)


def test_what_is_sealed():
    assert {cls.__name__: sealed_fields(cls) for cls in (cy.Client, cy.Repository, cy.Vault, cy.Policy, cy.Job)} == {
        "Client": ("become_password", "trusted_vars"),
        "Repository": ("passphrase", "admin_become_password"),
        "Vault": ("passphrase", "next_passphrase", "key_export", "controller_key"),
        "Policy": ("extra_vars", "client_extra_vars", "prehook", "posthook", "drill"),
        "Job": ("extra_vars", "options"),
    }


def test_what_decides_where_things_run_is_marked():
    marked = {
        a.name for cls in (cy.Client, cy.Repository, cy.Policy) for a in attrs.fields(cls) if a.metadata.get(EXECUTES)
    }
    hosts = {"connection", "address", "host_vars", "admin_vars", "trusted_vars", "path", "hypervisor", "vm_name"}
    assert marked == hosts | {"extra_vars", "client_extra_vars", "prehook", "posthook", "drill"}


@pytest.mark.parametrize("cls", [cy.Client, cy.Repository, cy.Schedule, cy.Policy])
def test_fields_are_declared_or_observed(cls):
    declared, observed = declared_fields(cls), observed_fields(cls)
    assert set(declared) | set(observed) == {attribute.name for attribute in attrs.fields(cls)}
    assert not set(declared) & set(observed)
    assert {"id", "revision"} <= set(observed)
    assert not any(attribute.metadata.get(SEALED) for attribute in attrs.fields(cls) if attribute.name in observed)


def client(**fields):
    return cy.Client("web", **fields)


def repository(**fields):
    return cy.Repository("vault", "nas:/srv/{client}", **fields)


def policy(**fields):
    return cy.Policy("etc", **{"type": "config", "repository": 1, **fields})


BIG = 10**5000
TABLE = [
    *[(client, {"port": port}) for port in (0, 65536, -1, True, "22", 22.0, BIG)],
    *[(client, {"become": become}) for become in ("yes", 1, 0, "")],
    *[(client, {"become_password": secret}) for secret in (5, b"x", ["x"], "a\nb", "a\n", "a\x00b", "\udcff")],
    *[(client, {"connection": name}) for name in ("", "SSH", "docker", None, 5, ["ssh"])],
    *[(client, {"bandwidth_limit": limit}) for limit in (0, -1, "5", 1.5, 2**40)],
    *[(client, {"enabled": enabled}) for enabled in (None, "yes", 1)],
    *[(client, {"tags": tags}) for tags in ("web", None, 5, [5], {"a": 1}, b"ab")],
    *[(client, {"address": address}) for address in (None, 5)],
    *[(client, {"host_vars": values}) for values in ("x", 5, [("become_user", "root")])],
    *[
        (client, {"host_key": key})
        for key in (
            None,
            5,
            "ssh-ed25519",
            "AAAA",
            f"-o {KEY}",
            f"x {KEY}",
            f"{KEY}\n{KEY}",
            f"restrict {KEY}",
            "rsa AAAA",
            "@cert-authority * ssh-rsa AAAA",
            "ssh-ed25519 AA=AA",
            "ssh-ed25519\x0bAAAA",
            "ssh-ed25519 {{x}}",
        )
    ],
    *[(repository, {"passphrase": secret}) for secret in ("", 5, "a\n", "a\x00")],
    *[(repository, {"admin_become_password": secret}) for secret in (5, "a\r\n")],
    *[(repository, {"encryption": mode}) for mode in ("none", "", "keyfile", None, "REPOKEY")],
    *[(repository, {"quota": quota}) for quota in (0, 1000, -1, "5G", 1e9, True)],
    *[(repository, {name: "yes"}) for name in ("append_only", "shared", "managed", "enabled", "admin_become")],
    *[
        (policy, {"compression": text})
        for text in (None, 5, "", "gzip", "zstd ", "zstd,3\n", "ZSTD", "zstd,\uff13", "lz4,1")
    ],
    *[(policy, {"timeout": seconds}) for seconds in (0, -1, None, "60", 10**9, BIG)],
    *[(policy, {"retries": count}) for count in (-1, 21, None, 1.0)],
    *[(policy, {"retention": value}) for value in (7, "daily", {"dayly": 1}, {5: 1}, [("daily", 1)])],
    *[
        (policy, {"repository": value})
        for value in (None, "vault", True, 1.0, cy.Schedule("s", "@daily", id=1), client(id=1))
    ],
    *[(policy, {"repository": cy.Repository("new", "/srv")})],
    *[
        (policy, {"clients": value})
        for value in (None, "web", [None], ["web"], [True], b"ab", {1: 2}, [repository(id=1)])
    ],
    *[(policy, {"clients": [client()]})],
    *[(policy, {"schedule": value}) for value in ("nightly", True, 1.0, repository(id=1))],
    *[(policy, {"extra_vars": value}) for value in ("x", 5, [("a", 1)], {"a": b"x"})],
    *[(policy, {"enabled": None})],
    *[
        (cy.Retention, {name: bad})
        for name in ("hourly", "daily", "weekly", "monthly", "yearly")
        for bad in (-1, None, "7", True)
    ],
    *[
        (cy.Retention, {"within": text})
        for text in (None, 5, "2", "d", "0d", "2M", "2D", "-2d", "2d ", "2d\n", "1000000d", "\uff12d")
    ],
    *[(cy.Settings, {name: "yes"}) for name in ("prepare", "catalog", "hold_client")],
    *[(cy.Settings, {"parallel": count}) for count in (0, 1001, None, "20")],
    *[(cy.Settings, {"first_contact": text}) for text in ("", "ask", None, True)],
    *[(cy.Settings, {"connect_timeout": seconds}) for seconds in (0, 601, None, 1.5)],
    *[(cy.Settings, {"lock_wait": seconds}) for seconds in (-1, 86401, None)],
    *[(cy.Settings, {"lease": seconds}) for seconds in (4, 3601, None)],
    *[(cy.Settings, {f"{kind}_timeout": 0}) for kind in ("prepare", "catalog", "prune", "compact")],
    *[(cy.Settings, {f"{kind}_timeout": None}) for kind in ("check", "restore", "drill")],
    *[(cy.Settings, {"min_free": share}) for share in (-1, 100, None, 0.5)],
    *[(cy.Settings, {"quota_share": share}) for share in (-1, 101, None, 0.5)],
    *[(cy.Settings, {"reserve": size}) for size in (-1, None, "5G")],
    *[(cy.Settings, {"keep_output": days}) for days in (0, None, 1.5)],
    *[(cy.Settings, {"keep_jobs": days}) for days in (0, None, 1.5)],
    *[(cy.Settings, {"output_lines": lines}) for lines in (99, None)],
    *[(cy.Settings, {"retry_delays": delays}) for delays in (5, None, "10", [-1], ["10"], [1.5], [True], [90000])],
]


@pytest.mark.parametrize(
    ("build", "fields"), TABLE, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_what_cannot_be_used_is_refused_by_name(build, fields):
    [name] = fields
    with pytest.raises(cy.Invalid, match=name) as refused:
        build(**fields)
    assert len(str(refused.value)) < 600


def test_what_is_wrong_with_a_secret_is_said_without_it():
    for build, name in ((client, "become_password"), (repository, "passphrase")):
        with pytest.raises(cy.Invalid) as refused:
            build(**{name: f"{CANARY}\n"})
        assert CANARY not in str(refused.value)


def test_fields_take_objects_and_ids():
    web, nas, night = client(id=3), repository(id=5), cy.Schedule("s", "@daily", id=7)
    made = policy(repository=nas, clients=(one for one in (web, 4, web, 3)), schedule=night)
    assert (made.repository, made.clients, made.schedule) == (5, (3, 4), 7)
    assert policy(clients=web).clients == (3,)
    assert policy(retention={"daily": 7}).retention == cy.Retention(daily=7)


def test_a_host_key_is_kept_without_its_comment():
    for text in (f"{KEY} root@web\n", f"  {KEY}\r\n", KEY):
        assert client(host_key=text).host_key == KEY
        assert repository(host_key=text).host_key == KEY


def test_trusted_variables_are_sorted_texts():
    made = client(trusted_vars={"ansible_pipelining": True, "ansible_port": 22, "a": "b"})
    assert made.trusted_vars == (("a", "b"), ("ansible_pipelining", "True"), ("ansible_port", "22"))
    assert attrs.evolve(made, trusted_vars=made.trusted_vars) == made


def test_a_repository_that_cannot_be():
    with pytest.raises(cy.Invalid, match="managed"):
        cy.Repository("vault", "/srv", managed=False)
    for path in ("nas:borg", "nas:~/borg", "ssh://nas/~eve/borg"):
        with pytest.raises(cy.Invalid, match="managed=False"):
            cy.Repository("vault", path)
        assert not cy.Repository("vault", path, managed=False).location.absolute


def test_the_account_of_a_managed_repository():
    assert str(cy.Repository("vault", "nas:/srv").location) == "ssh://borg@nas/srv"
    assert str(cy.Repository("vault", "eve@nas:/srv").location) == "ssh://eve@nas/srv"
    assert str(cy.Repository("vault", "nas:/srv", managed=False).location) == "ssh://nas/srv"
    assert str(cy.Repository("vault", "/srv").location) == "/srv"


def test_times_are_utc_and_aware():
    paris = timezone(timedelta(hours=2))
    job = cy.Job(kind="backup", due=NOON.astimezone(paris))
    assert job.due == NOON
    assert job.due.tzinfo is UTC
    for wrong in (NOON.replace(tzinfo=None), "2026-03-01", 5, datetime.min.replace(tzinfo=paris)):
        with pytest.raises(cy.Invalid, match="time"):
            cy.Job(kind="backup", due=wrong)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        (
            {"kind": "backup", "policy_name": "etc", "client_name": "web1", "repository_name": "vault"},
            "backup etc of web1",
        ),
        ({"kind": "prepare_client", "client_name": "web1"}, "prepare client of web1"),
        ({"kind": "check", "repository_name": "vault"}, "check of vault"),
        ({"kind": "restore"}, "restore"),
    ],
)
def test_titles_of_jobs(fields, title):
    assert cy.Job(**fields).title == title


def test_statuses():
    finished = {status.value for status in cy.JobStatus if cy.Job(kind="backup", status=status).finished}
    assert finished == {"successful", "failed", "canceled", "skipped"}
    assert {status.value for status in cy.JobStatus if status.finished} == finished
    assert cy.Job(kind="backup").status == "pending"
    for fields in ({"kind": "nonsense"}, {"kind": "backup", "status": "done"}):
        with pytest.raises(cy.Invalid, match="choose one of"):
            cy.Job(**fields)


def test_job_errors():
    error = cy.JobError("lock_held", "the  vault\nis\x1b[2J locked\x00" + "x" * 5000)
    assert str(error).startswith("the vault is [2J locked x")
    assert len(str(error)) == 2000
    assert not error.permanent
    assert cy.JobError("wrong_passphrase", "no").permanent
    assert not cy.JobError("wrong_passphrase", "no", permanent=False).permanent
    with pytest.raises(ValueError, match="nonsense"):
        cy.JobError("nonsense", "no")


COMPRESSIONS = [
    "none",
    "lz4",
    "zstd",
    "zstd,1",
    "zstd,22",
    "zlib",
    "zlib,0",
    "zlib,9",
    "lzma",
    "lzma,0",
    "lzma,9",
    "auto,none",
    "auto,lz4",
    "auto,zstd",
    "auto,zstd,10",
    "auto,zlib,9",
    "auto,lzma,6",
]
NO_COMPRESSIONS = ["zstd,0", "zstd,23", "zlib,10", "lzma,10", "auto", "zstd,", "ZSTD", "gzip", "", "zstd,x", "zstd,3,4"]


def test_compressions_are_those_that_borg_takes():
    assert [policy(compression=text).compression for text in COMPRESSIONS] == COMPRESSIONS
    for text in NO_COMPRESSIONS:
        with pytest.raises(cy.Invalid, match="compression"):
            policy(compression=text)
    program = (
        "import json, sys; from borg.compress import CompressionSpec\n"
        "def taken(text):\n"
        "    try: return bool(CompressionSpec(text))\n"
        "    except ValueError: return False\n"
        "print(json.dumps([taken(text) for text in json.load(sys.stdin)]))"
    )
    taken = ask_borg(program, COMPRESSIONS + NO_COMPRESSIONS)
    assert taken == [True] * len(COMPRESSIONS) + [False] * len(NO_COMPRESSIONS)
