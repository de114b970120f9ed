# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup: see the documentation in plugins/modules/borg_create.py."""

from __future__ import annotations

import time

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, Attached, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.hooks import HOOKS, Hooked


class ActionModule(Attached, Hooked, BorgAction):
    """One archive, and the proof that it holds what was asked for."""

    ARGUMENTS = dict(
        VAULT,
        **HOOKS,
        archive={"type": "str", "default": ""},
        timestamp={"type": "str", "default": ""},
        compression={"type": "str", "default": ""},
        upload_ratelimit={"type": "int", "default": 0},
        files_cache_suffix={"type": "str", "default": ""},
        roots={"type": "list", "elements": "str", "required": True},
        roots_optional={"type": "bool", "default": False},
        mounts={"type": "bool", "default": False},
        follow={"type": "bool", "default": True},
        excludes={"type": "list", "elements": "raw", "default": []},
        one_file_system={"type": "bool", "default": False},
        exclude_caches={"type": "bool", "default": False},
        exclude_nodump={"type": "bool", "default": False},
        max_unreadable={"type": "int", "default": 0},
        allow_empty={"type": "bool", "default": False},
        allow_moved={"type": "bool", "default": False},
        expected_roots={"type": "dict", "default": {}},
    )

    def borg(self):
        args = self.args
        name = args["archive"] or self._name()
        argv, options_at = borg_argv.create(
            name,
            lock_wait=args["lock_wait"],
            compression=args["compression"],
            timestamp=args["timestamp"],
            upload_ratelimit=args["upload_ratelimit"],
            excludes=args["excludes"],
            one_file_system=args["one_file_system"],
            exclude_caches=args["exclude_caches"],
            exclude_nodump=args["exclude_nodump"],
            dry_run=self.check,
        )
        expected = {} if args["allow_moved"] else args["expected_roots"] or {}
        sources = {
            "roots": args["roots"],
            "optional": args["roots_optional"],
            "mounts": args["mounts"],
            "follow": args["follow"],
            "allow_empty": args["allow_empty"],
            "expected": {str(root): str(system) for root, system in expected.items()},
            "options_at": options_at,
        }
        self._sources = {}
        reply = self.main_call(argv, sources=sources, on_start=self._keep_sources)
        # In the first answer only; of a job that is asked for again, in every one.
        reply = dict(self._sources, **reply)
        result = reply["result"]
        self._say_sources(reply)
        if self.check:
            roots = [root["asked"] or root["real"] for root in reply.get("roots", [])]
            self.say("would back up %s to the archive %s" % (", ".join(roots), name))
            return {"result": {"changed": True, "archive": {"name": name, "roots": roots}}}
        made = borg_answers.created(self.out("", reply), name, args["repository"], args["repository_id"])
        made["roots"] = [[root["asked"] or root["real"], root["filesystem"] or ""] for root in reply.get("roots", [])]
        self._examine(name, made, reply, result)
        if self.control is None:
            self.say("made the archive %s: %s" % (name, borg_answers.amounts(made["stats"])))
        return {
            "archives": [made],
            "stats": made["stats"],
            "warnings": borg_answers.warnings(reply, result),
            "result": {"changed": True, "archive": made},
        }

    def _name(self):
        if self.job is not None:
            raise Failure("bad_arguments", "The library gave no name for the archive.")
        return "%s-%s" % (
            self.vars.get("inventory_hostname", "host"),
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        )

    def _keep_sources(self, reply):
        self._sources = {key: reply[key] for key in ("roots", "left_out", "absent") if key in reply}

    def _say_sources(self, reply):
        for root in reply.get("roots", []):
            if root["asked"] and root["asked"] != root["real"]:
                self.say("%s is a link; its folder %s was backed up under that name." % (root["asked"], root["real"]))

    def _examine(self, name, made, reply, result):
        """Is everything that was asked for in the archive? Raises `Failure`."""
        args, files = self.args, result.get("files") or {}
        nevertheless = " The archive %s was made nevertheless." % name
        for root in self._unseen(reply, result):
            path = root["real"]
            held = self.call("holds " + path, borg_argv.holds(name, path, lock_wait=args["lock_wait"]))
            if self.out("holds " + path, held).strip():
                continue
            if root["asked"] is not None:
                raise Failure(
                    "source_missing", "%s is not in the archive: an exclude leaves it out." % path + nevertheless
                )
            # Nobody named it: `mounts` found it, and an exclude that covers it may well be meant. It is told.
            kind = (root["filesystem"] or "").partition(":")[0]
            left = {"path": path, "type": kind, "source": "", "reason": "excluded"}
            reply["left_out"] = [*(reply.get("left_out") or ()), left]
        if made["stats"]["files"] == 0 and not args["allow_empty"]:
            raise Failure(
                "source_empty",
                "Not one file was saved. Look at the folders and excludes; if nothing is right, set allow_empty."
                + nevertheless,
            )
        unreadable = int(files.get("unreadable") or 0)
        if unreadable > max(0, args["max_unreadable"]):
            raise Failure(
                "source_unreadable",
                "%s That is more than the %d that may be (max_unreadable)."
                % (borg_answers.warnings({}, result)[0], args["max_unreadable"])
                + nevertheless,
            )
        for root in result.get("roots_after", []):
            if not root["there"] or not root["same"]:
                raise Failure(
                    "source_moved",
                    "%s was unmounted, or something else was mounted there, while it was backed up." % root["real"]
                    + nevertheless,
                )

    @staticmethod
    def _unseen(reply, result):
        """Sources that Borg did not name as folders: single files (not asked for), or nothing at all."""
        seen = set(result.get("roots_seen", []))
        return [root for root in reply.get("roots", []) if root["real"] not in seen]
