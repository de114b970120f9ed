"""PostgreSQL on a real server in a real host: backed up, dropped, brought back and compared; and all that goes wrong.

One server serves the whole module; each test has databases of its own, and takes them away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import attrs
import pytest

import cyborglib as cy
from tests.hosts.conftest import made_key
from tests.hosts.postgresql import ODD, SHOP, TABLES, Scene, kill_when, random_rows
from tests.hosts.test_canary import canary, job_folders, token
from tests.hosts.watcher import Watch, watching
from tests.lab import Lab
from tests.lab.cluster import PORT

pytestmark = pytest.mark.hosts


@pytest.fixture(scope="module")
def whole(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("postgresql")
    made_key(folder)
    scene = Scene(folder, lab)
    yield scene
    scene.cyborg.close()
    for host in scene.made:
        host.remove()


@pytest.fixture
def scene(whole: Scene) -> Iterator[Scene]:
    yield whole
    whole.drop()


def test_a_whole_server_comes_back(scene: Scene) -> None:
    server = scene.server
    server.sql('create role keeper login password \'its own\'; create role "read er"; grant "read er" to keeper;')
    server.create("shop", SHOP)
    server.create(ODD, "create table t as select n from generate_series(1, 10) n;")
    server.sql("create database latin owner keeper encoding 'LATIN1' locale 'C' template template0;")
    server.sql("create table t (x text); insert into t values ('é');", "latin")
    server.sql("alter database latin set work_mem = '7MB'; comment on database latin is 'old'; create database empty;")
    before = {name: server.digest(name, *tables) for name, tables in (("shop", TABLES), (ODD, ["t"]), ("latin", ["t"]))}
    archives = scene.archives(scene.run(scene.policy("all"))[0])
    assert archives.keys() == {"globals", "shop", ODD, "latin", "empty"}
    scene.sound()
    scene.drop()
    server.sql('drop role keeper; drop role "read er"; create role bystander login;')
    # Without its roles a database is not restored at all, and the error names them.
    job = scene.back(archives["shop"], into="shop")
    assert (job.status, job.error.code) == ("failed", "load_failed"), scene.said()
    assert all(role in str(job.error) for role in ("keeper", '"read er"')), job.error
    assert server.databases() == []
    assert scene.back(archives["globals"]).status == "successful", scene.said()
    assert server.sql("select rolcanlogin, rolpassword like 'SCRAM%' from pg_authid where rolname = 'keeper'") == "t|t"
    assert server.sql("select pg_has_role('keeper', 'read er', 'member')") == "t"
    for name in ("shop", ODD, "latin", "empty"):
        assert scene.back(archives[name], into=name).status == "successful", scene.said()
    assert server.databases() == sorted(["shop", ODD, "latin", "empty"])
    assert before == {
        name: server.digest(name, *tables) for name, tables in (("shop", TABLES), (ODD, ["t"]), ("latin", ["t"]))
    }
    assert (
        server.sql("select nextval('lone'), nextval('orders_id_seq'), twice(21), lo_get(4711)", "shop")
        == "71|2001|42|\\x00ff00"
    )
    assert server.sql("select has_table_privilege('read er', 'orders', 'select')", "shop") == "t"
    assert server.sql("select tableowner from pg_tables where tablename = 'orders'", "shop") == "keeper"
    assert server.sql("select count(*) from pg_proc where proname = 'clear'", "shop") == "1"
    told = "pg_encoding_to_char(encoding), datcollate, pg_get_userbyid(datdba), shobj_description(oid, 'pg_database')"
    assert server.sql(f"select {told} from pg_database where datname = 'latin'") == "LATIN1|C|keeper|old"
    assert server.sql("show work_mem", "latin") == "7MB"
    scene.drop()
    server.sql('drop role keeper; drop role "read er"; drop role bystander')


def test_roles_come_with_a_database_or_nothing_belongs_to_them(scene: Scene) -> None:
    server = scene.server
    server.sql('create role keeper; create role "read er";')
    server.create("shop", SHOP)
    archive = scene.archives(scene.run(scene.policy("roles", databases="shop", globals=True))[0])["shop"]
    scene.drop()
    server.sql('drop role keeper; drop role "read er";')
    assert scene.back(archive, into="bare", owners=False).status == "successful", scene.said()
    assert server.sql("select tableowner from pg_tables where tablename = 'orders'", "bare") == "postgres"
    job = scene.back(archive, roles=True)
    assert job.status == "successful", scene.said()
    assert (
        server.sql("select tableowner from pg_tables where tablename = 'orders'", f"shop_restored_{job.id}") == "keeper"
    )
    scene.drop()
    server.sql('drop role keeper; drop role "read er";')


def test_in_the_place_of_one_that_is_in_use(scene: Scene) -> None:
    server = scene.server
    server.create(ODD, "create table t as select n from generate_series(1, 10) n;")
    policy = scene.policy("one", database=ODD)
    # Twice within the same minute: two archives, of which the first is as good as the second.
    archive, other = (scene.archives(scene.run(policy)[0])[ODD] for _ in range(2))
    assert archive.name != other.name
    server.sql("delete from t where n > 3;", ODD)
    job = scene.back(archive, into=ODD)
    assert (job.status, job.error.code) == ("failed", "database_exists"), scene.said()
    assert server.sql("select count(*) from t", ODD) == "3"
    argv = ["env", f"PGDATABASE={ODD}", "psql", "-Xqc", "select pg_sleep(300)"]
    session = threading.Thread(target=lambda: server.host.run(argv, user="postgres", check=False, timeout=600))
    session.start()
    job = scene.back(archive, overwrite=True)
    assert job.status == "successful", scene.said()
    session.join(30)
    assert not session.is_alive(), "its session was ended"
    assert server.databases() == [ODD]
    assert server.sql("select count(*) from t", ODD) == "10"


def test_a_load_that_fails_leaves_all_as_it_was(scene: Scene) -> None:
    server = scene.server
    server.host.run(
        ["sh", "-c", "mkdir -p /srv/small && mount -t tmpfs -o size=40m small /srv/small && chown postgres /srv/small"]
    )
    server.sql("create tablespace small location '/srv/small';")
    server.sql("create database tight tablespace small;")
    # Its load takes a while, so that whoever kills the load has time to see it.
    slow = "alter table t add check (n % 16 > 0 or pg_sleep(0.002) is not null);"
    server.sql(f"create table t as {random_rows(6)}; {slow} checkpoint;", "tight")
    before = server.digest("tight", "t")
    archive = scene.archives(scene.run(scene.policy("tight", database="tight"))[0])["tight"]
    server.host.run(["sh", "-c", "head -c 17M /dev/zero > /srv/small/ballast"])
    job = scene.back(archive, overwrite=True)
    assert (job.status, job.error.code) == ("failed", "client_full"), scene.said()
    assert server.databases() == ["tight"], str(job.error)
    server.host.run(["rm", "/srv/small/ballast"])

    # Killed in its middle.
    killer = threading.Thread(target=kill_when, args=(server.host, "--exit-on-error", 4_000_000))
    killer.start()
    job = scene.back(archive, overwrite=True)
    killer.join()
    assert (job.status, job.error.code) == ("failed", "load_failed"), scene.said()
    assert server.databases() == ["tight"]
    assert server.digest("tight", "t") == before
    assert scene.back(archive, overwrite=True).status == "successful", scene.said()
    assert server.digest("tight", "t") == before
    scene.drop()
    server.sql("drop tablespace small;")
    server.host.run(["umount", "/srv/small"])


def test_a_dump_that_is_killed_in_its_middle_is_no_archive(scene: Scene) -> None:
    server = scene.server
    server.create("first", "create table t as select 1;")
    server.create("second", f"create table t as {random_rows(30)};")
    policy = scene.policy("killed", databases=["first", "second"])
    [good] = scene.run(policy)
    killer = threading.Thread(target=kill_when, args=(server.host, "pg_dump", 12_000_000))
    killer.start()
    job = scene.failed(policy, "dump_failed")
    killer.join()
    assert "second" in str(job.error)
    assert "signal 9" in str(job.error)
    assert scene.archives(job).keys() == {"first"}
    assert len(scene.cyborg.archives.find(policy=policy.id)) == len(good.archives) + 1
    scene.run(policy)


def test_one_that_fails_does_not_cost_the_others(scene: Scene) -> None:
    server = scene.server
    server.create("good", "create table t as select 1;")
    server.create("bad", "create table t as select 1;")
    server.create("empty")
    # Its rows cannot be read: a page of the table is broken.
    path = server.sql(
        "select current_setting('data_directory') || '/' || pg_relation_filepath('t'); checkpoint;", "bad"
    )
    server.host.run(
        ["sh", "-c", 'printf garbage-over-all | dd of="$1" bs=1 seek=12 conv=notrunc status=none', "sh", path]
    )
    server.stop()
    server.start()
    job = scene.failed(scene.policy("some", databases=["bad", "empty", "missing", "good"]), "dump_failed")
    assert scene.archives(job).keys() == {"good"}
    assert all(name in str(job.error) for name in ("bad", "empty", "missing")), job.error
    said = " ".join(scene.cyborg.output(job))
    assert "The database empty is empty" in said
    assert "no database missing" in said
    server.host.run(["rm", "-f", path])


def test_nothing_is_no_backup(scene: Scene) -> None:
    scene.server.create("empty")
    policy = scene.policy("none")
    scene.failed(policy, "source_empty")
    scene.failed(scene.policy("empty", database="empty"), "source_empty")
    scene.failed(scene.policy("missing", database="emtpy"), "source_missing")
    [job] = scene.run(scene.policy("perhaps", allow_empty=True))
    assert scene.archives(job).keys() == {"globals", "empty"}


def test_the_least_that_a_user_needs_and_nothing_less(scene: Scene) -> None:
    server = scene.server
    server.sql("create role backup login password 'pass:w\\ord long enough';")
    server.create("shop", "create table t as select 1;")
    login = {"user": "backup", "password": "pass:w\\ord long enough", "host": server.host.address, "port": PORT}
    policy = scene.policy("least", database="shop", **login)
    job = scene.failed(policy, "grants_missing")
    assert "pg_read_all_data" in str(job.error)
    server.sql("grant pg_read_all_data to backup;")
    scene.run(policy)
    server.sql("create table secret (n int); alter table secret enable row level security;", "shop")
    assert "BYPASSRLS" in str(scene.failed(policy, "grants_missing").error)
    server.sql("alter role backup bypassrls;")
    scene.run(policy)
    server.sql("select lo_from_bytea(0, '\\x00');", "shop")
    scene.failed(policy, "grants_missing")
    server.sql("select lo_unlink(oid) from pg_largeobject_metadata;", "shop")
    [job] = scene.run(scene.policy("least-of-all", **login))
    assert scene.archives(job).keys() == {"globals", "shop"}
    scene.failed(
        scene.policy("wrong", database="shop", **login | {"password": "another one entirely"}), "server_denied"
    )
    scene.drop()
    server.sql("drop role backup;")


def test_a_server_that_is_not_running(scene: Scene) -> None:
    scene.server.create("shop", "create table t as select 1;")
    policy = scene.policy("away", globals=False)
    [before] = scene.run(policy)
    archive = scene.archives(before)["shop"]
    scene.server.stop()
    try:
        scene.failed(policy, "server_unreachable")
        scene.failed(
            scene.policy("away-too", host=scene.server.host.address, user="x", password="long enough"),
            "server_unreachable",
        )
        job = scene.back(archive)
        assert (job.status, job.error.code) == ("failed", "server_unreachable"), scene.said()
    finally:
        scene.server.start()
    scene.run(policy)


def test_a_disk_that_is_full_on_the_client(scene: Scene) -> None:
    host = scene.server.host
    scene.server.create("shop", "create table t as select 1;")
    policy = scene.policy("full", globals=False)
    scene.run(policy)
    host.run(["sh", "-c", "mount -t tmpfs -o size=4k full /root/.cache/borg"])
    try:
        scene.failed(policy, "client_full")
    finally:
        host.run(["umount", "/root/.cache/borg"])
    scene.run(policy)


def test_a_disk_that_is_full_on_the_repositorys_host(scene: Scene) -> None:
    small = scene.repository("small", on="small", tmpfs_vault="12m")
    scene.cyborg.settings = attrs.evolve(scene.cyborg.settings, quota_share=0)
    scene.server.create("first", "create table t as select 1;")
    scene.server.create("second", f"create table t as {random_rows(30)};")
    policy = scene.cyborg.policies.add(
        cy.Policy("no-room", type="postgresql", repository=small, clients=[scene.db1], retries=0,
                  extra_vars={"databases": ["first", "second"]})
    )  # fmt: skip
    [job] = scene.cyborg.run(policy)
    assert (job.status, job.error.code) == ("failed", "vault_full"), scene.said()
    assert "second" in str(job.error)
    assert scene.archives(job).keys() == {"first"}
    assert scene.back(scene.archives(job)["first"]).status == "successful", scene.said()


def test_no_password_is_seen_anywhere(scene: Scene) -> None:
    server, host = scene.server, scene.server.host
    right, wrong = token(), token()
    password = canary(right)
    literal = password.replace("'", "''")
    server.sql(f"create role backup login superuser password '{literal}';")
    server.create("shop", f"create table t as {random_rows(20)};")
    login = {"user": "backup", "password": password, "host": host.address, "port": PORT}
    folders = [*job_folders(host), *job_folders(scene.hosts["nas"]), str(scene.folder)]
    with watching([right, wrong], folders) as seen:
        [job] = scene.run(scene.policy("canary", databases=["shop"], **login))
        archive = scene.archives(job)["shop"]
        assert scene.back(archive).status == "successful", scene.said()
        scene.failed(
            scene.policy("wrong-canary", database="shop", **login | {"password": canary(wrong)}), "server_denied"
        )
    assert seen["hits"] == []
    assert {"pg_dump", "pg_restore", "psql"} & set(seen["seen"]), seen["seen"]
    left = Watch([right, wrong])
    [vault] = (vault for vault in scene.cyborg.vaults if vault.id == archive.vault)
    env = {"BORG_PASSPHRASE": vault.passphrase.reveal(), "BORG_BASE_DIR": "/tmp/borg", "LANG": "C.UTF-8"}
    told = scene.hosts["nas"].run(
        ["borg", "info", "--json", f"{vault.where.path}::{archive.name}"], user="borg", env=env
    )
    assert "content-from-command" in told.stdout
    left.search("borg info", told.stdout.encode())
    assert left.files([str(one.folder / "upper") for one in scene.made]) > 50
    left.files(folders)
    left.search("said", scene.said().encode())
    left.search("told", "\n".join(map(repr, scene.told)).encode())
    assert sorted(left.hits) == []
    scene.drop()
    server.sql("drop role backup;")
