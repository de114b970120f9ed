"""The filesystems hosts are made of, built once and kept in a cache folder outside the checkout.

base       Debian 12, minimal, with sshd and Python, without Borg; holds a small package archive of its own,
           so that `apt-get update` and `apt-get install borgbackup` inside a host need no network.
borg-1.2   base and Debian's Borg 1.2.4.
borg-1.4   /opt/borg-1.4, Borg 1.4.5 built from PyPI for that Python, and /usr/local/bin/borg.
databases  borg-1.2, MariaDB, PostgreSQL and Redis, none of them started.
hypervisor borg-1.2, libvirt and QEMU, not started; above it lies
guest      what a guest of a hypervisor boots from (guest.py).

A layer's folder is named after what it is made of; another recipe is another folder. Each is built under a
lock and renamed into place when complete, so several test sessions can ask for it at the same time.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab import guest
from tests.lab.machine import LabError, call, environment, locked, remove_tree, require

SUITE = "bookworm"
BORG_1_4 = "1.4.5"
INCLUDE = "acl,attr,ca-certificates,iproute2,openssh-server,procps,python3,sudo,tini"  # tini: a small init
#: What a host may install from the archive it carries (with all that these depend on).
ARCHIVE = ("borgbackup", "borgmatic", "python3-apt", "rsync")
BUILD = (
    "gcc", "libacl1-dev", "liblz4-dev", "libssl-dev", "libxxhash-dev", "libzstd-dev", "pkg-config",
    "python3-dev", "python3-venv",
)  # fmt: skip
#: What more a host may bring, by the name of the layer.
SERVERS = {
    "databases": ("mariadb-server", "postgresql", "redis-server"),
    "hypervisor": ("libvirt-clients", "libvirt-daemon-system", "qemu-system-x86", "qemu-utils"),
}

SSHD = """\
# The lab's hosts: many logins at once, keys only.
MaxStartups 200
MaxSessions 50
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
HostKey /etc/ssh/ssh_host_ed25519_key
"""
DPKG = """\
# No fsync for each file, no manuals: these hosts live for seconds.
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
"""
APT = 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n'
OWN_ARCHIVE = "/usr/local/share/archive"


def cache() -> Path:
    """Where layers are kept: $CYBORG_LAB_CACHE, else ~/.cache/cyborglib-lab."""
    given = os.environ.get("CYBORG_LAB_CACHE")
    folder = Path(given) if given else Path.home() / ".cache" / "cyborglib-lab"
    folder = folder.absolute()
    if set(str(folder)) & set(":,\\"):
        raise LabError(f"An overlay cannot lie in {folder}: choose a $CYBORG_LAB_CACHE without : , or \\.")
    return folder


def mirror() -> str:
    """The Debian mirror: $CYBORG_LAB_MIRROR, else deb.debian.org."""
    return os.environ.get("CYBORG_LAB_MIRROR", "http://deb.debian.org/debian")


def lower(borg: str | None, servers: str | None = None) -> list[Path]:
    """The layers of a host with this Borg ("1.2", "1.4" or None), the uppermost first; built where missing.

    With `servers` (a name of `SERVERS`) Borg is there anyway: "1.2", or "1.4" above it.
    """
    if servers is not None:
        with_servers = _layer(servers, [_borg_layer().name, *SERVERS[servers]], functools.partial(_servers, servers))
        layers = [_guest(), with_servers] if servers == "hypervisor" else [with_servers]
        return layers if borg != "1.4" else [lower("1.4")[0], *layers]
    if borg is None:
        return [base()]
    if borg == "1.2":
        return [_borg_layer()]
    if borg == "1.4":
        return [_layer("borg-1.4", [base().name, BORG_1_4, *BUILD], _borg_1_4), base()]
    raise LabError(f"borg={borg!r}: the lab has None, '1.2' and '1.4'.")


def _borg_layer() -> Path:
    return _layer("borg-1.2", [base().name], _borg_1_2)


def _guest() -> Path:
    recipe = [base().name, inspect.getsource(guest)]
    return _layer("guest", recipe, _build_guest)


def base() -> Path:
    """Debian without Borg."""
    return _layer("base", [SUITE, INCLUDE, *ARCHIVE, SSHD, DPKG, APT], _base, _own_archive)


def _layer(name: str, recipe: Sequence[str], *build: Callable[[Path], None]) -> Path:
    source = "\n".join([*recipe, *(inspect.getsource(getattr(step, "func", step)) for step in build)])
    folder = cache() / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    require()
    with locked(cache() / f"{name}.lock"):
        if not folder.is_dir():
            print(f"lab: building {folder} (once; a minute or two)", file=sys.stderr, flush=True)
            partial = cache() / f"{name}.partial"
            remove_tree(partial)
            partial.mkdir(parents=True)
            partial.chmod(0o755)
            build[0](partial)
            partial.rename(folder)
    return folder


def inside(root: Path, argv: Sequence[str], extra: dict[str, str] | None = None) -> bytes:
    """Run a program in a filesystem that is no host yet; whatever it starts ends with it."""
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc"]
    env = environment({"DEBIAN_FRONTEND": "noninteractive", **(extra or {})})
    return call([*apart, "chroot", root, *argv], env=env, timeout=1800).stdout


def _proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def _base(root: Path) -> None:
    call(
        ["debootstrap", "--variant=minbase", f"--include={INCLUDE}", SUITE, root, mirror()],
        env=environment(_proxies()),
        timeout=1800,
    )
    for path, text in {
        "etc/dpkg/dpkg.cfg.d/lab": DPKG,
        "etc/apt/apt.conf.d/lab": APT,
        "etc/ssh/sshd_config.d/lab.conf": SSHD,
        "etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
    }.items():
        (root / path).write_text(text)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # each host makes its own
    _own_archive(root)
    inside(root, ["apt-get", "clean"])
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()


def _own_archive(root: Path) -> None:
    """Put a flat package archive into the base and make it its only source."""
    proxies = _proxies()
    inside(root, ["apt-get", "-q", "update"], proxies)
    inside(root, ["apt-get", "-q", "-y", "--download-only", "install", *ARCHIVE], proxies)
    archive = root / OWN_ARCHIVE.lstrip("/")
    archive.mkdir()
    index = []
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        data = package.read_bytes()
        name = package.name.replace("%3a", "_")
        (archive / name).write_bytes(data)
        fields = call(["dpkg-deb", "--field", package]).stdout.decode().rstrip()
        index.append(f"{fields}\nFilename: ./{name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
    (archive / "Packages").write_text("\n".join(index))
    (root / "etc/apt/sources.list").rename(root / "etc/apt/debian.list.unused")
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{OWN_ARCHIVE} ./\n")
    inside(root, ["apt-get", "-q", "update"])


def overlay(lowers: Sequence[Path], upper: Path, work: Path, merged: Path) -> None:
    """Mount a writable filesystem over layers (uppermost first)."""
    for folder in (upper, work, merged):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    # volatile: fsync inside costs nothing; nobody expects these files after a crash of the machine.
    options = f"lowerdir={':'.join(map(str, lowers))},upperdir={upper},workdir={work},volatile"
    done = call(["mount", "-t", "overlay", "cyborglib-lab", "-o", options, merged], check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise LabError(
            f"No overlay can be mounted in {merged.parent} ({said}): "
            "set $CYBORG_LAB_CACHE to a folder on ext4, xfs or btrfs."
        )


def _borg_1_2(layer: Path) -> None:
    _copy(base(), layer)
    inside(layer, ["apt-get", "-q", "-y", "install", "borgbackup"])


def _servers(name: str, layer: Path) -> None:
    _copy(_borg_layer(), layer)
    no_start = layer / "usr/sbin/policy-rc.d"
    no_start.write_text("#!/bin/sh\nexit 101\n")
    no_start.chmod(0o755)
    own = layer / "etc/apt/sources.list"
    kept = own.read_text()
    own.write_text(f"deb {mirror()} {SUITE} main\n")
    inside(layer, ["apt-get", "-q", "update"], _proxies())
    inside(layer, ["apt-get", "-q", "-y", "install", *SERVERS[name]], _proxies())
    inside(layer, ["apt-get", "clean"])
    own.write_text(kept)
    no_start.unlink()
    inside(layer, ["apt-get", "-q", "update"])


def _build_guest(layer: Path) -> None:
    work = layer.with_suffix(".build")
    remove_tree(work)
    try:
        _copy(base(), work)
        (work / "etc/apt/sources.list").write_text(f"deb {mirror()} {SUITE} main\n")
        inside(work, ["apt-get", "-q", "update"], _proxies())
        install = ["apt-get", "-q", "-y", "install"]
        inside(work, [*install, *guest.PACKAGES], _proxies())
        inside(work, ["apt-get", "clean"])
        inside(work, [*install, "--download-only", guest.KERNEL], _proxies())
        guest.build(layer, inside, work)
    finally:
        remove_tree(work)


def _borg_1_4(layer: Path) -> None:
    work = layer.with_suffix(".build")
    remove_tree(work)
    try:
        _copy(base(), work)
        (work / "etc/apt/sources.list").write_text(f"deb {mirror()} {SUITE} main\n")
        inside(work, ["apt-get", "-q", "update"], _proxies())
        inside(work, ["apt-get", "-q", "-y", "install", *BUILD], _proxies())
        # pip as the machine uses it: its certificates and its index.
        for file in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"):
            if Path(file).exists():
                shutil.copyfile(file, work / file.lstrip("/"))
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        inside(work, ["python3", "-m", "venv", "/opt/borg-1.4"])
        wanted = f"borgbackup=={BORG_1_4}"
        install = ["/opt/borg-1.4/bin/pip", "install", "--no-cache-dir", "--no-binary=borgbackup", wanted]
        inside(work, install, {**_proxies(), **pip})
        (layer / "usr/local/bin").mkdir(parents=True)
        (layer / "opt").mkdir()
        _copy(work / "opt/borg-1.4", layer / "opt/borg-1.4")
        (layer / "usr/local/bin/borg").symlink_to("/opt/borg-1.4/bin/borg")
    finally:
        remove_tree(work)


def _copy(source: Path, target: Path) -> None:
    """A copy with owners, modes and links. (Building needs no overlay, so the cache may itself lie on one.)"""
    call(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target])
