"""First keys on real hosts: by a fingerprint, and by a certificate of an authority that known_hosts names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from cyborglib.ansible import first_keys
from cyborglib.errors import ErrorCode, JobError
from cyborglib.executor import Host as Target
from cyborglib.sealing import fingerprint
from tests.ansible.test_first_keys import known  # noqa: F401 (a fixture)
from tests.conftest import HostFactory
from tests.lab import Host

pytestmark = pytest.mark.hosts

OTHER = "SHA256:" + "A" * 43
Known = Callable[..., None]


@pytest.fixture
def host(host_factory: HostFactory) -> Host:
    """A host with keys of three types."""
    made = host_factory("web1", borg=None)
    for kind in ("rsa", "ecdsa"):
        made.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", f"/etc/ssh/ssh_host_{kind}_key"])
    configure(made, "HostKey /etc/ssh/ssh_host_rsa_key", "HostKey /etc/ssh/ssh_host_ecdsa_key")
    return made


def configure(host: Host, *lines: str) -> None:
    """Give its sshd more settings."""
    host.write("/etc/ssh/sshd_config.d/more.conf", "".join(f"{line}\n" for line in lines))
    host.cut()
    host.mend()


def target(host: Host, **more: object) -> Target:
    reached = {"name": "job-1", "key_of": "client-1", "title": "web1.example.org", "address": host.address}
    return Target(**{**reached, "port": host.port, "user": "root", **more})  # type: ignore[arg-type]


def line(host: Host, kind: str) -> str:
    return " ".join(host.read(f"/etc/ssh/ssh_host_{kind}_key.pub").decode().split()[:2])


def refused(host: Target, folder: Path) -> JobError:
    with pytest.raises(first_keys.Unknown) as caught:
        first_keys.find(host, folder, 5)
    return caught.value.error


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_key_of_the_fingerprint_is_found_whichever_of_the_hosts_it_is(
    known: Known, host: Host, tmp_path: Path, kind: str  # noqa: F811
) -> None:
    wanted = line(host, kind)
    # Also where the host's word would be taken, and known_hosts has another one of its keys.
    known(f"web1.example.org {line(host, 'ed25519')}\n")
    asked = target(host, fingerprint=fingerprint(wanted), accept_new=True)
    assert first_keys.find(asked, tmp_path, 5) == first_keys.Found(wanted, accepted=False)
    known("")
    assert first_keys.find(asked, tmp_path, 5) == first_keys.Found(wanted, accepted=False)


def test_a_key_of_another_fingerprint_is_never_taken(
    known: Known, host: Host, tmp_path: Path  # noqa: F811
) -> None:
    for text in ("", f"web1.example.org {line(host, 'ed25519')}\n"):
        known(text)
        for accept in (False, True):
            error = refused(target(host, fingerprint=OTHER, accept_new=accept), tmp_path)
            assert (error.code, error.permanent) == (ErrorCode.HOST_KEY_CHANGED, True)
            for said in (OTHER, fingerprint(line(host, "ed25519")), fingerprint(line(host, "rsa")), "clients.get(1)"):
                assert said in str(error)
    logins = host.run(["sh", "-c", "grep -c Accepted /var/log/sshd.log || :"]).stdout.strip()
    assert logins == "0", "nobody logged in to a host that was not known"


def test_a_fingerprint_in_known_hosts_needs_no_connection(
    known: Known, host: Host, tmp_path: Path  # noqa: F811
) -> None:
    host.stop()
    known(f"web1.example.org {line(host, 'rsa')}\n")
    asked = target(host, port=None, address="", fingerprint=fingerprint(line(host, "rsa")))
    assert first_keys.find(asked, tmp_path, 5).host_key == line(host, "rsa")
    assert refused(target(host, fingerprint=OTHER), tmp_path).code is ErrorCode.UNREACHABLE


class Authority:
    """A key that signs host certificates."""

    def __init__(self, folder: Path, name: str = "authority", kind: str = "ed25519") -> None:
        self.file = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", self.file], check=True)
        self.line = " ".join(self.file.with_suffix(".pub").read_text().split()[:2])

    def sign(self, host: Host, *names: str, options: tuple[str, ...] = (), kind: str = "ed25519") -> None:
        """Give the host a certificate of its key, and let it show that."""
        public = self.file.parent / f"ssh_host_{kind}_key.pub"
        public.write_text(line(host, kind))
        named = ["-n", ",".join(names)] if names else []
        argv = ["ssh-keygen", "-q", "-s", self.file, "-I", "a host", "-h", *named, *options, public]
        subprocess.run(argv, check=True)
        certificate = public.with_name(f"ssh_host_{kind}_key-cert.pub")
        host.write(f"/etc/ssh/{certificate.name}", certificate.read_text())
        configure(
            host, f"HostCertificate /etc/ssh/{certificate.name}",
            "HostKey /etc/ssh/ssh_host_rsa_key", "HostKey /etc/ssh/ssh_host_ecdsa_key",
        )  # fmt: skip


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("signs", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_what_an_authority_vouches_for_is_pinned(
    known: Known, host: Host, tmp_path: Path, signs: str, kind: str  # noqa: F811
) -> None:
    authority = Authority(tmp_path, kind=signs)
    authority.sign(host, "web1.example.org", "other", kind=kind)
    # Without the port too, as ssh does; and before a key that stands there besides.
    known(f"@cert-authority *.example.org {authority.line}\nweb1.example.org {line(host, 'ecdsa')}\n")
    for accept in (False, True):
        found = first_keys.find(target(host, accept_new=accept), tmp_path, 5)
        assert found == first_keys.Found(line(host, kind), accepted=False)


def test_a_pattern_in_a_certificate_is_one(
    known: Known, host: Host, tmp_path: Path, authority: Authority  # noqa: F811
) -> None:
    authority.sign(host, "*.example.org")
    known(f"@cert-authority * {authority.line}\n")
    assert first_keys.find(target(host), tmp_path, 5).host_key == line(host, "ed25519")


def test_certificates_that_are_not_right_are_refused_also_where_the_hosts_word_would_do(
    known: Known, host: Host, tmp_path: Path, authority: Authority  # noqa: F811
) -> None:
    named = f"@cert-authority *.example.org {authority.line}\n"
    asked = target(host, accept_new=True)
    known(named)

    def says(sentence: str) -> None:
        error = refused(asked, tmp_path)
        assert error.code is ErrorCode.HOST_KEY_UNKNOWN
        assert sentence in str(error), error

    says("shows no certificate")
    authority.sign(host, "other.example.org")
    says("is for other.example.org, not for")
    authority.sign(host)
    says("is for nobody")
    authority.sign(host, "web1.example.org", options=("-V", "20200101:20210101"))
    says("not valid at this time")
    Authority(tmp_path, "somebody").sign(host, "web1.example.org")
    says("signed by another authority")
    authority.sign(host, "web1.example.org")
    assert first_keys.find(asked, tmp_path, 5).host_key == line(host, "ed25519")
    known(f"{named}@revoked * {authority.line}\n")
    says("marked as revoked")
    known(f"{named}@revoked * {line(host, 'ed25519')}\n")
    says("marked as revoked")
    # A key that stands in known_hosts is good without a certificate.
    Authority(tmp_path, "another").sign(host, "web1.example.org")
    known(f"{named}web1.example.org {line(host, 'ed25519')}\n[web1.example.org]:{host.port} {line(host, 'ed25519')}\n")
    assert first_keys.find(asked, tmp_path, 5).host_key == line(host, "ed25519")
    logins = host.run(["sh", "-c", "grep -c Accepted /var/log/sshd.log || :"]).stdout.strip()
    assert logins == "0", "nobody logged in for any of it"


def test_an_authority_signed_with_sha1_is_refused(
    known: Known, host: Host, tmp_path: Path  # noqa: F811
) -> None:
    authority = Authority(tmp_path, kind="rsa")
    known(f"@cert-authority *.example.org {authority.line}\n")
    authority.sign(host, "web1.example.org", options=("-t", "ssh-rsa"))
    assert "SHA-1" in str(refused(target(host), tmp_path))
    authority.sign(host, "web1.example.org", options=("-t", "rsa-sha2-256"))
    assert first_keys.find(attrs.evolve(target(host)), tmp_path, 5).host_key == line(host, "ed25519")
