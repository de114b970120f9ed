"""Databases of a real MariaDB, as archives, by plain ansible-playbook; and back again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.lab.mariadb import MariaDB, quoted
from tests.roles.conftest import PASSPHRASE, ROOT, VAULT, Plain

sys.path.append(str(ROOT / ".ansible"))

from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import name_in

pytestmark = pytest.mark.hosts

#: A blank, quotes, a backtick, a template, a backslash, a letter that is not ASCII.
ODD = "it's a `db` {{ 7*7 }} \\ é"


class Mysql(Plain):
    """A host with a vault and a MariaDB of its own."""

    def __init__(self, folder, lab, host):  # type: ignore[no-untyped-def]
        super().__init__(folder, lab, host)
        self.server = MariaDB(host)

    def clean(self) -> None:
        self.server.drop(*self.server.databases())

    def sql(self, text: str, database: str = "") -> list[list[str]]:
        return self.server.sql(text, database)

    def made(self, **options: object) -> str:
        """A backup that goes well; gives what was said."""
        return well(self.backup("mysql", **options))

    def failed(self, **options: object) -> str:
        done = self.backup("mysql", **options)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 2, said
        return said

    def bring(self, archive: str, **options: object) -> str:
        self.archive = archive
        return well(self.restore("mysql", **options))  # type: ignore[arg-type]

    def of(self, name: str) -> str:
        """The archive of a database, of the last backup."""
        [found] = [archive for archive in self.parts() if self.file(archive) == name]
        return found

    def parts(self) -> list[str]:
        return [archive for archive in self.archives() if archive.startswith(self.archive + "+")]

    def file(self, archive: str) -> str:
        [path] = self.saved(archive)
        return name_in(path)

    def text(self, archive: str, sql: str) -> str:
        """Put a dump of our own into an archive."""
        argv = ["borg", "create", "--stdin-name", "mysql/shop.sql", f"{VAULT}::{archive}", "-"]
        self.host.run(argv, input=sql, env={"BORG_PASSPHRASE": PASSPHRASE})
        return archive


def well(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert PASSPHRASE not in said
    return " ".join(said.split())


@pytest.fixture(scope="module")
def module(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mysql]:
    host = lab.host(servers="databases")
    made = Mysql(tmp_path_factory.mktemp("mysql"), lab, host)
    host.run(["mkdir", "-p", "/srv/backup"])
    made.borg("init", "--encryption", "repokey-blake2", VAULT)
    yield made
    host.remove()


@pytest.fixture
def mysql(module: Mysql) -> Mysql:
    module.clean()
    return module


def test_all_databases_come_back_with_everything_in_them(mysql: Mysql) -> None:
    server = mysql.server
    before = {}
    for name in ("shop", ODD, "-x"):
        server.fill(name)
        before[name] = server.state(name)
    mysql.sql("CREATE USER keeper@localhost IDENTIFIED BY 'x'; GRANT SELECT ON shop.* TO keeper@localhost")
    said = mysql.made()
    assert "old are of an engine without transactions" in said
    archives = {mysql.file(archive): archive for archive in mysql.parts()}
    assert set(archives) == {"shop", ODD, "-x", "mysql"}
    server.drop(*before)
    for name, held in before.items():
        mysql.bring(archives[name], into=name)
        assert server.state(name) == held
    # Beside it, under a name of its own; the other one is not touched.
    server.drop("shop", "-x")
    mysql.sql("CREATE TABLE untouched (i INT)", ODD)
    held = server.state(ODD)
    mysql.bring(archives[ODD])
    [beside] = server.databases() - {ODD}
    assert beside.startswith("it's a `db`")
    assert "_restored_2" in beside
    assert len(beside) <= 64
    assert server.state(ODD) == held
    assert server.state(beside) == before[ODD]
    # Accounts, as the README says.
    mysql.sql("DROP USER keeper@localhost")
    mysql.bring(archives["mysql"], into="accounts")
    mysql.sql(
        "INSERT INTO mysql.global_priv SELECT * FROM accounts.global_priv WHERE User = 'keeper';"
        "INSERT INTO mysql.db SELECT * FROM accounts.db WHERE User = 'keeper'; FLUSH PRIVILEGES"
    )
    assert any("`shop`.*" in line[0] for line in mysql.sql("SHOW GRANTS FOR keeper@localhost"))
    mysql.sql("DROP USER keeper@localhost")


def test_a_dump_can_be_loaded_by_hand_too(mysql: Mysql) -> None:
    mysql.server.fill("shop")
    before = mysql.server.state("shop")
    mysql.made(databases="shop")
    mysql.server.drop("shop")
    mysql.sql("CREATE DATABASE other")
    env = {"BORG_PASSPHRASE": PASSPHRASE}
    mysql.host.run(
        ["bash", "-c", 'borg extract --stdout "$1" | mariadb --comments other', "-", f"{VAULT}::{mysql.of('shop')}"],
        env=env,
    )
    assert mysql.server.state("other") == before


def test_named_databases_and_what_is_not_there(mysql: Mysql) -> None:
    mysql.sql("CREATE DATABASE shop; CREATE TABLE shop.t (i INT); CREATE DATABASE `a,b`; CREATE TABLE `a,b`.t (i INT)")
    mysql.made(databases="a,b")
    assert [mysql.file(archive) for archive in mysql.parts()] == ["a,b"]
    said = mysql.failed(databases=["shop", "shpo"])
    assert "There is no database shpo" in said
    assert "Did you mean shop?" in said
    assert "1 of 2 archives were made" in said
    assert [mysql.file(archive) for archive in mysql.parts()] == ["shop"]
    mysql.made(leave_out=["mysql", "a,b"])
    assert [mysql.file(archive) for archive in mysql.parts()] == ["shop"]
    said = mysql.made(databases=["shop"], database="a,b", triggers=False, events=False)
    assert "no events and no triggers" in said
    # One of them cannot be dumped: the others are.
    mysql.sql("CREATE VIEW broken AS SELECT * FROM t; DROP TABLE t", "shop")
    said = mysql.failed(databases=["a,b", "shop"])
    assert "references invalid table" in said
    assert [mysql.file(archive) for archive in mysql.parts()] == ["a,b"]


def test_what_is_empty_is_no_backup_unless_it_may_be(mysql: Mysql) -> None:
    mysql.sql("CREATE DATABASE empty")
    assert "There is no database with anything in it" in mysql.failed()
    assert "The database empty is empty" in mysql.failed(databases="empty")
    assert mysql.parts() == []
    mysql.made(allow_empty=True)
    assert {mysql.file(archive) for archive in mysql.parts()} == {"empty", "mysql"}


def test_an_account_that_cannot_see_everything_is_refused_with_the_grant_that_it_lacks(mysql: Mysql) -> None:
    mysql.server.fill("shop")
    mysql.sql("CREATE DATABASE hidden; CREATE TABLE hidden.t (i INT)")
    mysql.sql(
        "CREATE USER classic@localhost IDENTIFIED BY 'x'; GRANT LOCK TABLES, SELECT ON *.* TO classic@localhost;"
        "CREATE USER `two``s`@localhost IDENTIFIED BY 'x';"
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON shop.* TO `two``s`@localhost;"
        "GRANT SHOW DATABASES ON *.* TO `two``s`@localhost"
    )
    classic, narrow = {"user": "classic", "password": "x"}, {"user": "two`s", "password": "x"}
    allowed = {"triggers": False, "events": False, "routines": False}
    lines = mysql.each(
        "mysql",
        [
            classic,
            {**classic, **allowed, "databases": ["hidden"]},
            narrow,
            {**narrow, "databases": "shop"},
            {**narrow, "databases": ["shop", "hidden"], "routines": False},
            {**classic, "password": "y"},
            {**classic, "socket": "/run/none.sock"},
            {**classic, "host": mysql.host.address, "port": 3307},
            {**classic, "host": "no-such-host.invalid"},
        ],
    )
    wanted = [
        "GRANT SHOW VIEW, TRIGGER, EVENT ON *.* TO `classic`@`localhost`;",
        "changed",
        "GRANT SELECT, TRIGGER, EVENT ON `hidden`.* TO `two``s`@`localhost`;",
        "Run on the server: GRANT SELECT ON `mysql`.`proc` TO `two``s`@`localhost`;",
        "GRANT SELECT, TRIGGER, EVENT ON `hidden`.* TO `two``s`@`localhost`;",
        "The server does not let the account classic in",
        "No MariaDB or MySQL server answers at /run/none.sock",
        f"No MariaDB or MySQL server answers at {mysql.host.address} port 3307",
        "No MariaDB or MySQL server answers at no-such-host.invalid",
    ]
    codes = ["grants_missing", "", *["grants_missing"] * 3, "server_denied", *["server_unreachable"] * 3]
    for line, text, code in zip(lines, wanted, codes, strict=True):
        assert text in line.replace("\\\\", "\\"), line
        assert not code or json.dumps(code) in line, line
    # What it says is enough.
    mysql.sql(
        "GRANT SHOW VIEW, TRIGGER, EVENT ON *.* TO `classic`@`localhost`;"
        "GRANT SELECT ON mysql.proc TO `two``s`@localhost"
    )
    before = mysql.server.state("shop")
    # A view in it calls a function.
    statement = "GRANT EXECUTE ON `shop`.* TO `classic`@`localhost`;"
    assert statement in mysql.failed(**classic)
    mysql.sql(statement)
    mysql.made(**classic)
    assert {mysql.file(archive) for archive in mysql.parts()} == {"shop", "hidden", "mysql"}
    mysql.made(**narrow, databases="shop")
    mysql.bring(mysql.of("shop"), into="again")
    assert mysql.server.state("again") == before
    mysql.sql("DROP USER classic@localhost, `two``s`@localhost")


def test_in_the_place_of_a_database(mysql: Mysql) -> None:
    server = mysql.server
    for name in ("shop", ODD):
        server.fill(name)
    before = server.state("shop")
    # To the server these are the same texts.
    for name in ("SHOP", "shöp"):
        server.sql(
            f"CREATE DATABASE {quoted(name)}; USE {quoted(name)}; CREATE TABLE t (i INT); INSERT INTO t VALUES (1);"
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.i = 1; CREATE VIEW v AS SELECT * FROM t;"
        )
    beside = {name: server.state(name) for name in ("SHOP", "shöp")}
    mysql.made(databases=["shop", ODD])
    archives = {name: mysql.of(name) for name in ("shop", ODD)}
    for name in ("shop", ODD):
        # Other tables, one that is the same, and things that must go.
        mysql.sql(
            "SET foreign_key_checks = 0; DROP VIEW above, `v ``w`, orphan; DROP TABLE child, old;"
            "CREATE TABLE more (i INT);"
            "CREATE TRIGGER t9 BEFORE INSERT ON more FOR EACH ROW SET NEW.i = 1; CREATE PROCEDURE more() SELECT 9;"
            "CREATE VIEW above AS SELECT 4; INSERT INTO nothing VALUES (4)",
            name,
        )
        said = well_refused(mysql, archives[name], into=name)
        assert "There is a database" in said
        mysql.bring(archives[name], shared={"borg_overwrite": True})
        assert server.state(name) == before
    assert server.databases() == {"shop", ODD, *beside}
    assert {name: server.state(name) for name in beside} == beside
    assert "server's own" in well_refused(mysql, archives["shop"], into="mysql", shared={"borg_overwrite": True})


def well_refused(mysql: Mysql, archive: str, **options: object) -> str:
    """What a restore says that fails; it leaves everything as it was."""
    before = {name: mysql.server.state(name) for name in mysql.server.databases()}
    mysql.archive = archive
    done = mysql.restore("mysql", **options)  # type: ignore[arg-type]
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert {name: mysql.server.state(name) for name in mysql.server.databases()} == before
    return said


def test_what_cannot_be_loaded_changes_nothing(mysql: Mysql) -> None:
    mysql.server.fill("shop")
    bad = mysql.text("bad", "CREATE TABLE t (i INT);\nINSERT INTO t VALUES (1);\nTHIS IS NOTHING;\nDROP TABLE t;\n")
    assert "load_failed" in well_refused(mysql, bad, into="new")
    assert "THIS IS NOTHING" in well_refused(mysql, bad, shared={"borg_overwrite": True})
    # A dump is statements for the server, never commands for the host.
    for number, command in enumerate(("\\! touch /tmp/pwned", "system touch /tmp/pwned", "source /etc/passwd")):
        hostile = mysql.text(f"hostile{number}", f"CREATE TABLE t (i INT);\n{command}\n;\n")
        well_refused(mysql, hostile, into="new")
    assert not mysql.host.exists("/tmp/pwned")
    # Foreign keys of others would refer to what is taken away.
    good = mysql.text("good", "CREATE TABLE t (i INT);\n-- Dump completed\n")
    mysql.sql(
        "CREATE DATABASE other;CREATE TABLE other.o (i INT PRIMARY KEY, FOREIGN KEY (i) REFERENCES shop.child (id))"
    )
    assert "(other.o)" in well_refused(mysql, good, shared={"borg_overwrite": True})
    mysql.server.drop("other")
    # What is there cannot be kept whole, so it is not touched.
    mysql.sql("CREATE VIEW broken AS SELECT * FROM child; RENAME TABLE child TO child2", "shop")
    said = well_refused(mysql, good, shared={"borg_overwrite": True})
    assert "The database shop is as it was" in said
    mysql.archive = good
    said = well(mysql.restore("mysql", "--check"))
    assert "would load" in said
    assert mysql.server.databases() == {"shop"}


def test_the_old_one_is_put_back_if_the_new_one_cannot_take_its_place(mysql: Mysql) -> None:
    for name in ("shop", ODD):
        mysql.server.fill(name)
    # The view can be made where it is loaded, but not where it goes: there it would refer to itself.
    sql = "CREATE TABLE t (i INT);\nCREATE VIEW v AS SELECT * FROM {0}.`old`;\n-- Dump completed\n"
    for number, name in enumerate(("shop", ODD)):
        archive = mysql.text(f"view{number}", sql.format(quoted(name)))
        assert "is as it was" in well_refused(mysql, archive, into=name, shared={"borg_overwrite": True})
