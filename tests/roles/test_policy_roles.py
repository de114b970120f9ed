"""The roles of the policy types, each run by plain ansible-playbook and judged by what Borg then lists."""

from __future__ import annotations

import subprocess

import pytest

from tests.roles.conftest import PASSPHRASE, Plain

pytestmark = pytest.mark.hosts


def well(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert PASSPHRASE not in said
    return said


def failed(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert PASSPHRASE not in said
    return said


def write(plain: Plain, *paths: str) -> None:
    for path in paths:
        plain.host.run(["mkdir", "-p", path.rpartition("/")[0] or "/"])
        plain.host.write(path, f"in {path}")


def test_config_is_etc(plain: Plain) -> None:
    write(plain, "/etc/app/a.conf", "/etc/app/a.bak", "/etc/app/cache/x", "/etc/app/re:.*", "/etc/app/-x")
    excludes = ["/etc/app/cache", {"style": "shell", "pattern": "**/*.bak"}]
    said = well(plain.backup("config", exclude=excludes))
    assert plain.archive in said
    saved = plain.saved()
    assert {path.split("/")[0] for path in saved} == {"etc"}
    assert {"etc/passwd", "etc/app/a.conf", "etc/app/re:.*", "etc/app/-x"} <= saved.keys()
    assert not {"etc/app/a.bak", "etc/app/cache", "etc/app/cache/x"} & saved.keys()


def test_one_exclude_is_not_a_list_of_letters(plain: Plain) -> None:
    write(plain, "/etc/app/a,b/x", "/etc/app/a/x")
    well(plain.backup("config", exclude="/etc/app/a,b"))
    assert "etc/app/a/x" in plain.saved()
    assert "etc/app/a,b" not in plain.saved()


def test_excludes_are_data(plain: Plain) -> None:
    names = ["{{ 7*7 }}", "re:.*", "sh:x", "-x", "{now}", "new\nline", "a b"]
    write(plain, *(f"/srv/names/{name}/x" for name in [*names, "49", "kept"]))
    well(plain.backup("folders", folders=["/srv/names"], exclude=[f"/srv/names/{name}" for name in names]))
    assert {"srv/names/49/x", "srv/names/kept/x"} == {path for path, kind in plain.saved().items() if kind == "-"}


def test_folders_are_data(plain: Plain) -> None:
    names = ["{{ 7*7 }}; touch x", "re:.*", "-x", "{now}", "$HOME", "new\nline", "a,b", "*"]
    write(plain, *(f"/srv/roots/{name}/x" for name in [*names, "49; touch x", "a", "b", "other"]))
    well(plain.backup("folders", folders=[f"/srv/roots/{name}" for name in names]))
    files = {path for path, kind in plain.saved().items() if kind == "-"}
    assert files == {f"srv/roots/{name}/x" for name in names}
    assert not (plain.folder / "x").exists()
    assert not plain.host.exists("/root/x")


def test_every_style_of_exclude(plain: Plain) -> None:
    styles = {"path": "/srv/st/path", "shell": "srv/*/shell", "fnmatch": "*/fnmatch/*", "regex": "/reg[a-z]x/"}
    write(plain, *(f"/srv/st/{style}/x" for style in styles), "/srv/st/keep/x")
    exclude = [{"style": style, "pattern": pattern} for style, pattern in styles.items()]
    well(plain.backup("folders", folders=["/srv/st"], exclude=exclude))
    assert {path for path, kind in plain.saved().items() if kind == "-"} == {"srv/st/keep/x"}


def test_folders_that_are_links(plain: Plain) -> None:
    write(plain, "/srv/real/x")
    plain.host.run(["ln", "-sfn", "/srv/real", "/srv/link"])
    said = well(plain.backup("folders", folders=["/srv/link"]))
    assert plain.saved() == {"srv/real": "d", "srv/real/x": "-"}
    assert "/srv/real" in said
    before = plain.archives()
    failed(plain.backup("folders", folders=["/srv/link"], follow=False))
    assert plain.archives() == before


FAILING = {
    "/srv/missing does not exist": {"folders": ["/etc", "/srv/missing"]},
    "/srv/empty is empty": {"folders": ["/srv/empty"]},
    "must be an absolute path: srv": {"folders": ["srv"]},
    "cannot be an exclude": {"folders": ["/srv/real"], "exclude": [{"style": "sh", "pattern": "x"}]},
    "/srv/real is not in the archive: an exclude leaves it out": {"folders": ["/srv/real"], "exclude": ["/srv/real"]},
    "Not one file was saved": {"folders": ["/srv/real"], "exclude": [{"style": "shell", "pattern": "**/x"}]},
}


def test_folders_that_cannot_be_saved(plain: Plain) -> None:
    write(plain, "/srv/real/x")
    plain.host.run(["mkdir", "-p", "/srv/empty"])
    said = plain.each("folders", list(FAILING.values()))
    for line, expected in zip(said, FAILING, strict=True):
        assert "FAILED!" in line
        assert expected in line


def test_the_specs_are_checked_in_plain_runs(plain: Plain) -> None:
    assert "missing required arguments: policy_folders_folders" in failed(plain.backup("folders"))


def test_an_empty_folder_that_may_be(plain: Plain) -> None:
    plain.host.run(["mkdir", "-p", "/srv/empty"])
    well(plain.backup("folders", folders="/srv/empty", allow_empty=True))
    assert plain.saved() == {"srv/empty": "d"}


def test_caches_and_nodump(plain: Plain) -> None:
    write(plain, "/srv/tree/cache/x", "/srv/tree/y")
    plain.host.write("/srv/tree/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
    well(plain.backup("folders", folders=["/srv/tree"], exclude_caches=True))
    assert "srv/tree/cache/x" not in plain.saved()
    assert "srv/tree/y" in plain.saved()
    well(plain.backup("folders", folders=["/srv/tree"]))
    assert "srv/tree/cache/x" in plain.saved()


def test_the_vault_itself_is_left_out(plain: Plain) -> None:
    write(plain, "/srv/backup/beside/x")
    well(plain.backup("folders", folders=["/srv/backup"]))
    assert "srv/backup/beside/x" in plain.saved()
    assert not any(path.startswith("srv/backup/plain") for path in plain.saved())


def test_mail_is_what_there_is(plain: Plain) -> None:
    run = plain.host.run
    assert "is empty" in failed(plain.backup("mail"))
    write(plain, "/var/mail/root")
    well(plain.backup("mail"))
    assert plain.saved() == {"var/mail": "d", "var/mail/root": "-"}
    # As on Fedora and Arch: the one is a link to the other. /var/lib/mail beside it.
    run(["sh", "-c", "rm /var/spool/mail; mv /var/mail /var/spool/mail; ln -s spool/mail /var/mail"])
    write(plain, "/var/lib/mail/box")
    well(plain.backup("mail"))
    assert plain.saved().keys() == {"var/spool/mail", "var/spool/mail/root", "var/lib/mail", "var/lib/mail/box"}
    run(["rm", "-r", "/var/mail", "/var/spool/mail", "/var/lib/mail"])
    assert "/var/mail" in failed(plain.backup("mail"))


def test_rootfs_leaves_out_what_does_not_last(plain: Plain) -> None:
    host = plain.host
    left_out = ("/tmp/x", "/var/tmp/x", "/run/x", "/lost+found/x", "/srv/lost+found/x", "/swapfile")
    write(plain, *left_out, "/home/ann/.cache/borg/x", "/root/.cache/borg/x", "/mnt/x", "/srv/kept", "/opt/out/x")
    said = well(plain.backup("rootfs", exclude=["/usr", "/var/lib", "/opt/out"]))
    assert plain.archive in said
    saved = plain.saved()
    assert {"etc/passwd", "srv/kept", "mnt/x", "root", "home/ann/.cache"} <= saved.keys()
    for folder in ("proc", "sys", "dev", "run", "tmp", "var/tmp", "lost+found", "srv/lost+found"):
        assert saved[folder] == "d"
        assert not [path for path in saved if path.startswith(folder + "/")]
    assert not saved.keys() & {path.lstrip("/") for path in left_out}
    assert not [
        path for path in saved if ".cache/borg" in path or path.startswith(("srv/backup/plain", "usr", "opt/out"))
    ]
    assert host.run(["stat", "-c", "%a", "/tmp"]).stdout.strip() == "1777"
    mode = plain.borg("list", "--format", "{path} {mode}\n", f"/srv/backup/plain::{plain.archive}")
    assert "tmp drwxrwxrwt\n" in mode


@pytest.mark.parametrize(("type", "shown"), [("rootfs", "/"), ("mail", "/var/mail")])
def test_check_mode_says_what_it_would_do(plain: Plain, type: str, shown: str) -> None:
    write(plain, "/var/mail/root")
    before = plain.archives()
    said = well(plain.backup(type, "--check"))
    assert f"would back up {shown} to the archive {plain.archive}" in said
    assert plain.archives() == before


def test_check_mode_finds_what_is_missing(plain: Plain) -> None:
    assert "/srv/missing does not exist" in failed(plain.backup("folders", "--check", folders=["/srv/missing"]))
