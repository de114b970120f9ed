"""The agent's pieces for preparation: what is pure in them here, the rest on hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.conftest import PACKAGE, agent_module


def load(*pieces: str) -> ModuleType:
    """Pieces, put together as for a target, as a module."""
    text = agent_module.bundle._joined(pieces)
    module = ModuleType("pieces")
    exec(compile(text, "pieces", "exec"), module.__dict__)
    return module


def interpreters() -> list[str]:
    """The oldest Python that is promised, where it is here, and this one."""
    old = sorted(Path.home().glob(".pyenv/versions/3.6.*/bin/python3"))
    return [*map(str, old[-1:]), sys.executable]


def ask(interpreter: str, piece: str, **request: Any) -> dict[str, Any]:
    program = agent_module.program([piece], {"op": piece, **request})
    done = subprocess.run([interpreter, "-I", "-S", "-"], input=program, capture_output=True, timeout=120, check=False)
    assert done.stderr == b""
    return dict(agent_module.answer(done.stdout.decode("ascii")))


@pytest.mark.parametrize("interpreter", interpreters())
def test_looking_runs_on_old_pythons(interpreter: str) -> None:
    facts = ask(interpreter, "host_facts")["facts"]
    assert facts["kernel"] == Path("/proc/sys/kernel/osrelease").read_text().strip()
    borg = ask(interpreter, "host_borg", wanted=["borg", "no-such-program"])
    assert "no-such-program" in borg["missing"]
    refused = ask(interpreter, "host_key", name="../x")
    assert (refused["state"], refused["error"]["code"]) == ("refused", "invalid")
    assert ask(interpreter, "host_binary", do="look")["state"] == "done"
    for piece in ("host_install", "host_vault"):
        text = agent_module.bundle._joined((piece,))
        subprocess.run(
            [interpreter, "-c", "import sys; compile(sys.stdin.read(), 'x', 'exec')"], input=text.encode(), check=True
        )
    subprocess.run([interpreter, "-m", "py_compile", str(PACKAGE / "target/host_serve.py")], check=True)


# -- the package managers ----------------------------------------------------------------------------------------------


def argvs(manager: str, refresh: bool = False, update: bool = False) -> list[str]:
    packages = sorted({INSTALL.PACKAGES[manager][name] for name in ("borg", "ssh", "ssh-keygen")})
    return [" ".join(argv) for argv, _ in INSTALL.steps_of(manager, packages, refresh, update)]


INSTALL = load("host_install")
APT = "apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "
APT_INSTALL = (
    APT + "install -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends "
    "borgbackup openssh-client"
)


def test_apt() -> None:
    assert argvs("apt-get") == [APT_INSTALL]
    assert argvs("apt-get", refresh=True) == argvs("apt-get", update=True) == [APT + "update", APT_INSTALL]
    assert all(env["DEBIAN_FRONTEND"] == "noninteractive" for _, env in INSTALL.steps_of("apt-get", ["x"], True, True))


def test_dnf() -> None:
    install = "dnf -y --setopt=install_weak_deps=False install borgbackup openssh openssh-clients"
    assert argvs("dnf") == [install]
    assert argvs("dnf", refresh=True) == [install.replace(" install ", " --refresh install ")]
    assert argvs("dnf", update=True) == [install, "dnf -y --refresh upgrade borgbackup openssh openssh-clients"]


def test_zypper() -> None:
    packages = "borgbackup openssh-clients openssh-common"
    install = f"zypper --non-interactive install --no-recommends {packages}"
    assert argvs("zypper") == [install]
    assert argvs("zypper", refresh=True) == ["zypper --non-interactive refresh", install]
    assert argvs("zypper", update=True) == [f"zypper --non-interactive update --no-recommends {packages}"]
    assert INSTALL.steps_of("zypper", ["x"], False, False)[0][1] == {"ZYPP_LOCK_TIMEOUT": "300"}


def test_pacman() -> None:
    """Never fresh lists under old packages: only a host without any lists gets them."""
    assert argvs("pacman") == ["pacman -S --noconfirm --noprogressbar --needed borg openssh"]
    assert argvs("pacman", refresh=True) == ["pacman -Sy --noconfirm --noprogressbar --needed borg openssh"]
    assert not Path("/var/lib/pacman/sync").exists()


def test_apk() -> None:
    packages = "borgbackup openssh-client openssh-keygen"
    assert argvs("apk") == [f"apk --no-progress --wait 300 add {packages}"]
    assert argvs("apk", refresh=True) == [
        "apk --no-progress --wait 300 update",
        f"apk --no-progress --wait 300 add {packages}",
    ]
    assert argvs("apk", update=True)[1] == f"apk --no-progress --wait 300 add --upgrade {packages}"


@pytest.mark.parametrize(
    ("manager", "said", "hint"),
    [
        ("dnf", "No match for argument: borgbackup\nError: Unable to find a match: borgbackup", "EPEL"),
        ("apt-get", "E: Unable to locate package borgbackup", "universe"),
        ("apk", "ERROR: unable to select packages:\n  borgbackup (no such package):", "community"),
        ("zypper", "'borgbackup' not found in package names. Trying capabilities.", "borg_binary"),
        ("pacman", "error: failed retrieving file 'borg-1.4.0-2-x86_64.pkg.tar.zst' from mirror : 404", "pacman -Syu"),
        ("apt-get", "E: You don't have enough free space in /var/cache/apt/archives/.", ""),
    ],
)
def test_what_to_do_where_a_package_is_not_had(manager: str, said: str, hint: str) -> None:
    found = INSTALL.hint(manager, said)
    assert (hint in found) if hint else found == ""


@pytest.mark.parametrize(
    "said",
    [
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)",
        "E: Unable to lock directory /var/lib/apt/lists/",
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
        "System management is locked by the application with pid 1534 (zypper).",
        "error: unable to lock database",
        "ERROR: Unable to lock database: temporary error (try again later)",
    ],
)
def test_somebody_else_is_at_work(said: str) -> None:
    assert any(words in said for words in INSTALL.BUSY)


# -- authorized_keys ---------------------------------------------------------------------------------------------------

KEYS = load("host_authorized")
BODIES = ["ssh-ed25519 " + letter * 68 for letter in "abcdef"]


def line(tag: str, name: str, key: str = BODIES[0], mode: str = "client", until: float | None = None) -> Any:
    return KEYS.Line(tag * 12, 7, name, mode, key, until)


def test_a_line() -> None:
    assert line("a", "client").text == (
        b'restrict,command="/usr/local/lib/cyborg/serve --vault aaaaaaaaaaaa --mode client" '
        b"ssh-ed25519 " + b"a" * 68 + b" cyborg vault-7 client"
    )
    assert line("a", "job-9", until=0).text.startswith(b'restrict,expiry-time="19')


@pytest.mark.parametrize(
    ("tag", "name", "mode", "key"),
    [
        ("a", "client\n", "client", BODIES[0]),
        ("a", "client", "client", BODIES[0] + "\n" + BODIES[1]),
        ("a", "client", "client", BODIES[0] + " comment"),
        ("a", "client", "client", 'command="id" ' + BODIES[0]),
        ("a", "client", "root", BODIES[0]),
        ("a", "", "client", BODIES[0]),
        ("a", 'x" y', "client", BODIES[0]),
        ("\n", "client", "client", BODIES[0]),
    ],
)
def test_what_is_no_line(tag: str, name: str, mode: str, key: str) -> None:
    with pytest.raises(KEYS.Refused):
        line(tag, name, key, mode)


foreign = st.lists(
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")), max_size=6
).map(b"\n".join)  # fmt: skip


@given(foreign, st.booleans())
def test_lines_of_others_stay_byte_by_byte(data: bytes, end: bool) -> None:
    data += b"\n" if end and data else b""
    one, two = line("a", "client", BODIES[0]), line("b", "client", BODIES[1])
    once = KEYS.edited(data, [one])
    twice = KEYS.edited(once, [two])
    assert once.startswith(data)
    assert twice == once + two.text + b"\n"
    assert KEYS.edited(twice, [one, two]) == twice
    assert KEYS.keys_of(twice, one.tag) >= {BODIES[0].split()[-1].encode()}
    assert KEYS.keys_of(twice, "0" * 12) == KEYS.keys_of(b"", one.tag) == set()
    # Another key takes the place of the first, and stays where it was.
    changed = KEYS.edited(twice, [line("a", "client", BODIES[2])])
    assert changed == twice.replace(one.text, line("a", "client", BODIES[2]).text)
    gone = KEYS.edited(twice, remove=lambda tag, name: True)
    assert gone == (data if data.endswith((b"\n", b"\r")) or not data else data + b"\n")


def test_lines_that_are_over_go() -> None:
    data = line("a", "job-1", BODIES[0], until=0).text + b"\n" + line("a", "job-2", BODIES[1], until=4e9).text + b"\n"
    assert KEYS.edited(data) == line("a", "job-2", BODIES[1], until=4e9).text + b"\n"


def test_a_key_that_is_there_for_something_else() -> None:
    one = line("a", "client")
    for data in (
        one.text.replace(b"vault-7 client", b"vault-8 other") + b"\n",
        line("b", "client").text + b"\n",
        BODIES[0].encode() + b" me@home\n",
        b'from="10.0.0.1" ' + BODIES[0].encode() + b"\n",
    ):
        with pytest.raises(KEYS.Refused) as refused:
            KEYS.edited(data, [one])
        assert refused.value.error["code"] == "key_in_use"
    assert KEYS.edited(b"# " + BODIES[0].encode() + b"\n", [one]).endswith(one.text + b"\n")


# -- paths of vaults ---------------------------------------------------------------------------------------------------

VAULT = load("host_folder")


@pytest.mark.parametrize("path", ["", "x", "/", "//", "/srv/../etc", "/srv/a\nb", "/srv/\0", "..", "/.."])
def test_what_is_no_path_of_a_vault(path: str) -> None:
    with pytest.raises((VAULT.Refused, IndexError)) as refused:
        VAULT.vault_path(path, "borg", None)
    assert isinstance(refused.value, VAULT.Refused)


def test_paths_of_vaults() -> None:
    assert VAULT.vault_path("//srv//borg/web1", "borg", None) == "/srv/borg/web1"
    assert VAULT.vault_path("/srv/borg/web1/", "borg", None) == "/srv/borg/web1"
    assert VAULT.vault_path("/./web1", "borg", None) == "/var/lib/borg/web1"
    assert VAULT.vault_path("/~/a/web 1", "borg", None) == "/var/lib/borg/a/web 1"
