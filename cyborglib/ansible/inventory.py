"""The inventory of a run, in which everything that anybody typed is marked as text, never a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import ExecutorError
from ..executor import Host, HostRun, Run
from .ssh import Pins, destination, ssh_arguments
from .texts import carried

JOBS, OTHERS = "cyborg_jobs", "cyborg_others"
#: Only these characters are safe inside one of ssh_args' words, which Ansible splits like a shell.
_SAFE = re.compile(r"[A-Za-z0-9@%+=:,./_*-]+")
#: Trusted variables may set much, but not what keeps a connection checked and private.
_OURS = frozenset(
    {
        "ansible_ssh_args",
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
        "ansible_ssh_host_key_checking",
        "ansible_host_key_checking",
        "ansible_control_path",
        "ansible_control_path_dir",
        "ansible_host",
        "ansible_connection",
    }
)


def unsafe(value: Any) -> Any:
    """A value whose texts, at any depth, stay what they are whatever braces or half characters are in them."""
    if isinstance(value, str):
        return {"__ansible_unsafe": carried(value)}
    if isinstance(value, Mapping):
        return {carried(str(key)): unsafe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [unsafe(item) for item in value]
    return value


def inventory(
    run: Run, pins: Pins, interval: float, forget: Mapping[str, list[tuple[str, int]]] | None = None
) -> dict[str, Any]:
    """The whole inventory, as Ansible reads it from JSON. `forget`: what the agent on each host may forget."""
    jobs = {work.host.name: _job(run, work, pins, interval) for work in run.hosts}
    for name, names in (forget or {}).items():
        jobs[name]["cyborg_forget"] = names
    others: dict[str, Any] = {}
    for host in {host.name: host for work in run.hosts for host in work.others}.values():
        asking = [work for work in run.hosts if host.name in {other.name for other in work.others}]
        others[host.name] = _reached(host, pins, run.connect_timeout, asking)
    for name in jobs.keys() & others.keys():
        raise ExecutorError(f"the run {run.id} calls two hosts {name!r}")
    return {"all": {"children": {JOBS: {"hosts": jobs}, OTHERS: {"hosts": others}}}}


def _job(run: Run, work: HostRun, pins: Pins, interval: float) -> dict[str, Any]:
    names = (*work.variables, *work.secret_variables)
    refused = [name for name in names if name.lower().startswith(("ansible_", "cyborg_job"))]
    if refused:
        raise ExecutorError(f"job {work.job} has the variable {refused[0]!r}, which would change how hosts are reached")
    return {
        **unsafe(work.variables),
        **{name: _lookup(name, [work]) for name in work.secret_variables},
        **_reached(work.host, pins, run.connect_timeout, [work]),
        "cyborg_store": run.store,
        "cyborg_job": work.job,
        "cyborg_attempt": work.attempt,
        "cyborg_fence": work.fence,
        "cyborg_timeout": work.timeout,
        "cyborg_interval": interval,
        "cyborg_secrets": list(work.secrets),
        # The action then asks the agent how the job stands, and never starts it.
        **({"cyborg_attach": True} if work.recover else {}),
    }


def _reached(host: Host, pins: Pins, connect_timeout: int, asking: list[HostRun]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ansible_python_interpreter": unsafe(host.interpreter or "/usr/bin/python3"),
        "ansible_become": host.become is not False,
        "ansible_become_method": unsafe(host.become_method),
        "ansible_become_user": unsafe(host.become_user),
        # What "become root where the login is not" means is settled by the actions, on the host.
        "cyborg_become": "auto" if host.become is None else "yes" if host.become else "no",
        "cyborg_interpreter": unsafe(host.interpreter),
        "cyborg_title": unsafe(host.title),
    }
    if host.become_password:
        found["ansible_become_password"] = _lookup(host.become_password, asking)
    if host.local:
        found["ansible_connection"] = "ansible.builtin.local"
        if host.account:
            found["cyborg_account"] = unsafe(host.account)
    else:
        found |= {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_host": unsafe(destination(host)),
            "ansible_ssh_args": unsafe(
                " ".join(map(_word, ssh_arguments(pins, host, connect_timeout=connect_timeout)))
            ),
            "ansible_ssh_common_args": "",
            "ansible_ssh_extra_args": "",
        }
        if host.port:
            found["ansible_port"] = host.port
        if host.user:
            found["ansible_user"] = unsafe(host.user)
    for name, value in host.variables:
        if name in _OURS:
            raise ExecutorError(
                f"the trusted variable {name!r} of {host.title or host.name} would change how its connection is "
                "checked; leave it out, and use ~/.ssh/config for the rest"
            )
        found[name] = value
    return found


def _lookup(secret: str, asking: list[HostRun]) -> str:
    """A template that asks the library for a secret, in the name of one of these jobs."""
    jobs = [[work.job, work.attempt] for work in asking]
    return f"{{{{ lookup('cyborg.backup.secret', '{_word(secret)}', jobs={jobs}) }}}}"


def _word(text: str) -> str:
    if not _SAFE.fullmatch(text):
        raise ExecutorError(f"{text!r} cannot be part of an ssh call or a lookup")
    return text
