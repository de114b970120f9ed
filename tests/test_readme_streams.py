"""The README's examples of databases and machines, as printed: what they call is there, and takes what they give.

What they do on real servers is shown by tests/hosts/test_mysql.py, test_streams.py and test_machines.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import cyborglib as cy
from cyborglib.testing import FakeExecutor

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_examples_of_streams_run_as_printed() -> None:
    found = re.search(r"<!-- example: streams -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found
    with cy.Cyborg("sqlite://", executor=FakeExecutor()) as cyborg:
        db1, kvm1 = (cyborg.clients.add(cy.Client(name)) for name in ("db1", "kvm1"))
        known = {
            "cy": cy, "cyborg": cyborg, "db1": db1, "kvm1": kvm1,
            "vault": cyborg.repositories.add(cy.Repository("nas", "borg@nas:/srv/borg/{client}")),
            "night": cyborg.schedules.add(cy.Schedule("night", "15 2 * * *")),
        }  # fmt: skip
        exec(compile(found[1], "README.md", "exec"), known)
        back = [job for job in cyborg.jobs if job.kind == "restore"]
        asked = [(dict(job.options["load"]), job.options["overwrite"]) for job in back]
        assert asked == [({}, False), ({"into": "shop"}, True)]
        [backup] = cyborg.run(known["disk"])
        assert (backup.status, backup.hypervisor, backup.policy_name) == ("successful", kvm1.id, "disks")
        assert {policy.name: policy.schedule for policy in cyborg.policies} == {
            "shop": known["night"].id, "disks": known["night"].id,
        }  # fmt: skip
