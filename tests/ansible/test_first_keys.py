"""Where a first host key comes from: the user's known_hosts, as ssh itself would look there, or nowhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from cyborglib.ansible import first_keys
from cyborglib.errors import ErrorCode
from cyborglib.executor import Host

HOST = Host(name="job-1", address="web1.example.org", key_of="client-1", title="web1.example.org")


@pytest.fixture
def key(tmp_path: Path) -> Callable[..., str]:
    """Makes host keys; gives the public line."""

    def make(kind: str = "ed25519", name: str = "key") -> str:
        file = tmp_path / f"{name}-{kind}"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file], check=True)
        return " ".join(file.with_suffix(".pub").read_text().split()[:2])

    return make


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the user's known_hosts, and more of the user's ssh configuration."""
    program = subprocess.run(["which", "ssh"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec {program} -F {tmp_path}/config "$@"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

    def write(text: str, config: str = "") -> None:
        (tmp_path / "known").write_text(text)
        (tmp_path / "config").write_text(
            f"{config}\nHost *\n  UserKnownHostsFile {tmp_path}/known {tmp_path}/none\n  GlobalKnownHostsFile none\n"
        )

    write("")
    return write


def error(host: Host, folder: Path) -> ErrorCode:
    with pytest.raises(first_keys.Unknown) as caught:
        first_keys.find(host, folder, 2)
    return caught.value.error.code


def test_it_is_found_by_name(known: Callable[..., None], key: Callable[..., str], tmp_path: Path) -> None:
    line = key()
    known(f"other.example.org {key(name='other')}\nweb1.example.org,192.0.2.1 {line} comment\n")
    assert first_keys.find(HOST, tmp_path, 2) == first_keys.Found(line, accepted=False)


def test_it_is_found_hashed(known: Callable[..., None], key: Callable[..., str], tmp_path: Path) -> None:
    line = key()
    known(f"web1.example.org {line}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", tmp_path / "known"], capture_output=True, check=True)
    assert "web1" not in (tmp_path / "known").read_text()
    assert first_keys.find(HOST, tmp_path, 2).host_key == line


def test_port_alias_and_hostname_are_the_users(
    known: Callable[..., None], key: Callable[..., str], tmp_path: Path
) -> None:
    line = key()
    known(f"[web1.example.org]:2222 {line}\n")
    assert first_keys.find(attrs.evolve(HOST, port=2222), tmp_path, 2).host_key == line
    assert error(HOST, tmp_path) is ErrorCode.HOST_KEY_UNKNOWN
    known(f"[web1.example.org]:2222 {line}\n", "Host web1*\n  Port 2222")
    assert first_keys.find(HOST, tmp_path, 2).host_key == line
    known(f"alias {line}\n", "Host web1*\n  HostKeyAlias alias")
    assert first_keys.find(HOST, tmp_path, 2).host_key == line
    known(f"real.example.org {line}\n", "Host web1*\n  HostName real.example.org")
    assert first_keys.find(HOST, tmp_path, 2).host_key == line


def test_a_host_with_an_address_is_known_by_its_name_too(
    known: Callable[..., None], key: Callable[..., str], tmp_path: Path
) -> None:
    line = key()
    known(f"web1.example.org {line}\n")
    assert first_keys.find(attrs.evolve(HOST, address="192.0.2.1"), tmp_path, 2).host_key == line


def test_of_several_the_best_is_taken(known: Callable[..., None], key: Callable[..., str], tmp_path: Path) -> None:
    best = key()
    known(f"web1.example.org {key('rsa')}\nweb1.example.org {key('ecdsa')}\nweb1.example.org {best}\n")
    assert first_keys.find(HOST, tmp_path, 2).host_key == best


def test_a_revoked_key_is_refused(known: Callable[..., None], key: Callable[..., str], tmp_path: Path) -> None:
    line = key()
    known(f"@revoked * {line}\nweb1.example.org {line}\n")
    assert error(attrs.evolve(HOST, accept_new=True), tmp_path) is ErrorCode.HOST_KEY_CHANGED


def test_a_certificate_authority_is_not_a_key(
    known: Callable[..., None], key: Callable[..., str], tmp_path: Path
) -> None:
    known(f"@cert-authority *.example.org {key()}\n")
    host = attrs.evolve(HOST, address="127.0.0.1", port=9, accept_new=True)
    assert error(host, tmp_path) is ErrorCode.UNREACHABLE, "it is asked for its certificate"


def test_an_unknown_one_is_not_taken_from_the_net(known: Callable[..., None], tmp_path: Path) -> None:
    assert error(HOST, tmp_path) is ErrorCode.HOST_KEY_UNKNOWN
    assert not list(tmp_path.glob("first-*"))


def test_a_host_that_does_not_answer(known: Callable[..., None], tmp_path: Path) -> None:
    host = attrs.evolve(HOST, address="127.0.0.1", port=9, accept_new=True)
    assert error(host, tmp_path) is ErrorCode.UNREACHABLE


def test_a_configuration_that_cannot_be_read(known: Callable[..., None], tmp_path: Path) -> None:
    known("", "Host *\n  NoSuchOption yes")
    assert error(HOST, tmp_path) is ErrorCode.BAD_ARGUMENTS
