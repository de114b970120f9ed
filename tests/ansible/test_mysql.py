"""What is made of a MariaDB's or MySQL's answers, and what is asked of it: without a server.

The answers of MariaDB were recorded from 10.11; those of MySQL are from its manual.
"""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.cyborg.backup.plugins.action.mysql_dump import names_of
from ansible_collections.cyborg.backup.plugins.plugin_utils import (
    mysql_dump_script,
    mysql_login,
    mysql_names,
    mysql_server,
)
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_grants import Grants, missing
from hypothesis import given
from hypothesis import strategies as st

ALL = {"routines": True, "events": True, "triggers": True}


def hexed(text: str) -> str:
    return text.encode().hex().upper()


def server(*grants: str, version: str = "10.11.18-MariaDB-0+deb12u1", account: str = "b@localhost") -> Any:
    rows = [
        ("server", version, hexed(account)),
        ("database", hexed("information_schema"), "utf8mb3", "utf8mb3_general_ci"),
        ("database", hexed("shop"), "utf8mb4", "utf8mb4_general_ci"),
        ("database", hexed("my_db"), "latin1", "latin1_swedish_ci"),
        ("database", hexed("mysql"), "utf8mb4", "utf8mb4_general_ci"),
        ("table", hexed("shop"), "BASE TABLE", "InnoDB", "3"),
        ("table", hexed("shop"), "BASE TABLE", "MyISAM", "1"),
        ("table", hexed("shop"), "BASE TABLE", "MRG_MyISAM", "1"),
        ("table", hexed("shop"), "SYSTEM VERSIONED", "InnoDB", "1"),
        ("table", hexed("shop"), "SEQUENCE", "InnoDB", "2"),
        ("table", hexed("shop"), "VIEW", "", "2"),
        ("table", hexed("mysql"), "VIEW", "", "1"),
        ("table", hexed("mysql"), "BASE TABLE", "Aria", "30"),
        ("plain", hexed("shop"), hexed("old")),
        ("versioned", hexed("shop"), hexed("kept")),
        ("accounts view", hexed("mysql")),
        ("routine", hexed("shop"), "FUNCTION", "utf8mb4_general_ci", "1"),
        ("routine", hexed("shop"), "FUNCTION", "latin1_swedish_ci", "1"),
        ("routine", hexed("sys"), "PROCEDURE", "utf8mb3_general_ci", "9"),
        ("trigger", hexed("shop"), "", "utf8mb4_general_ci", "4"),
        ("event", hexed("shop"), "", "utf8mb4_general_ci", "5"),
        ("odd events", hexed("shop")),
    ]
    return mysql_server.Server("".join("\t".join(row) + "\n" for row in rows) + "".join(line + "\n" for line in grants))


def lacking(made: Any, *names: str, **options: bool) -> dict[str | None, list[str]]:
    found = [made.databases[name] for name in names or sorted(made.databases)]
    return missing(made.grants, made, found, everything=not names, **{**ALL, **options})


def test_a_servers_answer_is_taken_apart() -> None:
    made = server("GRANT USAGE ON *.* TO `b`@`localhost` IDENTIFIED BY PASSWORD '*B69027D44F6E5EDC07F1AEAD1477'")
    assert (made.mariadb, made.version, made.account) == (True, (10, 11, 18), "`b`@`localhost`")
    assert sorted(made.databases) == ["my_db", "mysql", "shop"]
    shop = made.databases["shop"]
    assert (shop.tables, shop.views, shop.sequences, shop.triggers, shop.events) == (6, 2, 2, 4, 5)
    assert (shop.routines, shop.foreign_collation, shop.odd_events) == ({"FUNCTION": 2}, True, True)
    assert made.databases["mysql"].views == 0
    assert made.databases["my_db"].empty
    assert not shop.empty
    said = " ".join(mysql_server.warnings(shop))
    for words in ("the tables old are", "the rows of 1 tables lie outside", "of the tables kept"):
        assert words in said


def test_what_a_dump_has_to_hold() -> None:
    made = server()
    wanted = mysql_server.counts(made.databases["shop"], **ALL)
    assert wanted["\n-- Table structure for table `"] == 6
    assert wanted["\n-- Dumping data for table `"] == 5
    assert wanted["\n/*!50003 DROP FUNCTION IF EXISTS `"] == 2
    assert wanted["\nALTER DATABASE `shop` "] == 0
    without = mysql_server.counts(made.databases["shop"], routines=False, events=False, triggers=False)
    assert not any("!50" in text for text in without)
    assert "\n-- Dumping data for table `" not in mysql_server.counts(made.databases["mysql"], **ALL)


@pytest.mark.parametrize("answer", ["", "database\t6D\tutf8mb4; DROP\tx\n", "server\tx\tzz\n"])
def test_an_answer_that_is_none(answer: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        mysql_server.Server(answer)
    assert str(caught.value)


def test_the_documented_account_lacks_nothing() -> None:
    assert lacking(server("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`localhost`")) == {}
    assert lacking(server("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION")) == {}
    one = (
        "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `shop`.* TO `b`@`localhost`",
        "GRANT SELECT ON `mysql`.`proc` TO `b`@`localhost`",
    )
    assert lacking(server(*one), "shop") == {}
    role = ("GRANT `r` TO `b`@`localhost`", "GRANT SELECT, EVENT ON *.* TO `r`")
    assert lacking(server(*role, "GRANT SHOW VIEW, TRIGGER ON *.* TO PUBLIC")) == {}


def test_what_an_account_lacks_is_a_statement() -> None:
    classic = server("GRANT SELECT, LOCK TABLES ON *.* TO `b`@`localhost`")
    assert lacking(classic) == {None: ["GRANT SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`localhost`;"]}
    assert lacking(classic, "my_db", routines=False, events=False, triggers=False) == {}
    assert lacking(classic, "my_db") == {"my_db": ["GRANT TRIGGER, EVENT ON `my\\_db`.* TO `b`@`localhost`;"]}
    nothing = server("GRANT USAGE ON *.* TO `b`@`localhost`")
    assert lacking(nothing) == {None: ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`localhost`;"]}
    blind = server("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `shop`.* TO `b`@`localhost`")
    assert lacking(blind, "shop") == {"shop": ["GRANT SELECT ON `mysql`.`proc` TO `b`@`localhost`;"]}
    # It would not see a database that it may do nothing in, so this is not "all of them".
    assert lacking(blind) == {None: ["GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`localhost`;"]}


def test_privileges_on_less_than_a_database_do_not_count() -> None:
    for line in (
        "GRANT SELECT (`id`), INSERT ON `shop`.`t` TO `b`@`localhost`",
        "GRANT SELECT ON `shop`.`t` TO `b`@`localhost`",
        "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `b`@`localhost`",
        "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
        "GRANT `SELECT ON *.* TO x` TO `b`@`localhost`",
    ):
        assert not Grants([line]).may("SELECT", "shop"), line


def test_the_most_exact_entry_for_a_database_counts() -> None:
    grants = Grants(
        [
            "GRANT SELECT, EVENT ON `my%`.* TO `b`@`localhost`",
            "GRANT SELECT ON `my\\_db`.* TO `b`@`localhost`",
            "GRANT ALL PRIVILEGES ON `a``b`.* TO `b`@`localhost` WITH GRANT OPTION",
        ]
    )
    assert grants.may("EVENT", "mydb")
    assert grants.may("SELECT", "my_db")
    assert not grants.may("EVENT", "my_db")
    assert grants.may("TRIGGER", "a`b")
    assert not grants.may("SELECT", "other")


def test_mysql_8() -> None:
    every = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`localhost`"
    assert lacking(server(every, version="8.0.36")) == {}
    taken = server(every, "REVOKE SELECT ON `shop`.* FROM `b`@`localhost`", version="8.0.36")
    assert lacking(taken) == {None: ["GRANT SELECT ON `shop`.* TO `b`@`localhost`;"]}
    one = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `shop`.* TO `b`@`localhost`"
    assert lacking(server(one, version="8.0.36"), "shop") == {"shop": ["GRANT SHOW_ROUTINE ON *.* TO `b`@`localhost`;"]}
    assert lacking(server(one, "GRANT SHOW_ROUTINE ON *.* TO `b`@`localhost`", version="8.0.36"), "shop") == {}
    newer = server(one.replace("SELECT,", "SELECT, SHOW CREATE ROUTINE,"), version="11.4.2-MariaDB")
    assert lacking(newer, "shop") == {}


def test_an_option_file_for_any_password() -> None:
    assert mysql_login.option_file("") == "[client]\n"
    assert mysql_login.option_file("a#b 'c' \"d\" \\n\te\n") == '[client]\npassword="a#b \'c\' \\"d\\" \\\\n\\te\\n"\n'
    with pytest.raises(ValueError, match="NUL"):
        mysql_login.option_file("a\0b")


def test_nothing_secret_and_nothing_unquoted_is_in_a_script() -> None:
    args = {**ALL, "user": "it's $(id)", "password": "canary", "host": "-x", "port": 3307, "socket": "/a b"}
    database = SimpleNamespace(**vars(server().databases["shop"]))
    database.name = "--x'; rm -rf / #`"
    database.views = 1
    script = mysql_dump_script.dump(args, database)
    assert "canary" not in script
    words = shlex.split(script[: script.index("set -eu")])
    assert words == ["export", "HOME=/nonexistent", "login=(--default-character-set=utf8mb4", "--user=it's $(id)",
                     "--host=-x", "--port=3307", "--socket=/a b)"]  # fmt: skip
    line = next(line for line in script.splitlines() if line.startswith("print()"))
    assert shlex.split(line)[-3:] == ["--", database.name + ";", "}"]
    assert mysql_login.says(args)["ERROR 1045"][0] == "server_denied"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64))
def test_names(name: str) -> None:
    assert mysql_names.unquoted(mysql_names.quoted(name)) == name
    assert mysql_names.unhexed(hexed(name)) == name
    file = mysql_names.file_of(name)
    assert mysql_names.name_in(file) in (name, "")
    assert len(name.encode()) > 30 or mysql_names.name_in(file) == name
    made = mysql_names.made(name, "restored_1_2_1")
    assert made.endswith("_restored_1_2_1")
    assert len(made) <= 64


def test_one_text_is_one_name() -> None:
    assert names_of("a,b", "") == ["a,b"]
    assert names_of(["a", 2024, "a"], "c") == ["a", "2024", "c"]
    assert names_of(None, "") == names_of([], "") == names_of("", "") == []
    with pytest.raises(Failure):
        names_of({"a": 1}, "")
