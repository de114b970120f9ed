"""What the end of each kind of job is recorded as, also where a host answers what it likes."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given as given_
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import cyborglib as cy
from cyborglib.executor import Outcome
from cyborglib.kinds import KINDS, Refused, Settlement
from cyborglib.kinds.backup import ArchiveName, archive_name
from cyborglib.kinds.exported import key_digest
from cyborglib.model import Baseline
from tests.kinds.scene import (
    ARCHIVE,
    CLIENT,
    DISK,
    EXPORT,
    ID,
    NOON,
    OTHER_ID,
    POLICY,
    REPOSITORY,
    STORAGE_BOX,
    VAULT,
    made,
    work,
)

# Written out, as parameters of tests must be the same each time they are collected.
KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG/a+ZKhcnGV1PtxFm/i0nApNBQiMpsfsiX1FvVaGweD eve@web1"
KEY = " ".join(KEY_LINE.split()[:2])
OTHER_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHN41+EvEtQC59BrK0J90GfchYgkRQrus1PbCPO2JGEf mallory"
FOUND = {
    "public_key": KEY_LINE,
    "ip": "10.0.0.7",
    "borg_version": "1.2.4",
    "uid": 0,
    "become": True,
    "home": "/root",
    "keys": "/etc/cyborg/keys",
    "python": "/usr/bin/python3",
    "borg": "/usr/bin/borg",
    "os": {"id": "debian", "version": "12"},
    "addresses": ["10.0.0.7", "fe80::1"],
}
MADE = {"public_key": KEY_LINE, "borg_id": ID, "repository_borg_version": "1.2.4"}
KEPT = {"key_export": EXPORT}
EMPTY = evolve(VAULT, borg_id="", key_export=None, ready=False)


def settle(kind, outcome, kept=None, **changes) -> Settlement:
    """As the engine does it: what a kind refuses is an error and nothing else."""
    given = work(kind, **changes)
    try:
        return KINDS[given.job.kind].settle(given, outcome, kept or {})
    except Refused as refused:
        return Settlement(error=refused.error)


def nothing_else(settlement: Settlement) -> bool:
    return not (
        settlement.archives or settlement.client or settlement.repository or settlement.vault or settlement.confirmed
    )


@pytest.mark.parametrize("kind", [kind.value for kind in KINDS])
def test_what_failed_is_recorded_as_it_failed(kind):
    error = cy.JobError("lock_held", "locked")
    archives = () if kind == "backup" else (made("x"),)
    settlement = settle(kind, Outcome(error=error, warnings=("a",), facts=FOUND, archives=archives), KEPT)
    assert settlement == Settlement(error=error, warnings=("a",))


def test_of_a_backup_that_failed_in_part_the_rest_is_recorded():
    error = cy.JobError("dump_failed", "shop: no")
    good = evolve(made(f"{OWN}+my@20db"), part="my db")
    settlement = settle("backup", Outcome(error=error, archives=(good,)), KEPT)
    assert (settlement.error, settlement.archives) == (error, (good,))
    for other in (evolve(good, part="other"), evolve(good, part=""), made("x")):
        refused = settle("backup", Outcome(error=error, archives=(good, other)), KEPT)
        assert refused.error.code == "hostile_answer"
        assert refused.archives == ()


# The client


def test_a_prepared_client():
    settlement = settle("prepare_client", Outcome(facts=FOUND | {"more": "x"}, warnings=("old Borg",)))
    assert settlement.error is None
    assert settlement.warnings == ("old Borg",)
    assert settlement.client == {
        "ready": True,
        "ip": "10.0.0.7",
        "borg_version": "1.2.4",
        "public_key": KEY,
        "prepared_at": NOON,
        "facts": {name: value for name, value in FOUND.items() if name not in ("public_key", "ip", "borg_version")},
    }
    assert evolve(CLIENT, **settlement.client).access == (5,)


def test_a_client_without_keys_of_its_own():
    assert settle("prepare_client", Outcome(facts={**FOUND, "public_key": ""})).client["public_key"] == ""


@pytest.mark.parametrize(("before", "access"), [(KEY, (5,)), ("", (5,)), (" ".join(OTHER_LINE.split()[:2]), ())])
def test_a_client_with_a_new_key_has_no_access_any_more(before, access):
    client = evolve(CLIENT, public_key=before)
    settlement = settle("prepare_client", Outcome(facts=FOUND), client=client)
    assert evolve(client, **settlement.client).access == access


deep: object = "x"
for _ in range(6):
    deep = {"x": deep}
KEYS = [
    f"{KEY_LINE}\n{OTHER_LINE}",
    f"{KEY_LINE}\r{OTHER_LINE}",
    f"{KEY_LINE}\u2028{OTHER_LINE}",
    f'command="sh" {KEY_LINE}',
    f"no-pty,{KEY_LINE}",
    f" {KEY_LINE}",
    f"{KEY}\x00",
    f"{KEY} comment\x00",
    f"{KEY}\n\n",
    KEY.replace("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
    KEY.replace("ssh-ed25519", "ssh-dss"),
    KEY[:-8],
    "ssh-ed25519 AAAA",
    "ssh-ed25519",
    "x" * 1_000_000,
    KEY + "A" * 1_000_000,
    [KEY_LINE],
    {"key": KEY_LINE},
    5,
]
VERSIONS = [
    "1",
    "x",
    "1.2.4; id",
    "1.2.4\n",
    "1.2\u0664",
    "1.2.4 " + "x" * 100,
    "{{ 7*7 }}",
    "-1.2",
    1.2,
    ["1.2.4"],
    True,
]
PATHS = [
    "python3",
    "/usr/../etc",
    "/a/..",
    "/a b",
    "/a\n",
    "/a\x00",
    "/a;id",
    "/$HOME",
    "/{{x}}",
    "-/a",
    "/" + "a" * 300,
    5,
    ["/a"],
    "/a'b",
]
HOSTILE = [
    *[("public_key", key) for key in KEYS],
    *[
        ("ip", text)
        for text in ("localhost", "10.0.0.7/8", "10.0.0.7\n", "1.2.3", "\uff11.2.3.4", 1, True, b"\x00" * 4, ["::1"])
    ],
    *[("borg_version", text) for text in VERSIONS],
    *[(name, text) for name in ("keys", "python", "home", "borg") for text in PATHS],
    *[("uid", value) for value in (-1, 2**32, "0", True, 0.0, [0])],
    *[("become", value) for value in ("yes", 1, [True])],
    *[("os", value) for value in (deep, b"x", {1, 2}, object(), float("nan"), 10**5000, {"x": 2**70})],
    ("os", {str(number): "x" * 1000 for number in range(100)}),
    ("os", ["x" * 1024] * 100),
]


@pytest.mark.parametrize(
    ("name", "value"), HOSTILE, ids=lambda value: value if isinstance(value, str) and len(value) < 20 else ""
)
def test_a_hostile_answer_changes_nothing(name, value):
    settlement = settle("prepare_client", Outcome(facts=FOUND | {name: value}))
    assert settlement.error.code == "hostile_answer"
    assert settlement.error.permanent
    assert nothing_else(settlement)
    assert len(settlement.error.message) < 500


def test_facts_are_bounded_and_without_control_characters():
    facts = FOUND | {"os": {"na\x1bme": "a\nb\x00c", "x" * 100: "y" * 5000}, "addresses": ["10.0.0.1"] * 1000}
    kept = settle("prepare_client", Outcome(facts=facts)).client["facts"].plain()
    assert kept["os"] == {"na me": "a b c", "x" * 64: "y" * 1024}
    assert len(kept["addresses"]) == 100


def test_the_interface_of_an_address_is_dropped():
    facts = FOUND | {"ip": "fe80::1%{{ lookup('pipe', 'id') }}"}
    assert settle("prepare_client", Outcome(facts=facts)).client["ip"] == "fe80::1"


strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@hypothesis_settings(max_examples=200, deadline=None)
@given_(name=st.sampled_from(sorted(FOUND)), value=strange)
def test_whatever_a_host_answers_is_kept_whole_or_not_at_all(name, value):
    settlement = settle("prepare_client", Outcome(facts=FOUND | {name: value}))
    if settlement.error is None:
        evolve(CLIENT, **settlement.client)
    else:
        assert settlement.error.code == "hostile_answer"
        assert nothing_else(settlement)


# The vault


def test_a_new_vault():
    settlement = settle("prepare_repository", Outcome(facts=MADE), KEPT, vault=EMPTY, client=evolve(CLIENT, access=[1]))
    assert settlement.error is None
    assert settlement.vault == {
        "ready": True,
        "borg_id": ID,
        "prepared_at": NOON,
        "baseline": Baseline(at=int(NOON.timestamp())),
        "key_export": EXPORT,
        "public_key": KEY,
    }
    assert settlement.client == {"access": (1, 5)}
    assert settlement.repository == {"ready": True, "borg_version": "1.2.4"}


def test_a_vault_that_is_prepared_once_more():
    again = cy.Secret(EXPORT.reveal().replace("\n", "\r\n"))
    settlement = settle("prepare_repository", Outcome(facts=MADE), {"key_export": cy.Secret(EXPORT.reveal() + "\n")})
    assert settlement.error is None
    assert "key_export" not in settlement.vault, "the first copy is the one that is kept"
    assert settlement.client == {"access": (5,)}
    assert key_digest(again) == key_digest(EXPORT)


def test_a_vault_in_a_folder_needs_no_key():
    vault = evolve(EMPTY, location="/srv/borg")
    settlement = settle("prepare_repository", Outcome(facts={"borg_id": ID}), KEPT, vault=vault, repository=DISK)
    assert settlement.error is None
    assert "public_key" not in settlement.vault


OTHER_EXPORT = cy.Secret(EXPORT.reveal().replace("hqlh", "xxxx"))


@pytest.mark.parametrize(
    ("facts", "kept", "vault", "code", "word"),
    [
        ({"borg_id": OTHER_ID}, KEPT, VAULT, "vault_id_changed", "another Borg repository"),
        ({"borg_id": ""}, KEPT, EMPTY, "unparsable", "no id"),
        ({"borg_id": ID.upper()}, KEPT, EMPTY, "unparsable", "no id"),
        ({"borg_id": ID + "\n"}, KEPT, EMPTY, "unparsable", "no id"),
        ({"borg_id": [ID]}, KEPT, EMPTY, "unparsable", "no id"),
        ({"borg_id": None}, KEPT, EMPTY, "unparsable", "no id"),
        ({}, {}, EMPTY, "unparsable", "no copy"),
        ({}, {"key_export": cy.Secret("")}, EMPTY, "unparsable", "no copy"),
        ({}, {"key_export": cy.Secret(f"BORG_KEY {OTHER_ID}\nAAAA")}, EMPTY, "unparsable", "no copy"),
        ({}, {"key_export": cy.Secret(EXPORT.reveal() + "A" * 10**6)}, EMPTY, "unparsable", "no copy"),
        ({"public_key": f"{KEY_LINE}\n{OTHER_LINE}"}, KEPT, EMPTY, "hostile_answer", "exactly one key"),
        ({"public_key": f'command="sh" {KEY_LINE}'}, KEPT, EMPTY, "hostile_answer", "exactly one key"),
        ({"public_key": ""}, KEPT, EMPTY, "hostile_answer", "exactly one key"),
        ({"repository_borg_version": "1.2\nx"}, KEPT, EMPTY, "hostile_answer", "version"),
    ],
)
def test_a_vault_that_cannot_be_used(facts, kept, vault, code, word):
    settlement = settle("prepare_repository", Outcome(facts=MADE | facts), kept, vault=vault)
    assert settlement.error.code == code
    assert word in settlement.error.message
    assert nothing_else(settlement)


def test_a_vault_whose_key_was_changed_is_suspect():
    settlement = settle("prepare_repository", Outcome(facts=MADE), {"key_export": OTHER_EXPORT})
    assert settlement.error.code == "vault_key_changed"
    assert list(settlement.vault) == ["suspect"]
    assert not settlement.client
    assert [event.vault for event in settlement.events] == [5]


def test_the_public_key_of_a_storage_box_is_the_clients():
    vault = evolve(EMPTY, location="ssh://u1@box.example/./backup/web1")
    settlement = settle("prepare_repository", Outcome(facts=MADE), KEPT, vault=vault, repository=STORAGE_BOX)
    assert settlement.vault["public_key"] == KEY


# The backup

OWN = str(archive_name(work("backup")))


def test_a_backup_is_recorded_as_borg_said_it():
    later = "etc+web1.example.org+20260301T120000Z+42.2"
    for name in (OWN, later):
        archives = (made(name),)
        assert settle("backup", Outcome(archives=archives, warnings=("a",))) == Settlement(
            archives=archives, warnings=("a",)
        )


@pytest.mark.parametrize(
    ("passphrase", "clients", "told"),
    [(VAULT.passphrase, 2, 1), (VAULT.passphrase, 1, 0), (None, 2, 0), ("the vault has one of its own now", 2, 0)],
)
def test_one_passphrase_for_several_clients_is_told_each_time(passphrase, clients, told):
    changes = {
        "repository": evolve(REPOSITORY, passphrase=passphrase),
        "policy": evolve(POLICY, clients=range(3, 3 + clients)),
    }
    warnings = settle("backup", Outcome(archives=(made(OWN),)), **changes).warnings
    assert len([warning for warning in warnings if "one passphrase for the vaults of several" in warning]) == told


def test_a_shared_vault_is_said_to_be_one():
    [warning] = settle("backup", Outcome(archives=(made(OWN),)), vault=evolve(VAULT, client=None)).warnings
    assert "shared" in warning


@pytest.mark.parametrize(
    "names",
    [
        ["x"],
        [""],
        [OWN + "\n"],
        [" " + OWN],
        [OWN, OWN],
        [OWN, "x"],
        [OWN.replace("web1", "web2")],
        [OWN.replace("etc+", "mail+")],
        [OWN.replace("42.2", "42.1")],
        [OWN.replace("42.2", "41.2")],
        [OWN.replace("42.2", "042.2")],
        [OWN.replace("2026", "\uff12026")],
        [OWN.replace("T123000Z", "T126000Z")],
        [OWN + "+x"],
    ],
    ids=repr,
)
def test_a_client_cannot_pass_another_archive_off_as_its_own(names):
    settlement = settle("backup", Outcome(archives=tuple(made(name) for name in names)))
    assert settlement.error.code == "hostile_answer"
    assert nothing_else(settlement)


def test_a_backup_that_names_no_archive_is_none():
    assert settle("backup", Outcome()).error.code == "unparsable"


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
hosts = st.sampled_from(["web", "web-01", "web.01", "web1.example.org", "10.0.0.1", "2001:db8::1"])


@hypothesis_settings(max_examples=100, deadline=None)
@given_(
    policy=names, client=hosts | names, moment=st.datetimes(timezones=st.just(NOON.tzinfo)), job=st.integers(1, 10**9)
)
def test_names_of_archives_can_be_read_again(policy, client, moment, job):
    name = ArchiveName(policy=policy, client=client, moment=moment.replace(microsecond=0), job=job, attempt=1)
    assert ArchiveName.parse(str(name)) == (name if moment.year >= 1000 else None)
    assert not set("/:: \n").intersection(str(name).replace(client, ""))


def test_the_archives_of_one_client_are_never_anothers():
    given = work("backup")
    found = {
        str(archive_name(evolve(given, job=evolve(given.job, policy_name=policy, client_name=client))))
        for policy in ("web", "web-01", "etc", "etc-web")
        for client in ("web", "web-01", "01", "web-01-01")
    }
    assert len(found) == 16
    of_web = [
        name for name in found if (parts := ArchiveName.parse(name)) and (parts.policy, parts.client) == ("etc", "web")
    ]
    assert len(of_web) == 1


# The controller's listing

RECORDED = ARCHIVE
CONFIRMED = evolve(ARCHIVE, name="older", borg_id="22" * 32, id=7, confirmed_at=NOON)


def listed(*archives, **more):
    return Outcome(facts={"archives": [{"name": one.name, "id": one.borg_id} for one in archives], **more})


def test_what_the_controller_sees_is_confirmed_once():
    settlement = settle("catalog", listed(RECORDED, CONFIRMED, borg_id=ID), recorded=(RECORDED, CONFIRMED))
    assert settlement == Settlement(confirmed=(8,))


@pytest.mark.parametrize(
    ("seen", "code", "confirmed"),
    [
        ([RECORDED], "archives_vanished", (8,)),
        ([], "archives_vanished", ()),
        ([RECORDED, evolve(CONFIRMED, borg_id=OTHER_ID)], "archives_vanished", (8,)),
        ([CONFIRMED], "not_confirmed", ()),
        ([CONFIRMED, evolve(RECORDED, borg_id=OTHER_ID)], "not_confirmed", ()),
        ([CONFIRMED, evolve(RECORDED, name="old ")], "not_confirmed", ()),
    ],
)
def test_what_of_ours_is_not_there_makes_the_vault_suspect(seen, code, confirmed):
    settlement = settle("catalog", listed(*seen), recorded=(RECORDED, CONFIRMED))
    assert settlement.error.code == code
    assert settlement.error.permanent
    assert settlement.confirmed == confirmed
    assert settlement.vault == {"suspect": settlement.error.message}
    assert [(event.vault, event.reason) for event in settlement.events] == [(5, settlement.error.message)]
    assert ("older" if code == "archives_vanished" else "old") in settlement.error.message


MISSED = evolve(CONFIRMED, missing_at=NOON)


def test_what_is_missing_is_noted_once_and_alarms_until_a_person_looked():
    first = settle("catalog", listed(), recorded=(CONFIRMED, RECORDED))
    assert (first.error.code, first.missing) == ("archives_vanished", (7, 8))
    suspect = evolve(VAULT, suspect=first.error.message)
    second = settle("catalog", listed(RECORDED), recorded=(MISSED, RECORDED), vault=suspect)
    assert (second.error.code, second.missing, second.confirmed) == ("archives_vanished", (), (8,))
    accepted = settle("catalog", listed(RECORDED), recorded=(MISSED, RECORDED))
    assert (accepted.error, accepted.vault, accepted.events, accepted.confirmed) == (None, {}, (), (8,))
    [warning] = accepted.warnings
    assert "older" in warning


def test_a_further_loss_alarms_although_an_earlier_one_was_accepted():
    another = evolve(CONFIRMED, name="another", borg_id="33" * 32, id=9)
    settlement = settle("catalog", listed(), recorded=(MISSED, another))
    assert (settlement.error.code, settlement.missing) == ("archives_vanished", (9,))
    assert "another" in settlement.error.message
    assert "older" not in settlement.error.message


@pytest.mark.parametrize("suspect", ["", "something vanished"])
def test_what_comes_back_is_missing_no_more(suspect):
    settlement = settle("catalog", listed(MISSED), recorded=(MISSED,), vault=evolve(VAULT, suspect=suspect))
    assert settlement == Settlement(found=(7,))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (listed(RECORDED, borg_id=OTHER_ID), "vault_id_changed"),
        (listed(RECORDED, borg_id=None), "vault_id_changed"),
        (listed(RECORDED, key_sha256="00" * 32), "vault_key_changed"),
        (Outcome(error=cy.JobError("vault_id_changed", "another one")), "vault_id_changed"),
        (Outcome(error=cy.JobError("vault_key_changed", "another key")), "vault_key_changed"),
    ],
)
def test_another_vault_or_key_is_suspect_and_confirms_nothing(outcome, code):
    settlement = settle("catalog", outcome, recorded=(RECORDED,))
    assert settlement.error.code == code
    assert settlement.confirmed == ()
    assert settlement.vault == {"suspect": settlement.error.message}
    assert len(settlement.events) == 1


def test_our_vault_under_our_key():
    outcome = listed(RECORDED, borg_id=ID, key_sha256=key_digest(EXPORT))
    assert settle("catalog", outcome, recorded=(RECORDED,)) == Settlement(confirmed=(8,))


@pytest.mark.parametrize(
    "archives", [None, "x", {"old": ID}, 5, [["old", ID]], ["old"], [{"name": "old"}, None]], ids=repr
)
def test_a_listing_that_cannot_be_read_changes_nothing(archives):
    settlement = settle("catalog", Outcome(facts={"archives": archives}), recorded=(RECORDED, CONFIRMED))
    assert settlement.error.code == "unparsable"
    assert nothing_else(settlement)
    assert settlement.events == ()


def test_an_empty_vault_of_which_nothing_is_recorded():
    assert settle("catalog", listed()) == Settlement()


def test_a_restore_changes_nothing():
    assert settle("restore", Outcome(warnings=("a",), facts={"x": 1})) == Settlement(warnings=("a",))
