"""What is in the stream is what the disks held at one moment, and costs no more than their data."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.lab.hypervisor import IMAGES
from tests.vm.programs import Programs

pytestmark = pytest.mark.hosts


def digests(programs: Programs, *paths: str) -> list[str]:
    return [programs.sh(f"sha256sum < {path}").split()[0] for path in paths]


def raw_of(programs: Programs, path: str) -> str:
    programs.sh(f"qemu-img convert -U -O raw {path} /root/as.raw")
    return programs.sh("sha256sum < /root/as.raw").split()[0]


@pytest.fixture(scope="module")
def two(programs: Programs) -> str:
    """A domain that runs, with a raw and a qcow2 disk of 64 MiB."""
    first, second = programs.image("two-a", "64M", "9M"), programs.image("two-b", "64M", "9M", "qcow2")
    programs.hypervisor.define("two", [(first, "raw"), (second, "qcow2")])
    programs.hypervisor.virsh("start", "two")
    return "two"


def test_writes_during_the_backup_are_not_in_it(programs: Programs, two: str) -> None:
    wanted = [programs.sh(f"sha256sum < {IMAGES}/two-a.raw").split()[0], raw_of(programs, f"{IMAGES}/two-b.qcow2")]
    running = programs.slow(two)
    for target in ("vda", "vdb"):
        programs.write(two, target, 0xAB, "6M", "2M")  # over what is there
        programs.write(two, target, 0xCD, "40M", "1M")  # where there were zeroes
    said = programs.go(running)
    assert said.code == 0, said.err
    programs.run("clean", name=two)
    assert programs.hypervisor.left(two) == []
    programs.sh("rm -rf /root/x; mkdir /root/x; tar -C /root/x -xSf /root/slow.tar")
    assert digests(programs, "/root/x/vda.raw", "/root/x/vdb.raw") == wanted
    assert programs.hypervisor.state(two).startswith("running")
    # The next one has them.
    programs.save(two)
    programs.sh("tar -C /root/x -xSf /root/stream.tar")
    assert programs.sh("od -An -tx1 -N2 -j 6M /root/x/vda.raw").split() == ["ab", "ab"]
    assert programs.sh("od -An -tx1 -N2 -j 40M /root/x/vdb.raw").split() == ["cd", "cd"]


def test_the_stream_is_the_same_while_nothing_changes(programs: Programs, two: str) -> None:
    programs.save(two, "/root/one.tar")
    programs.save(two, "/root/other.tar")
    assert len(set(digests(programs, "/root/one.tar", "/root/other.tar"))) == 1
    assert programs.sh("tar -tf /root/one.tar").split() == ["manifest.json", "domain.xml", "vda.raw", "vdb.raw"]
    manifest = json.loads(programs.sh("tar -xOf /root/one.tar manifest.json"))
    assert [(disk["target"], disk["format"], disk["capacity"]) for disk in manifest["disks"]] == [
        ("vda", "raw", 64 << 20),
        ("vdb", "qcow2", 64 << 20),
    ]


def test_zeroes_cost_nothing(programs: Programs) -> None:
    path = programs.image("thin", "2G", "20M")
    programs.hypervisor.define("thin", [(path, "raw")])
    for state in ("shut off", "running"):
        if state == "running":
            programs.hypervisor.virsh("start", "thin")
        told = programs.save("thin", "/root/thin.tar")
        assert told["disks"] == [["vda", 2 << 30, 20 << 20]]
        assert int(programs.sh("stat -c %s /root/thin.tar")) < (20 << 20) + 20480
        programs.sh("rm -rf /root/t; mkdir /root/t; tar -C /root/t -xSf /root/thin.tar; cmp /root/t/vda.raw " + path)
        assert int(programs.sh("du -m /root/t/vda.raw").split()[0]) <= 21
    programs.hypervisor.remove("thin")


def test_many_small_parts(programs: Programs) -> None:
    path = f"{IMAGES}/parts.raw"
    programs.sh(f"""python3 -c "
import os
f = os.open('{path}', os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 512 << 20)
for n in range(0, 2000):
    os.pwrite(f, os.urandom(4096), n * 262144)
os.pwrite(f, b'end', (512 << 20) - 3)
" """)
    programs.hypervisor.define("parts", [(path, "raw")])
    told = programs.save("parts", "/root/parts.tar")
    assert told["disks"][0][2] < 2001 * 4096 + 65536 * 2
    programs.sh(f"mkdir -p /root/p; tar -C /root/p -xSf /root/parts.tar; cmp /root/p/vda.raw {path}")
    loaded = programs.run("load", "< /root/parts.tar", into="parts2", define=False).answer
    programs.sh(f"cmp {loaded['images'][0]} {path}")
    assert int(programs.sh(f"du -m {loaded['images'][0]}").split()[0]) < 20
    programs.hypervisor.remove("parts")


def test_a_disk_without_data(programs: Programs) -> None:
    programs.sh(f"truncate -s 10M {IMAGES}/empty.raw")
    programs.hypervisor.define("empty", [(f"{IMAGES}/empty.raw", "raw")])
    programs.save("empty", "/root/empty.tar")
    programs.sh("tar -C /root -xSf /root/empty.tar")
    assert programs.sh("sha256sum < /root/vda.raw").split()[0] == hashlib.sha256(bytes(10 << 20)).hexdigest()
    loaded = programs.run("load", "< /root/empty.tar", define=False).answer
    assert loaded["folder"] == f"{IMAGES}/empty-restored-7"
    programs.sh(f"cmp {loaded['images'][0]} /root/vda.raw")
    programs.hypervisor.remove("empty")
