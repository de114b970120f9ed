"""The account that lists vaults: what is said of one that will not do, when it is assigned and when it is used."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator

import attrs
import pytest

import cyborglib as cy
from cyborglib.ansible.accounts import problem
from cyborglib.testing import FakeExecutor
from tests.accounts import local_account, new_name, remove

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice of accounts")


@pytest.fixture
def cyborg() -> Iterator[cy.Cyborg]:
    made = cy.Cyborg("sqlite://")
    yield made
    made.close()


@pytest.fixture
def account() -> Iterator[pwd.struct_passwd]:
    with local_account() as made:
        yield made


def assign(cyborg: cy.Cyborg, name: str, **others: object) -> None:
    cyborg.settings = attrs.evolve(cyborg.settings, controller_account=name, **others)


def refusal(cyborg: cy.Cyborg, name: str) -> str:
    before = cyborg.settings
    with pytest.raises(cy.Invalid) as refused:
        assign(cyborg, name)
    assert cyborg.settings == before
    assert "controller_account" in str(refused.value)
    return str(refused.value)


def advice(sentence: str) -> str:
    """The command that a sentence tells to run, which must do as it stands."""
    return re.findall(r"`([^`]+)`", sentence)[0]


def test_one_that_does_is_kept(cyborg: cy.Cyborg, account: pwd.struct_passwd) -> None:
    assert cyborg.settings.controller_account == ""
    assign(cyborg, account.pw_name)
    assert cyborg.settings.controller_account == account.pw_name
    assign(cyborg, "")


def test_a_missing_one_is_made_by_the_printed_line(cyborg: cy.Cyborg) -> None:
    name = new_name()
    line = advice(refusal(cyborg, name))
    assert line.startswith("useradd --system --create-home")
    subprocess.run(line, shell=True, check=True)
    try:
        assign(cyborg, name)
    finally:
        remove(name)


@pytest.mark.parametrize("name", ["", "-x", "a b", "x;id", "ä", "$(id)", "x" * 33, None, 3])
def test_what_cannot_be_an_account_is_refused_before_anybody_looks(name: object) -> None:
    if name == "":
        assert cy.Settings(controller_account="").controller_account == ""
        return
    with pytest.raises(cy.Invalid, match="controller_account"):
        cy.Settings(controller_account=name)  # type: ignore[arg-type]


def test_root_is_refused(cyborg: cy.Cyborg) -> None:
    assert "is root itself" in refusal(cyborg, "root")


def test_the_group_of_root_is_refused(cyborg: cy.Cyborg, account: pwd.struct_passwd) -> None:
    subprocess.run(["usermod", "--gid", "0", account.pw_name], check=True)
    assert "has the group of root" in refusal(cyborg, account.pw_name)


@pytest.mark.parametrize("how", ["gone", "somebody else's", "open to others", "a file"])
def test_a_home_is_set_right_by_the_printed_line(cyborg: cy.Cyborg, account: pwd.struct_passwd, how: str) -> None:
    home = account.pw_dir
    if how == "somebody else's":
        os.chown(home, 0, 0)
    elif how == "open to others":
        os.chmod(home, 0o777)
    else:
        shutil.rmtree(home)
        if how == "a file":
            open(home, "w").close()
    said = refusal(cyborg, account.pw_name)
    assert home in said
    if how == "a file":
        os.unlink(home)
    subprocess.run(advice(said), shell=True, check=True)
    assert os.stat(home).st_mode & 0o777 == 0o700
    assign(cyborg, account.pw_name)


@pytest.mark.parametrize("home", ["/nonexistent", "/"])
def test_one_without_a_home_gets_one_by_the_printed_line(
    cyborg: cy.Cyborg, account: pwd.struct_passwd, home: str
) -> None:
    shutil.rmtree(account.pw_dir)
    subprocess.run(["usermod", "--home", home, account.pw_name], check=True)
    said = refusal(cyborg, account.pw_name)
    assert "has no home folder" in said
    subprocess.run(advice(said), shell=True, check=True)
    try:
        assign(cyborg, account.pw_name)
    finally:
        shutil.rmtree(pwd.getpwnam(account.pw_name).pw_dir)


def test_only_root_has_a_choice(
    cyborg: cy.Cyborg, account: pwd.struct_passwd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    said = refusal(cyborg, account.pw_name)
    assert "runs as 'nobody'" in said
    assert "Leave controller_account empty" in said
    # Who runs as that account already may say so.
    monkeypatch.setattr(os, "geteuid", lambda: account.pw_uid)
    assign(cyborg, account.pw_name)


def test_a_machine_without_setpriv(
    cyborg: cy.Cyborg, account: pwd.struct_passwd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "install util-linux" in refusal(cyborg, account.pw_name)


def test_other_settings_can_be_changed_where_the_account_is_gone(cyborg: cy.Cyborg) -> None:
    with local_account() as account:
        assign(cyborg, account.pw_name)
    assert "no account" in problem(account.pw_name)
    assign(cyborg, account.pw_name, parallel=3)
    assert cyborg.settings.parallel == 3
    refusal(cyborg, new_name())
    assign(cyborg, "")


def test_an_executor_of_ones_own_may_work_elsewhere() -> None:
    with cy.Cyborg("sqlite://", executor=FakeExecutor()) as cyborg:
        assign(cyborg, new_name())
