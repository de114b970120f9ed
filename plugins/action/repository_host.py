# SPDX-License-Identifier: GPL-3.0-or-later
"""A vault on its repository's host: see the documentation in plugins/modules/repository_host.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.action.free_space import space_of
from ansible_collections.cyborg.backup.plugins.module_utils import agent
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_setup
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import HostAction, path, text, texts, truth
from ansible_collections.cyborg.backup.plugins.plugin_utils.public_key import reduced

#: The state that is asked for -> what the agent does.
STATES = {
    "present": "ensure",
    "granted": "grant",
    "revoked": "revoke",
    "absent": "remove",
    "closed": "close",
    "open": "open",
}


#: Borg refuses to serve with less.
LEAST_QUOTA = 10_000_000


class ActionModule(HostAction):
    """Works as root on the repository's host, to which the task is delegated."""

    ARGUMENTS = dict(
        borg_setup.ARGUMENTS,
        state={"type": "str", "choices": sorted(STATES), "default": "present"},
        vault={"type": "int", "required": True},
        account={"type": "str", "required": True},
        path={"type": "str", "required": True},
        quota={"type": "int", "default": 0},
        quota_share={"type": "int", "default": 0},
        reserve={"type": "int", "default": 0},
        append_only={"type": "bool", "default": True},
        existing={"type": "bool", "default": False},
        takeover={"type": "bool", "default": False},
        lock_wait={"type": "int", "default": 600},
        keys={
            "type": "list",
            "elements": "dict",
            "default": [],
            "no_log": False,
            "options": {
                "name": {"type": "str", "required": True},
                "mode": {"type": "str", "choices": ["client", "controller"], "default": "client"},
                "key": {"type": "str", "required": True, "no_log": False},
                "seconds": {"type": "int"},
            },
        },
        names={"type": "list", "elements": "str", "default": []},
        seconds={"type": "int", "default": 0},
        by={"type": "str", "default": ""},
    )

    def work(self):
        args, state = self.args, self.args["state"]
        request = {
            "do": STATES[state],
            "check": self.check,
            "vault": args["vault"],
            "account": args["account"],
            "path": args["path"],
            "names": args["names"],
            "keys": self._keys(),
            "seconds": args["seconds"],
            "by": text(args["by"], 60, "a name", r"[A-Za-z0-9.-]*"),
        }
        setup = borg_setup.BorgSetup(self, "the repository's host")
        here = {"borg": "", "borg_version": ""}
        if state == "present":
            if not 0 <= args["quota_share"] <= 100 or args["reserve"] < 0:
                raise Failure(
                    "bad_arguments", "A share is in per cent, from 0 to 100; a reserve is in bytes, at least 0."
                )
            if (args["quota"] and args["quota"] < LEAST_QUOTA) or args["lock_wait"] < 0:
                raise Failure(
                    "bad_arguments",
                    "A quota is in bytes, and Borg takes none below 10000000; a wait is in seconds, at least 0.",
                )
            here = setup.ensure(["borg"])
            request.update(
                quota=args["quota"],
                quota_share=args["quota_share"],
                reserve=args["reserve"],
                append_only=args["append_only"],
                existing=args["existing"],
                takeover=args["takeover"],
                wait=args["lock_wait"],
                borg=here["borg"],
                serve=_serve(),
            )
        reply = self.ask("host_vault", **request)
        changes = setup.changes + texts(reply.get("changes"), 64, 1200, "a list of changes")
        return self.told(
            {
                "changed": setup.changed or truth(reply.get("changed"), "whether something was changed"),
                "changes": changes,
                "notes": setup.notes + texts(reply.get("warnings"), 64, 1200, "a list of warnings"),
                "path": path(reply.get("path"), "the path of a vault"),
                "tag": text(reply.get("tag"), 12, "a vault's tag", r"[0-9a-f]{12}"),
                "busy": truth(reply.get("busy"), "whether the vault is in use"),
                "space": space_of(reply.get("space")),
                "known": truth(reply.get("known"), "whether another library had the vault"),
                "borg": here["borg"],
                "borg_version": here["borg_version"],
            }
        )

    def _keys(self):
        """The keys, each parsed once more here: this is the last place before authorized_keys."""
        keys = []
        for given in self.args["keys"]:
            # In check mode a key may not have been made yet.
            if self.check and not given["key"]:
                continue
            keys.append(dict(given, key=reduced(given["key"], "the caller")))
        names = [key["name"] for key in keys]
        if len(set(names)) != len(names):
            raise Failure("bad_arguments", "Each key of a vault needs a name of its own: %s." % ", ".join(names))
        return keys


def _serve():
    """The program that sshd runs for our keys on the repository's host."""
    return agent.whole("host_serve")
