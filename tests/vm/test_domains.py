"""Which disks are taken of which domains, what they may be called, and how one comes back."""

from __future__ import annotations

import functools
import json

import pytest

from tests.lab.hypervisor import IMAGES, disk
from tests.vm.programs import Programs

pytestmark = pytest.mark.hosts

HOSTILE = ["a b'\"{{ 7*7 }}", "-x", "12", "ü $(id) ; x", "<&>"]


def test_names_are_data(programs: Programs) -> None:
    path = programs.image("names", "16M", "1M")
    programs.hypervisor.define("names", [(path, "raw")])
    for name in HOSTILE:
        programs.hypervisor.define(name, [(path, "raw")])
        assert programs.save(name)["disks"] == [["vda", 16 << 20, 1 << 20]]
        assert json.loads(programs.sh("tar -xOf /root/stream.tar manifest.json"))["name"] == name
        loaded = programs.run("load", "< /root/stream.tar", into=name + " 2", format="qcow2").answer
        assert name + " 2" in programs.hypervisor.domains()
        programs.sh(f"qemu-img compare -F raw -f qcow2 '{loaded['images'][0]}' {path}")
    said = programs.run("look", name="49").trouble
    assert said.startswith("cyborg [source_missing]: There is no domain 49 on this hypervisor (there are: ")


def test_a_running_domain_with_such_a_name(programs: Programs) -> None:
    name = HOSTILE[0]
    programs.hypervisor.virsh("start", "--domain", name)
    programs.save(name)
    programs.hypervisor.virsh("destroy", "--domain", name)


def test_disks_that_are_left_out_or_refused(programs: Programs) -> None:
    paths = [programs.image(f"disk-{n}", "16M", "1M") for n in range(5)]
    more = (
        disk(paths[1], "raw", "vdb", more="<readonly/>")
        + disk(paths[2], "raw", "vdc", more="<shareable/>")
        + disk(paths[3], "raw", "hdc", device="cdrom", bus="ide", more="<readonly/>")
        + disk(paths[4], "raw", "vde", more="<transient/>")
    )
    programs.hypervisor.define("disks", [(paths[0], "raw")], devices=more)
    said = programs.run("look", name="disks").trouble
    assert said.startswith("cyborg [dump_failed]: These disks cannot be taken: vdc (shareable")
    told = programs.save("disks", leave_out=["vdc", "vdx"])
    assert [entry[0] for entry in told["disks"]] == ["vda"]
    assert told["notes"] == ["There is no disk vdx to be left out."]
    left = json.loads(programs.sh("tar -xOf /root/stream.tar manifest.json"))["left_out"]
    assert dict(left) == {"vdb": "readonly", "vdc": "leave_out", "hdc": "cdrom", "vde": "transient"}
    programs.sh(f"rm {paths[3]}")
    loaded = programs.run("load", "< /root/stream.tar", into="disks2").answer
    targets = programs.hypervisor.virsh("domblklist", "disks2").split()
    # The copy has its own vda, and reads what nobody writes; it does not share what the first one writes to.
    assert targets == ["vda", loaded["images"][0], "vdb", paths[1], "hdc", "-"]
    assert len(loaded["notes"]) == 3
    said = programs.run("look", name="disks", leave_out=["vda", "vdc"]).trouble
    assert said.startswith("cyborg [source_empty]")
    for name in ("disks", "disks2"):
        programs.hypervisor.virsh("undefine", name)


def test_a_domain_that_is_shut_off(programs: Programs) -> None:
    path = programs.image("off", "64M", "20M", "qcow2")
    hypervisor = programs.hypervisor
    hypervisor.define("off", [(path, "qcow2")])
    digest = programs.sh(f"sha256sum < {path}")
    running = programs.slow("off")
    assert "lock" in hypervisor.host.run(["virsh", "start", "off"], check=False).stderr
    assert programs.go(running).code == 0
    told = programs.run("clean", name="off").answer
    assert told["consistency"] == "shut off"
    assert hypervisor.left("off") == []
    assert programs.sh(f"sha256sum < {path}") == digest
    programs.sh("tar -C /root -xSf /root/slow.tar; qemu-img compare -f raw -F qcow2 /root/vda.raw " + path)
    hypervisor.virsh("start", "off")
    hypervisor.virsh("destroy", "off")
    # Somebody else is at work with the image.
    other = "--socket=/root/other.sock --pid-file=/root/other.pid"
    programs.sh(f"qemu-nbd --fork --persistent --format=qcow2 {other} {path}")
    said = programs.run("backup", "> /root/out", name="off").trouble
    assert said.startswith("cyborg [lock_held]: The image of vda is in use by another process")
    programs.sh("kill $(cat /root/other.pid)")
    hypervisor.wait(lambda: hypervisor.left("off") == [], "nothing is left")
    # Killed, it leaves no server.
    running = programs.slow("off")
    programs.sh(f"kill -KILL {programs.pids()[0]}")
    programs.go(running)
    hypervisor.wait(lambda: hypervisor.left("off") == [], "nothing is left")
    programs.sh(f"rm {path}")
    assert f"The image of vda is not there: {path}" in programs.run("backup", "> /root/out", name="off").trouble
    assert hypervisor.left("off") == []
    hypervisor.virsh("undefine", "off")


def test_quiescing_that_is_required(programs: Programs) -> None:
    path = programs.image("plain", "16M", "1M")
    programs.hypervisor.define("plain", [(path, "raw")])
    programs.hypervisor.virsh("start", "plain")
    said = programs.run("backup", "> /root/out", name="plain", quiesce="required").trouble
    assert "cannot be quiesced (quiesce: required): it has no channel for a guest agent" in said
    assert programs.hypervisor.left("plain") == []
    told = programs.save("plain")
    assert told["consistency"] == "crash"
    [note] = told["notes"]
    assert note == "The disks are as after a power cut, all at one moment: it has no channel for a guest agent."
    assert programs.save("plain", quiesce="never")["notes"] == []
    programs.hypervisor.remove("plain")


def test_variables_of_the_firmware(programs: Programs) -> None:
    path = programs.image("efi", "16M", "1M")
    programs.sh("mkdir -p /srv/efi; head -c 8192 /dev/urandom | tee /srv/efi/code > /srv/efi/vars")
    boot = "<loader readonly='yes' type='pflash'>/srv/efi/code</loader><nvram>/srv/efi/vars</nvram>"
    programs.hypervisor.define("efi", [(path, "raw")], boot=boot)
    programs.save("efi")
    assert "nvram.fd" in programs.sh("tar -tf /root/stream.tar").split()
    loaded = programs.run("load", "< /root/stream.tar", into="efi2").answer
    programs.sh(f"cmp {loaded['folder']}/nvram.fd /srv/efi/vars")
    assert f"<nvram>{loaded['folder']}/nvram.fd</nvram>" in programs.hypervisor.virsh("dumpxml", "efi2")
    for name in ("efi", "efi2"):
        programs.hypervisor.virsh("undefine", name, "--keep-nvram")


def test_nothing_is_overwritten_and_nothing_half_stays(programs: Programs) -> None:
    path = programs.image("first", "64M", "20M")
    hypervisor = programs.hypervisor
    hypervisor.define("first", [(path, "raw")])
    programs.save("first")
    domains, listed = hypervisor.domains(), programs.sh(f"ls -lR {IMAGES}")
    cut = "< <(head -c 9000000 /root/stream.tar)"
    for said, code, shell, asked in (
        ("There is a domain first already", "destination_exists", "< /root/stream.tar", {"into": "first"}),
        ("is not an empty folder", "destination_exists", "< /root/stream.tar", {"folder": IMAGES}),
        ("must be a whole path", "bad_arguments", "< /root/stream.tar", {"folder": "x"}),
        ("ended too early", "load_failed", cut, {}),
        ("ended too early", "load_failed", cut, {"format": "qcow2"}),
        ("ended too early", "load_failed", "< /dev/null", {}),
        ("does not hold a virtual machine", "load_failed", "< /root/program-backup", {}),
        ("There is no space left", "client_full", "< /root/stream.tar", {"folder": "/srv/tiny/new"}),
        ("The images need 20 MiB", "client_full", "< /root/stream.tar", {"folder": "/srv/tiny/new"}),
    ):
        if code == "client_full":
            size = "20" if "need" not in said else "8"
            programs.sh(f"mkdir -p /srv/tiny; mount -t tmpfs -o size={size}m tmpfs /srv/tiny")
        trouble = programs.run("load", shell, **asked).trouble
        assert trouble.startswith(f"cyborg [{code}]"), trouble
        assert said in trouble
        assert (hypervisor.domains(), programs.sh(f"ls -lR {IMAGES}")) == (domains, listed)
        if code == "client_full":
            assert programs.sh("ls -A /srv/tiny") == ""
            programs.sh("umount /srv/tiny")
    for form in ("raw", "qcow2"):
        programs.sh("rm -f /root/go; mkfifo /root/go")
        half = "< <(head -c 9000000 /root/stream.tar; cat /root/go)"
        running = programs.start("load", half, into="half", format=form)
        hypervisor.wait(functools.partial(programs.host.exists, f"{IMAGES}/half/vda.{form}"), "it writes")
        programs.sh(f"kill -KILL {programs.pids('load')[0]}")
        programs.sh("timeout 5 sh -c 'echo > /root/go' || true")
        assert programs.ended(running).code != 0
        hypervisor.wait(lambda: programs.sh(f"ls -lR {IMAGES}") == listed, "nothing is left")
        assert hypervisor.domains() == domains
    assert hypervisor.left("first") == []
