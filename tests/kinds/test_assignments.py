"""What the executor gets for each kind of job, and what it never gets."""

from __future__ import annotations

import json

import attrs
import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.errors import ErrorCode
from cyborglib.executor import Run
from cyborglib.kinds import KINDS, Refused
from tests.kinds.scene import (
    BECOME,
    CANARIES,
    CLIENT,
    CONTROLLER_KEY,
    DISK,
    HOST_KEY,
    ID,
    PASSPHRASE,
    REPOSITORY,
    STORAGE_BOX,
    VAULT,
    work,
)

LOCAL = evolve(VAULT, location="/srv/borg", controller_key=None)
#: Another client, which need not even be prepared for files to be carried to it.
OTHER = cy.Client("web2.example.org", id=4, ready=True, host_key=HOST_KEY, become_password="canary of sudo there")
BOX = evolve(VAULT, location="ssh://u1@box.example/./backup/web1", controller_key=None)
CASES = [
    ("prepare_client", {}, {"become_password"}),
    ("prepare_repository", {}, {"become_password", "admin_become_password", "borg_passphrase"}),
    ("prepare_repository", {"vault": LOCAL, "repository": DISK}, {"become_password", "borg_passphrase"}),
    ("prepare_repository", {"vault": BOX, "repository": STORAGE_BOX}, {"become_password", "borg_passphrase"}),
    ("backup", {}, {"become_password", "borg_passphrase"}),
    ("backup", {"client": evolve(CLIENT, become_password=None)}, {"borg_passphrase"}),
    ("catalog", {}, {"borg_passphrase", "ssh_key"}),
    ("catalog", {"vault": BOX, "repository": STORAGE_BOX}, {"borg_passphrase"}),
    ("catalog", {"vault": LOCAL, "repository": DISK}, {"become_password", "borg_passphrase"}),
    # Of a repository no passphrase is needed: its own host gets none.
    ("check", {"job": {"options": {"part": "repository"}}, "client": None}, {"admin_become_password"}),
    ("check", {"job": {"options": {"part": "data"}}, "client": None}, {"borg_passphrase", "ssh_key"}),
    (
        "check",
        {"job": {"options": {"part": "repository"}}, "client": None, "vault": BOX, "repository": STORAGE_BOX},
        {"borg_passphrase"},
    ),
    (
        "check",
        {"job": {"options": {"part": "repository"}}, "vault": LOCAL, "repository": DISK},
        {"become_password"},
    ),
    (
        "check",
        {"job": {"options": {"part": "archives"}}, "vault": LOCAL, "repository": DISK},
        {"become_password", "borg_passphrase"},
    ),
    ("drill", {"client": None}, {"borg_passphrase", "ssh_key"}),
    ("drill", {"vault": LOCAL, "repository": DISK}, {"become_password", "borg_passphrase"}),
    ("drill", {"client": OTHER}, {"become_password", "admin_become_password", "borg_passphrase"}),
    ("restore", {}, {"become_password", "borg_passphrase"}),
    ("restore", {"client": None}, {"borg_passphrase", "ssh_key"}),
    (
        "restore",
        {"client": OTHER},
        {"become_password", "admin_become_password", "borg_passphrase", "rekey_passphrase", "rekey_ssh_key"},
    ),
    # Carried: from the client with the vault, to the controller or another client; from the controller.
    ("restore", {"vault": LOCAL, "repository": DISK, "client": None}, {"become_password", "borg_passphrase"}),
    (
        "restore",
        {"vault": LOCAL, "repository": DISK, "client": OTHER},
        {"become_password", "borg_passphrase", "target_become_password"},
    ),
    (
        "restore",
        {"vault": BOX, "repository": STORAGE_BOX, "client": OTHER},
        {"borg_passphrase", "target_become_password"},
    ),
    ("restore", {"vault": BOX, "repository": STORAGE_BOX}, {"become_password", "borg_passphrase"}),
]
each = pytest.mark.parametrize(("kind", "changes", "secrets"), CASES)


@each
def test_secrets_are_names_in_a_run(kind, changes, secrets):
    given = work(kind, owner=CLIENT, **changes)
    assignment = KINDS[given.job.kind].assign(given)
    assert set(assignment.host_run.secrets) == set(assignment.secrets) == secrets
    run = Run(id="r", playbook=assignment.playbook, hosts=(assignment.host_run,), variables=assignment.run_variables)
    for shown in (repr(run), json.dumps(attrs.asdict(run)), repr(assignment), repr(given)):
        assert not [canary for canary in CANARIES if canary in shown]


def lent(given):
    return given.client is OTHER and not given.vault.where.local and given.repository.managed


@each
def test_each_secret_is_the_one_of_that_name(kind, changes, secrets):
    given = work(kind, owner=CLIENT, **changes)
    revealed = {name: secret.reveal() for name, secret in KINDS[given.job.kind].assign(given).secrets.items()}
    wanted = {
        # Of the job's own host: the one that files are carried to has a name for its own.
        "become_password": OTHER.become_password.reveal() if kind in ("restore", "drill") and lent(given) else BECOME,
        "target_become_password": OTHER.become_password.reveal(),
        "admin_become_password": "canary of the administrator",
        "borg_passphrase": PASSPHRASE,
        "ssh_key": CONTROLLER_KEY.reveal(),
        # The controller's own, for what it does after the vault was lent.
        "rekey_passphrase": PASSPHRASE,
        "rekey_ssh_key": CONTROLLER_KEY.reveal(),
    }
    assert revealed == {name: wanted[name] for name in secrets}


@each
def test_a_run_is_plain_and_says_whose_job_it_is(kind, changes, secrets):
    given = work(kind, owner=CLIENT, **changes)
    host_run = KINDS[given.job.kind].assign(given).host_run
    assert (host_run.job, host_run.attempt, host_run.fence, host_run.timeout) == (42, 2, 4, 77)
    assert host_run.host.name == "job-42", "never a name that somebody typed"
    plain = json.loads(json.dumps(attrs.asdict(host_run)))
    assert not [name for name in plain["variables"] if name.startswith("ansible_")]


def test_a_backup():
    previous = cy.Archive(name="old", borg_id=ID, vault=5, roots=[("/etc", "ext4:1")])
    assignment = KINDS[cy.JobKind.BACKUP].assign(work("backup", previous=previous))
    assert (assignment.playbook, assignment.run_variables) == ("backup", {"cyborg_role": "cyborg.backup.policy_config"})
    variables = dict(assignment.host_run.variables)
    wanted = {
        "policy_config_exclude": ("/etc/{{ x }}",),
        "borg_repository": "ssh://borg@nas/srv/web1.example.org-3",
        "borg_repository_id": ID,
        "borg_archive": "etc+web1.example.org+20260301T123000Z+42.2",
        "borg_timestamp": "2026-03-01T12:30:00",
        "borg_compression": "lz4",
        "borg_upload_ratelimit": 100,
        "borg_ssh_key": "/etc/cyborg/keys/vault-5",
        "borg_known_hosts": f"* {HOST_KEY}",
        "borg_expected_roots": {"/etc": "ext4:1"},
    }
    assert {name: variables[name] for name in wanted} == wanted


def test_an_options_name_never_stands_over_ours():
    given = work(
        "backup", role=lambda _type, _vars: ("policy_own", {"borg_repository": "elsewhere", "borg_archive": "x"}, {})
    )
    variables = KINDS[cy.JobKind.BACKUP].assign(given).host_run.variables
    assert variables["borg_repository"] == VAULT.location
    assert variables["borg_archive"] != "x"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "/etc/cyborg/keys/vault-5"),
        (
            {"client": evolve(CLIENT, facts={"keys": "/home/eve/.config/cyborg/keys"})},
            "/home/eve/.config/cyborg/keys/vault-5",
        ),
        ({"client": evolve(CLIENT, facts={})}, "/etc/cyborg/keys/vault-5"),
        ({"vault": evolve(VAULT, client=None)}, "/etc/cyborg/keys/vault-5-client-3"),
        ({"vault": BOX, "repository": STORAGE_BOX}, f"/etc/cyborg/keys/vault-{BOX.id}"),
        ({"vault": LOCAL, "repository": DISK}, ""),
    ],
)
def test_the_key_for_a_vault(changes, key):
    assert KINDS[cy.JobKind.BACKUP].assign(work("backup", **changes)).host_run.variables["borg_ssh_key"] == key


def test_where_each_kind_works():
    places = {}
    for kind, changes, _ in CASES:
        host = KINDS[cy.JobKind(kind)].assign(work(kind, owner=CLIENT, **changes)).host_run.host
        places.setdefault(kind, []).append(host.title)
    assert places == {
        "prepare_client": ["web1.example.org"],
        "prepare_repository": ["web1.example.org"] * 3,
        "backup": ["web1.example.org"] * 2,
        "catalog": ["the controller", "the controller", "web1.example.org"],
        # Never on a client, but for a vault in its own folder.
        "check": ["nas", "the controller", "the controller", "web1.example.org", "web1.example.org"],
        "drill": ["the controller", "web1.example.org", "web2.example.org"],
        "restore": [
            "web1.example.org",
            "the controller",
            "web2.example.org",
            "web1.example.org",
            "web1.example.org",
            "the controller",
            "web1.example.org",
        ],
    }


def test_how_a_client_is_reached():
    client = cy.Client(
        "web1",
        address="10.0.0.1",
        port=2222,
        user="eve",
        host_vars={"become_method": "su", "become_user": "backup", "interpreter": "/opt/python"},
        trusted_vars={"ansible_pipelining": "True"},
        host_key=HOST_KEY,
        id=3,
    )
    host = KINDS[cy.JobKind.PREPARE_CLIENT].assign(work("prepare_client", client=client)).host_run.host
    assert (host.title, host.address, host.port, host.user, host.local) == ("web1", "10.0.0.1", 2222, "eve", False)
    assert (host.become, host.become_method, host.become_user, host.become_password) == (None, "su", "backup", "")
    assert (host.interpreter, host.host_key, host.key_of) == ("/opt/python", HOST_KEY, "client-3")
    assert (host.accept_new, host.variables) == (False, (("ansible_pipelining", "True"),))


@pytest.mark.parametrize(
    ("asked", "fact", "become"),
    [
        (None, {}, None),
        (None, {"become": True}, True),
        (None, {"become": False}, False),
        (False, {"become": True}, False),
    ],
)
def test_become_is_what_was_asked_or_found(asked, fact, become):
    client = evolve(CLIENT, become=asked, facts=fact)
    assert KINDS[cy.JobKind.BACKUP].assign(work("backup", client=client)).host_run.host.become is become


def test_a_first_key_is_taken_only_where_that_is_allowed():
    given = work("prepare_repository", settings=cy.Settings(first_contact="accept"))
    host_run = KINDS[given.job.kind].assign(given).host_run
    assert host_run.host.accept_new
    assert [(host.name, host.accept_new) for host in host_run.others] == [("repository-1", True)]


def test_the_host_of_a_vault_is_there_only_for_managed_ones():
    for changes, others in (
        ({}, ["repository-1"]),
        ({"vault": LOCAL, "repository": DISK}, []),
    ):
        given = work("prepare_repository", **changes)
        host_run = KINDS[given.job.kind].assign(given).host_run
        assert [host.name for host in host_run.others] == others
    other = KINDS[cy.JobKind.PREPARE_REPOSITORY].assign(work("prepare_repository")).host_run.others[0]
    assert (other.address, other.user, other.become_password) == ("nas", "root", "admin_become_password")


def test_a_controllers_listing_has_caches_of_its_own():
    variables = KINDS[cy.JobKind.CATALOG].assign(work("catalog")).host_run.variables
    assert variables["borg_base_dir"] == "/var/lib/cyborg/borg/vault-5"
    assert variables["borg_ssh_key"] == "", "its key comes through the control socket"
    assert len(variables["borg_key_sha256"]) == 64


LISTER = cy.Settings(controller_account="lister")


def test_a_controllers_listing_may_have_an_account_of_its_own_and_a_restore_may_not():
    given = KINDS[cy.JobKind.CATALOG].assign(work("catalog", settings=LISTER)).host_run
    assert (given.host.account, given.host.become, given.host.local) == ("lister", False, True)
    assert given.variables["borg_base_dir"] == "~lister/.local/state/cyborglib/borg/vault-5"
    restored = KINDS[cy.JobKind.RESTORE].assign(work("restore", client=None, settings=LISTER)).host_run
    assert (restored.host.account, restored.host.local) == ("", True)
    assert restored.variables["borg_base_dir"] == "/var/lib/cyborg/borg/vault-5"
    # A vault in a folder of a client is that client's own.
    there = work("catalog", settings=LISTER, vault=LOCAL, repository=DISK)
    assert KINDS[cy.JobKind.CATALOG].assign(there).host_run.host.account == ""


@pytest.mark.parametrize("settings", [cy.Settings(), LISTER])
def test_a_controllers_listing_is_bounded_whoever_makes_it(settings):
    variables = KINDS[cy.JobKind.CATALOG].assign(work("catalog", settings=settings)).host_run.variables
    assert (variables["borg_memory_limit"], variables["borg_cpu_limit"]) == (1024**3, 600)
    restore = KINDS[cy.JobKind.RESTORE].assign(work("restore", client=None, settings=settings)).host_run
    assert "borg_memory_limit" not in restore.variables


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": LISTER, "repository": STORAGE_BOX, "vault": BOX}, True),
        ({"settings": LISTER}, False),
        ({"repository": STORAGE_BOX, "vault": BOX}, False),
    ],
)
def test_a_refused_key_is_explained_where_it_is_the_accounts(changes, said):
    refused = cy.JobError("key_not_authorized", "The host does not take this key.")
    settlement = KINDS[cy.JobKind.CATALOG].settle(work("catalog", **changes), cy.Outcome(error=refused), {})
    assert settlement.error.code == "key_not_authorized"
    assert ("~lister/.ssh" in str(settlement.error)) is said


@pytest.mark.parametrize(
    ("changes", "options", "where"),
    [
        ({}, {}, "/var/tmp/cyborg-restore-42"),
        ({}, {"destination": "/srv/x"}, "/srv/x"),
        ({"client": None}, {"here": "/home/eve"}, "/home/eve/restore-42"),
        ({"client": None}, {"here": "/home/eve", "destination": "/srv/x"}, "/srv/x"),
    ],
)
def test_where_a_restore_goes(changes, options, where):
    given = work("restore", job={"options": {"paths": ["etc/hosts"], **options}}, **changes)
    variables = KINDS[given.job.kind].assign(given).host_run.variables
    assert variables["borg_destination"] == where
    assert (variables["borg_archive"], variables["borg_archive_id"]) == ("old", "11" * 32)
    assert (variables["borg_paths"], variables["borg_overwrite"]) == (["etc/hosts"], False)


FOLDER = {"vault": LOCAL, "repository": DISK}
SHELLESS = {"vault": BOX, "repository": STORAGE_BOX}


@pytest.mark.parametrize(
    ("changes", "source", "target", "own"),
    [
        ({**FOLDER, "client": None}, "web1.example.org", "the controller", True),
        ({**FOLDER, "client": OTHER}, "web1.example.org", "web2.example.org", True),
        ({**FOLDER, "client": evolve(OTHER, ready=False)}, "web1.example.org", "web2.example.org", True),
        ({**SHELLESS, "client": OTHER}, "the controller", "web2.example.org", False),
    ],
)
def test_what_is_carried_from_where_to_where(changes, source, target, own):
    on_client = changes["client"] is not None
    options = {"paths": ["etc/hosts"], "numeric_ids": True, "on_client": on_client, "here": "/home/eve"}
    assignment = KINDS[cy.JobKind.RESTORE].assign(work("restore", owner=CLIENT, job={"options": options}, **changes))
    run = assignment.host_run
    assert assignment.playbook == "restore_carried"
    assert (run.host.title, [host.title for host in run.others]) == (source, [target])
    assert run.variables["restore_to"] == run.others[0].name
    assert (run.variables["restore_own"], run.variables["restore_numeric_ids"]) == (own, True)
    folder = "/var/tmp/cyborg-restore-42" if on_client else "/home/eve/restore-42"
    assert run.variables["restore_destination"] == folder
    # Where the files go, nothing is known of the vault.
    assert not run.others[0].variables
    assert run.others[0].become_password in ("", "target_become_password")


def test_a_dry_run_is_one_where_borg_can_open_the_vault():
    given = work("restore", owner=CLIENT, client=OTHER, job={"options": {"dry_run": True}}, **FOLDER)
    assignment = KINDS[cy.JobKind.RESTORE].assign(given)
    assert (assignment.playbook, assignment.host_run.others) == ("restore", ())
    assert assignment.host_run.host.title == "web1.example.org"


SUSPECT = evolve(VAULT, suspect="an archive is gone")
UNREADY = evolve(CLIENT, ready=False)
NO_ACCESS = evolve(CLIENT, access=())
OFF = cy.Settings(prepare=False)
REFUSALS = [
    ("backup", {"vault": SUSPECT}, "vault_damaged", False, r"an archive is gone.*set_ready\(vault\)"),
    ("prepare_repository", {"vault": SUSPECT}, "vault_damaged", False, r"an archive is gone.*set_ready\(vault\)"),
    ("restore", {"vault": SUSPECT}, "vault_damaged", False, "an archive is gone.*force"),
    ("backup", {"client": UNREADY}, "bad_arguments", True, r"web1.example.org is not ready: call prepare\(client\)"),
    (
        "backup",
        {"client": UNREADY, "settings": OFF},
        "bad_arguments",
        True,
        "web1.example.org is not ready, and the setting",
    ),
    (
        "backup",
        {"client": NO_ACCESS},
        "bad_arguments",
        True,
        r"ssh://borg@nas/srv/.*not ready: call prepare\(repository\)",
    ),
    ("backup", {"vault": evolve(VAULT, ready=False)}, "bad_arguments", True, r"prepare\(repository\)"),
    ("restore", {"client": NO_ACCESS}, "bad_arguments", True, r"prepare\(repository\)"),
    ("restore", {"client": UNREADY}, "bad_arguments", True, r"prepare\(client\)"),
    ("restore", {**FOLDER, "client": None, "owner": UNREADY}, "bad_arguments", True, r"web1.*prepare\(client\)"),
    ("prepare_repository", {"client": UNREADY}, "bad_arguments", True, r"prepare\(client\)"),
    ("catalog", {"vault": LOCAL, "repository": DISK, "client": None}, "bad_arguments", False, "which client"),
]


@pytest.mark.parametrize(("kind", "changes", "code", "skip", "sentence"), REFUSALS)
def test_what_is_not_handed_over(kind, changes, code, skip, sentence):
    given = work(kind, **changes)
    with pytest.raises(Refused, match=sentence) as refused:
        KINDS[given.job.kind].assign(given)
    assert (refused.value.error.code, refused.value.skip) == (ErrorCode(code), skip)


def test_a_suspect_vault_is_read_when_somebody_insists():
    given = work("restore", vault=SUSPECT, job={"options": {"force": True}})
    assert KINDS[given.job.kind].assign(given).playbook == "restore"
    assert KINDS[cy.JobKind.CATALOG].assign(work("catalog", vault=SUSPECT)).playbook == "catalog"


def test_an_address_without_an_account_goes_to_the_librarys():
    given = work("prepare_repository", vault=evolve(VAULT, location="ssh://nas/srv/x"), repository=REPOSITORY)
    assert KINDS[given.job.kind].assign(given).host_run.variables["prepare_repository_user"] == "borg"
