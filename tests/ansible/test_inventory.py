"""The inventory: what was typed is text, what is ours cannot be changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils.arguments import delivered, showable

from cyborglib.ansible.inventory import inventory, unsafe
from cyborglib.ansible.ssh import Pins
from cyborglib.ansible.texts import carried
from cyborglib.errors import ExecutorError
from cyborglib.executor import Host, HostRun, Run

PINS = Pins(known_hosts=Path("/run/x/known_hosts"), sockets=Path("/run/x/s"), version=(9, 2))
NAS = Host(
    name="repository-1", address="nas", user="root", key_of="repository-1", become_password="admin_become_password"
)
WORK = HostRun(
    job=42, attempt=3, fence=7, timeout=60, secrets=("become_password",), others=(NAS,),
    host=Host(name="job-42", address="{{ x }}", port=2222, user="ann", become_password="become_password", title="web1"),
    variables={"a": "{{ 7*7 }}", "b": [{"c": "{% x %}", "d": 1}], "e": None, "f": True},
)  # fmt: skip
OTHER = attrs.evolve(WORK, job=43, host=Host(name="job-43", local=True, become=False))


def hosts(*works: HostRun) -> dict[str, Any]:
    made = inventory(Run(id="r", playbook="backup", hosts=works or (WORK,)), PINS, 0.5)
    return {name: group["hosts"] for name, group in made["all"]["children"].items()}


def test_values_are_marked_at_any_depth() -> None:
    found = hosts()["cyborg_jobs"]["job-42"]
    assert found["a"] == {"__ansible_unsafe": "{{ 7*7 }}"}
    assert found["b"] == [{"c": {"__ansible_unsafe": "{% x %}"}, "d": 1}]
    assert (found["e"], found["f"]) == (None, True)
    assert found["ansible_host"] == {"__ansible_unsafe": "{{ x }}"}
    assert unsafe(("x", {"y": ()})) == [{"__ansible_unsafe": "x"}, {"y": []}]


def test_what_a_job_is_called() -> None:
    found = hosts()["cyborg_jobs"]["job-42"]
    assert {key: found[key] for key in found if key.startswith("cyborg_") and not isinstance(found[key], dict)} == {
        "cyborg_job": 42, "cyborg_attempt": 3, "cyborg_fence": 7, "cyborg_timeout": 60, "cyborg_interval": 0.5,
        "cyborg_secrets": ["become_password"], "cyborg_become": "auto", "cyborg_store": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("become", "plugin", "ours"), [(None, True, "auto"), (True, True, "yes"), (False, False, "no")]
)
def test_becoming_root(become: bool | None, plugin: bool, ours: str) -> None:
    work = attrs.evolve(WORK, host=attrs.evolve(WORK.host, become=become))
    found = hosts(work)["cyborg_jobs"]["job-42"]
    assert (found["ansible_become"], found["cyborg_become"]) == (plugin, ours)


def test_passwords_are_asked_for_by_name_and_by_whoever_is_at_work() -> None:
    made = hosts(WORK, OTHER)
    assert made["cyborg_jobs"]["job-42"]["ansible_become_password"] == (
        "{{ lookup('cyborg.backup.secret', 'become_password', jobs=[[42, 3]]) }}"
    )
    assert made["cyborg_others"]["repository-1"]["ansible_become_password"] == (
        "{{ lookup('cyborg.backup.secret', 'admin_become_password', jobs=[[42, 3], [43, 3]]) }}"
    )
    assert "ansible_become_password" not in made["cyborg_jobs"]["job-43"]


def test_a_local_host_has_no_ssh() -> None:
    found = hosts(OTHER)["cyborg_jobs"]["job-43"]
    assert found["ansible_connection"] == "ansible.builtin.local"
    assert not [name for name in found if "ssh" in name or name == "ansible_host"]


@pytest.mark.parametrize("name", ["ansible_connection", "ANSIBLE_HOST", "ansible_ssh_common_args", "cyborg_job"])
def test_no_variable_of_a_job_reaches_ansible(name: str) -> None:
    with pytest.raises(ExecutorError, match="how hosts are reached"):
        hosts(attrs.evolve(WORK, variables={name: "local"}))


@pytest.mark.parametrize(
    "name", ["ansible_ssh_args", "ansible_ssh_extra_args", "ansible_host_key_checking", "ansible_connection"]
)
def test_not_even_a_trusted_one_changes_what_is_checked(name: str) -> None:
    with pytest.raises(ExecutorError, match="checked"):
        hosts(attrs.evolve(WORK, host=attrs.evolve(WORK.host, variables=((name, "x"),))))


def test_a_trusted_one_may_be_a_template() -> None:
    found = hosts(attrs.evolve(WORK, host=attrs.evolve(WORK.host, variables=(("ansible_shell_type", "{{ x }}"),))))
    assert found["cyborg_jobs"]["job-42"]["ansible_shell_type"] == "{{ x }}"


def test_two_hosts_never_share_a_name() -> None:
    with pytest.raises(ExecutorError, match="two hosts"):
        hosts(attrs.evolve(WORK, host=attrs.evolve(WORK.host, name="repository-1")))


@pytest.mark.parametrize(
    "text",
    ["plain", "{{ x }}", "l\udcfft", "\ud800 \udbff \udc00 \udfff", "\ud83d\ude00", "\U0010f000\U0010f7ff",
     "\U0010f800\U0010f8ff", "\U0010f800\udcff\U0010f0ff", "\U0010f7ff\U0010f801\U0010ffff"],
)  # fmt: skip
def test_every_text_arrives_as_it_was(text: str) -> None:
    carried(text).encode()
    assert delivered(carried(text)) == text
    assert delivered({carried(text): [carried(text), 7, None]}) == {text: [text, 7, None]}
    showable([text])[0].encode()


def test_the_whole_inventory_can_be_read_by_ansible() -> None:
    from ansible.parsing.utils.yaml import from_yaml

    odd = attrs.evolve(WORK, variables={"borg_paths": ["l\udcff"], "borg_expected_roots": {"/\udcff": "x"}})
    found = from_yaml(json.dumps(hosts(odd)), json_only=True)["cyborg_jobs"]["job-42"]
    assert delivered(found["borg_paths"]) == ["l\udcff"]
    assert delivered(found["borg_expected_roots"]) == {"/\udcff": "x"}
