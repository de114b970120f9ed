"""Sealing, ssh keys, and the file that plain openssl opens."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyborglib.errors import Invalid, SealBroken
from cyborglib.sealing import (
    Sealer,
    encrypt_for_openssl,
    fingerprint,
    generate_ssh_key,
    parse_public_key,
    public_line,
)
from cyborglib.secret import Secret

ONE, TWO = Sealer.generate_key(), Sealer.generate_key()


def keygen(folder: Path, kind: str, *options: str) -> str:
    """A public key line as ssh-keygen writes it."""
    argv = ["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-C", "root@web1 a comment", "-f", str(folder / "key")]
    subprocess.run(argv, check=True, capture_output=True)
    return (folder / "key.pub").read_text()


@given(st.text(st.characters()), st.text(st.characters(exclude_categories=["Cc"])))
def test_what_is_sealed_opens_at_its_place(text: str, place: str) -> None:
    sealer = Sealer([ONE])
    assert sealer.unseal(place, sealer.seal(place, text)) == text


def test_it_opens_nowhere_else() -> None:
    sealer = Sealer([ONE])
    sealed = sealer.seal("clients/become_password/7", "secret")
    for place in ("clients/become_password/8", "clients/become_password/77", "clients/become_password", ""):
        with pytest.raises(SealBroken, match="was moved there from clients/become_password/7"):
            sealer.unseal(place, sealed)
    with pytest.raises(ValueError, match="one line"):
        sealer.seal("a\nb", "text")


@pytest.mark.parametrize("damage", ["", "x", "ä", "gAAAA", "cut", "flip"])
def test_what_is_damaged_does_not_open(damage: str) -> None:
    sealer = Sealer([ONE])
    sealed = sealer.seal("place", "secret")
    middle = len(sealed) // 2
    flipped = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    with pytest.raises(SealBroken, match="place does not open"):
        sealer.unseal("place", {"cut": sealed[:-4], "flip": flipped}.get(damage, damage))


def test_the_first_key_seals_and_all_unseal() -> None:
    old, both, new = Sealer([ONE]), Sealer([TWO, ONE]), Sealer([TWO])
    assert both.unseal("p", old.seal("p", "text")) == "text"
    assert new.unseal("p", both.seal("p", "text")) == "text"
    with pytest.raises(SealBroken):
        old.unseal("p", both.seal("p", "text"))
    assert both.key_id == new.key_id != old.key_id
    assert len(old.key_id) == 12
    assert old.key_id not in ONE


def test_sealing_twice_shows_nothing() -> None:
    sealer = Sealer([ONE])
    assert sealer.seal("p", "text") != sealer.seal("p", "text")


@pytest.mark.parametrize("keys", [[], ["short"], ["ä" * 44], [ONE, "x"], [ONE[:-4]], [7]])
def test_what_is_no_key_is_refused_and_not_shown(keys: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        Sealer(keys)
    assert ONE not in str(caught.value)


def test_one_key_may_be_a_text() -> None:
    assert Sealer(ONE).key_id == Sealer([ONE]).key_id


def test_a_key_pair_is_one_that_ssh_takes(tmp_path: Path) -> None:
    private, public = generate_ssh_key("cyborg vault-7")
    assert repr(private) == "***"
    assert public.startswith("ssh-ed25519 AAAA")
    assert public.endswith(" cyborg vault-7")
    file = tmp_path / "key"
    file.write_text(private.reveal())
    file.chmod(0o600)
    said = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True).stdout
    assert said.split()[:2] == public.split()[:2]
    assert public_line(private) == " ".join(public.split()[:2]) == parse_public_key(public)
    assert generate_ssh_key("")[1].count(" ") == 1
    with pytest.raises(Invalid, match="one printable line"):
        generate_ssh_key("two\nlines")


def test_a_private_key_that_cannot_be_read_is_not_shown() -> None:
    for text in ("very secret nonsense", "", "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n"):
        with pytest.raises(Invalid) as caught:
            public_line(Secret(text))
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("kind", "options"), [("ed25519", ()), ("ecdsa", ("-b", "256")), ("ecdsa", ("-b", "521"))])
def test_keys_of_ssh_keygen_are_taken(tmp_path: Path, kind: str, options: tuple[str, ...]) -> None:
    line = keygen(tmp_path, kind, *options)
    assert parse_public_key(line) == " ".join(line.split()[:2])
    argv = ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]
    said = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert fingerprint(line) == said.stdout.split()[1]


def test_rsa_is_for_hosts_that_have_nothing_else(tmp_path: Path) -> None:
    line = keygen(tmp_path, "rsa", "-b", "2048")
    with pytest.raises(Invalid, match="begins with 'ssh-rsa'"):
        parse_public_key(line)
    assert parse_public_key(line, rsa=True) == " ".join(line.split()[:2])


def test_keys_of_security_tokens_are_taken() -> None:
    def field(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    _, public = generate_ssh_key("")
    point = base64.b64decode(public.split()[1])[-32:]
    kind = "sk-ssh-ed25519@openssh.com"
    body = base64.b64encode(field(kind.encode()) + field(point) + field(b"ssh:")).decode()
    assert parse_public_key(f"{kind} {body} token") == f"{kind} {body}"

# Written out, as parameters of tests must be the same each time they are collected.
GOOD = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIgjD8s5nje7eMnM+jUVU7zjgM7InC8/AHmp0KTjH/rE"


@pytest.mark.parametrize(
    "line",
    [
        f"{GOOD}\n{GOOD}",
        f"{GOOD}\n\n",
        f"\n{GOOD}",
        f"{GOOD} comment\n{GOOD}",
        f"{GOOD}\r{GOOD}",
        f'command="id" {GOOD}',
        f"restrict {GOOD}",
        f" {GOOD}",
        GOOD.replace(" ", "  "),
        GOOD.replace(" ", "\t"),
        GOOD + "\x00",
        GOOD + " \x1b[2J",
        GOOD + "\u2028" + GOOD,
        GOOD + " " + "x" * 1_000_000,
        GOOD[:-4],
        GOOD + "AAAA",
        GOOD.replace("ssh-ed25519", "ecdsa-sha2-nistp256"),
        GOOD.replace("ssh-ed25519", "ssh-dss"),
        GOOD.replace("AAAA", "AAA!"),
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 =",
        "",
        "ssh-ed25519-cert-v01@openssh.com AAAA",
    ],
)
def test_whatever_else_a_host_gives_is_refused(line: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_public_key(line)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("line", [None, b"ssh-ed25519 AAAA", 7])
def test_what_is_no_text_is_refused(line: object) -> None:
    with pytest.raises(Invalid):
        parse_public_key(line)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 ä"])
def test_a_fingerprint_is_of_a_key(line: str) -> None:
    with pytest.raises(Invalid):
        fingerprint(line)


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 16, bytes(range(256)) * 500])
def test_openssl_opens_what_is_encrypted_for_it(tmp_path: Path, data: bytes) -> None:
    passphrase = Secret("pässphrase with blanks; and $HOME")
    kit = tmp_path / "kit"
    kit.write_bytes(encrypt_for_openssl(data, passphrase))
    argv = ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-iter", "600000", "-in", str(kit), "-pass", "stdin"]
    said = subprocess.run(argv, input=(passphrase.reveal() + "\n").encode(), capture_output=True, check=True)
    assert said.stdout == data
    wrong = subprocess.run(argv, input=b"wrong\n", capture_output=True, check=False)
    assert wrong.returncode != 0 or wrong.stdout != data


def test_two_files_of_the_same_are_not_the_same() -> None:
    assert encrypt_for_openssl(b"x", Secret("p")) != encrypt_for_openssl(b"x", Secret("p"))


@pytest.mark.parametrize("passphrase", ["", "two\nlines", "a\x00b"])
def test_a_passphrase_is_one_line(passphrase: str) -> None:
    with pytest.raises(Invalid, match="one line"):
        encrypt_for_openssl(b"x", Secret(passphrase))


def test_importing_it_imports_no_cryptography() -> None:
    script = "import sys, cyborglib.sealing; print([name for name in sys.modules if name.startswith('cryptography')])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
