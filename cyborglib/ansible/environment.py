"""What ansible-playbook is told, in a configuration file of its own and an environment that is a short list."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

#: What of the process's own environment passes. ssh needs these; everything else may hold a secret, or change Ansible.
PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "TZ")
#: What ansible-runner sets for its own callback.
RUNNERS = ("AWX_ISOLATED_DATA_DIR", "ANSIBLE_STDOUT_CALLBACK", "RUNNER_OMIT_EVENTS", "RUNNER_ONLY_FAILED_EVENTS")


def passed() -> dict[str, str]:
    """What passes of this process's environment, as it is now."""
    return {name: os.environ[name] for name in PASSED if name in os.environ}


def environment(folder: Path, callbacks: str, runners: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of ansible-playbook. The user's ansible.cfg and ANSIBLE_* are not read."""
    return {
        **passed(),
        **{name: str(runners[name]) for name in RUNNERS if name in runners},
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(folder / "tmp"),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": callbacks,
        "CYBORG_CONTROL": str(folder / "control"),
        # No tty and no window: ssh must never ask anybody.
        "SSH_ASKPASS_REQUIRE": "never",
        "PYTHONNOUSERSITE": "1" if sys.flags.no_user_site else "",
    }


def configuration(folder: Path, *, collections: Path, roles: Iterable[str]) -> str:
    """The ansible.cfg of a run, as far as it is the same for all runs."""
    sections: dict[str, dict[str, object]] = {
        "defaults": {
            "home": folder / "home",
            "local_tmp": folder / "tmp",
            "collections_path": collections,
            "collections_scan_sys_path": False,
            "roles_path": ":".join(roles) or folder / "home",
            # Seconds between two looks for results. Ansible's own 0.001 costs a tenth of a core for as long as the
            # run takes; nothing waits for it here, as jobs tell their end over the control socket.
            "internal_poll_interval": 0.02,
            "strategy": "ansible.builtin.host_pinned",
            "gathering": "explicit",
            "host_key_checking": True,
            "interpreter_python": "/usr/bin/python3",
            "fact_caching": "memory",
            "retry_files_enabled": False,
            "nocolor": True,
            "deprecation_warnings": False,
            "system_warnings": False,
            "devel_warning": False,
            "localhost_warning": False,
            "display_args_to_stdout": False,
        },
        "inventory": {"enable_plugins": "ansible.builtin.yaml", "unparsed_is_failed": True},
        "connection": {"pipelining": True},
        "ssh_connection": {"pipelining": True, "retries": 0, "control_path_dir": folder / "home"},
    }
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())
        for section, options in sections.items()
    )


def python() -> str:
    """The interpreter to run Ansible with: the one of this environment (a host application may embed it)."""
    installed = Path(sys.prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(installed) if installed.exists() else sys.executable
