"""PostgreSQL: names, the file of passwords, which databases are taken, and which roles are made. No server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils import postgresql, postgresql_dump, postgresql_load
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from hypothesis import given
from hypothesis import strategies as st

NOBODY: dict[str, Any] = {"user": "", "password": "", "host": "", "port": 0, "account": "postgres"}
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15)


def refused(code: str) -> Any:
    return pytest.raises(Failure, check=lambda failure: failure.code == code)


# -- who logs in ------------------------------------------------------------------------------------------------


def test_without_a_user_it_is_the_account_on_the_socket() -> None:
    assert postgresql.reached(NOBODY) == ({"ACCOUNT": "postgres"}, {})
    port = {**NOBODY, "port": 5433, "host": "/run/postgresql"}
    assert postgresql.reached(port) == ({"PGHOST": "/run/postgresql", "PGPORT": "5433", "ACCOUNT": "postgres"}, {})


def test_with_a_user_or_a_host_nobody_becomes_another_account() -> None:
    there = {**NOBODY, "user": "backup", "host": "db.example.org"}
    assert postgresql.reached(there) == ({"PGHOST": "db.example.org", "PGUSER": "backup"}, {})
    env, secrets = postgresql.reached(there, "x")
    assert "x" not in env.values()
    assert secrets == {"PGPASS": "*:*:*:*:x\n"}


@pytest.mark.parametrize(
    "wrong", [{"port": -1}, {"port": 65536}, {"account": "a b"}, {"account": "~x; id"}, {"host": "a\0"}]
)
def test_what_cannot_be_a_server_is_refused(wrong: dict[str, Any]) -> None:
    with refused("bad_arguments"):
        postgresql.reached({**NOBODY, **wrong})


def test_what_has_a_meaning_in_the_file_of_passwords_is_escaped() -> None:
    assert postgresql.passfile("a:b\\c # d") == "*:*:*:*:a\\:b\\\\c # d\n"
    for wrong in ("a\nb", "a\rb", "a\0"):
        with refused("bad_arguments"):
            postgresql.passfile(wrong)


# -- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("databases", "database", "names"),
    [
        (None, "", None),
        ([], "", None),
        ("a,b c", "", ["a,b c"]),
        (["a", "{{ 7*7 }}", "a"], "", ["a", "{{ 7*7 }}"]),
        ([], "-rf", ["-rf"]),
    ],
)
def test_a_text_is_one_name(databases: object, database: str, names: list[str] | None) -> None:
    assert postgresql.named({"databases": databases, "database": database}) == names


@pytest.mark.parametrize(
    "wrong", [{"a": 1}, [1], ["a" * 64], ["ä" * 32], [""], [["a"]], ["a\0"], True, 7], ids=repr
)  # fmt: skip
def test_what_is_no_name_is_refused(wrong: object) -> None:
    with refused("bad_arguments"):
        postgresql.named({"databases": wrong, "database": ""})


def test_one_way_of_naming_is_enough() -> None:
    with refused("bad_arguments"):
        postgresql.named({"databases": ["a"], "database": "b"})


@given(NAMES)
def test_a_file_is_named_after_its_database(name: str) -> None:
    file = postgresql.file_of(name)
    assert file.startswith("postgresql/")
    assert file.isascii()
    assert not set(file.removeprefix("postgresql/")) & set("/ {}'\"")
    assert file.removeprefix("postgresql/")[0] not in "-._+"
    assert postgresql.name_in(file) in (name, "")


def test_a_long_name_cannot_be_told_by_its_file() -> None:
    assert postgresql.name_in(postgresql.file_of("ä" * 31)) == ""
    assert postgresql.name_in(postgresql.GLOBALS_FILE) == ""
    assert postgresql.file_of("globals") != postgresql.GLOBALS_FILE


@given(NAMES.map(lambda name: name * 3))
def test_a_derived_name_is_a_name(name: str) -> None:
    made = postgresql.derived(name, "_restored_7")
    assert made.endswith("_restored_7")
    assert len(made.encode()) <= 63
    assert name.startswith(made.removesuffix("_restored_7"))


# -- which databases ----------------------------------------------------------------------------------------------


def known(*names: str) -> dict[str, Any]:
    databases = [{"name": name, "template": False, "open": True} for name in ("postgres", *names)]
    databases += [{"name": "template0", "template": True, "open": False}]
    databases += [{"name": "template1", "template": True, "open": True}]
    told = {"version": 150018, "user": "u", "passwords": True, "roles": 3, "databases": databases}
    return dict(postgresql_dump.understood(json.dumps(told)))


def test_all_but_templates_and_what_is_left_out() -> None:
    there = known("a", "b", "closed", "mould")
    for name, what in (("closed", {"open": False}), ("mould", {"template": True})):
        next(one for one in there["databases"] if one["name"] == name).update(what)
    names, notes = postgresql_dump.chosen(there, None, ["b", "c"])
    assert names == ["postgres", "a"]
    assert len(notes) == 3
    assert [word in " ".join(notes) for word in ("c,", "closed", "mould")] == [True] * 3


def test_named_ones_and_one_that_is_missing() -> None:
    assert postgresql_dump.chosen(known("a"), ["a", "template1", "missing"], []) == (["a", "template1", "missing"], [])
    with refused("source_missing"):
        postgresql_dump.chosen(known("orders"), ["order"], [])
    assert "Did you mean orders?" in postgresql_dump.absent("order", ["orders"])
    with refused("bad_arguments"):
        postgresql_dump.chosen(known("a"), ["a"], ["b"])


@pytest.mark.parametrize("answer", ["", "{}", '{"version": 1}', "null"])
def test_an_answer_that_is_none(answer: str) -> None:
    with refused("unparsable"):
        postgresql_dump.understood(answer)
    with refused("unparsable"):
        postgresql_load.looked(answer)


def test_an_old_server() -> None:
    told = {"version": 90624, "user": "u", "passwords": True, "roles": 1, "databases": []}
    with refused("unsupported"):
        postgresql_dump.understood(json.dumps(told))


def test_what_could_not_be_asked_counts_as_full() -> None:
    assert postgresql_dump.answered("t\nf\n?\n", ["a", "b", "c"]) == {"a": True, "b": False, "c": True}
    with refused("unparsable"):
        postgresql_dump.answered("t\n", ["a", "b"])
    script, env = postgresql_dump.holds(["a", "b c"])
    assert env == {"COUNT": "2", "D0": "a", "D1": "b c"}
    assert "b c" not in script


# -- roles --------------------------------------------------------------------------------------------------------

GLOBALS = r"""--
-- PostgreSQL database cluster dump
--
\restrict abc
SET client_encoding = 'UTF8';

CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x==$y=:z=';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
CREATE ROLE "we; ird ""x"" y";
ALTER ROLE "we; ird ""x"" y" WITH NOLOGIN;
COMMENT ON ROLE "we; ird ""x"" y" IS 'it''s of two lines;
ALTER ROLE postgres WITH NOSUPERUSER;';
COMMENT ON ROLE postgres IS 'theirs';
ALTER ROLE app SET search_path TO 'a', 'b';

GRANT "we; ird ""x"" y" TO app WITH ADMIN OPTION GRANTED BY postgres;
GRANT app TO postgres GRANTED BY postgres;
GRANT pg_monitor TO app WITH INHERIT TRUE GRANTED BY postgres;

CREATE TABLESPACE fast OWNER app LOCATION '/srv/fast';
ALTER TABLESPACE fast SET (seq_page_cost='1');
\unrestrict abc
--
-- PostgreSQL database cluster dump complete
--
"""


def test_roles_that_are_missing_are_made_and_others_left_alone() -> None:
    statements, made, spaces = postgresql_load.missing_roles(GLOBALS, {"postgres", "pg_monitor"})
    assert made == ["app", '"we; ird ""x"" y"']
    assert spaces == ["fast"]
    assert statements == (
        "CREATE ROLE app;\n"
        "ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x==$y=:z=';\n"
        'CREATE ROLE "we; ird ""x"" y";\n'
        'ALTER ROLE "we; ird ""x"" y" WITH NOLOGIN;\n'
        'COMMENT ON ROLE "we; ird ""x"" y" IS \'it\'\'s of two lines;\nALTER ROLE postgres WITH NOSUPERUSER;\';\n'
        "ALTER ROLE app SET search_path TO 'a', 'b';\n"
        'GRANT "we; ird ""x"" y" TO app WITH ADMIN OPTION;\n'
        "GRANT pg_monitor TO app WITH INHERIT TRUE;\n"
    )


def test_nothing_is_made_twice() -> None:
    assert postgresql_load.missing_roles(GLOBALS, {"postgres", "app", '"we; ird ""x"" y"'})[:2] == ("", [])
    assert postgresql_load.missing_roles("", set()) == ("", [], [])


# -- what is said ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ('FATAL:  password authentication failed for user "backup"', "server_denied"),
        ("psql: error: connection … failed: fe_sendauth: no password supplied", "server_denied"),
        ("psql: error: … failed: Connection refused\n\tIs the server running on that host …?", "server_unreachable"),
        ("FATAL:  the database system is starting up", "server_unreachable"),
        ("pg_dump: error: aborting because of server version mismatch", "unsupported"),
        ("cyborg: no client programs", "unsupported"),
        ("something else", "dump_failed"),
    ],
)
def test_what_a_program_says(words: str, code: str) -> None:
    signs = postgresql.said_of({**NOBODY, "user": "backup"}, "db1")
    assert postgresql.meant(signs, words, "dump_failed", "It failed.").code == code
