"""The definition with which a drill boots a machine reaches nobody, and what it removes is its own."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from plugins.module_utils.vm.target import boot
from plugins.module_utils.vm.target.trouble import Trouble

DOMAIN = """
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
 <name>cyborg-drill-1</name><on_reboot>restart</on_reboot>
 <devices>
  <disk type='file' device='disk'><source file='/i/vda.raw'/><target dev='vda' bus='virtio'/></disk>
  <interface type='network'><source network='default'/></interface>
  <hostdev mode='subsystem' type='pci'/><filesystem type='mount'/><redirdev bus='usb'/><vsock model='virtio'/>
  <graphics type='vnc' port='5900'/><video><model type='virtio'/></video>
  <serial type='tcp'><source mode='connect' host='10.0.0.1' service='99'/></serial><console type='pty'/>
  <channel type='unix'><source mode='bind' path='/theirs'/>
   <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
 </devices>
 <qemu:commandline><qemu:arg value='-netdev'/></qemu:commandline>
</domain>
"""


def test_nothing_of_it_reaches_out():
    text, agent = boot.alone(DOMAIN, "/i/console.log")
    tree = ET.fromstring(text)
    assert agent
    devices = tree.find("devices")
    assert devices is not None
    assert [device.tag for device in devices] == ["disk", "video", "channel", "serial"]
    assert ET.tostring(devices.findall("serial")[0]).strip() == (
        b'<serial type="file"><source path="/i/console.log" /></serial>'
    )
    assert "/theirs" not in text
    assert "netdev" not in text
    assert [tree.findtext(event) for event in ("on_poweroff", "on_reboot", "on_crash")] == ["destroy"] * 3


@pytest.mark.parametrize(
    "request_",
    [{"folder": "/srv/x", "name": "web1"}, {"folder": "/srv", "name": "cyborg-drill-1"}, {"folder": "/", "name": ""}],
)
def test_only_what_a_drill_made_is_removed(request_):
    with pytest.raises(Trouble, match="nothing that a drill made"):
        boot.op_gone(request_)
