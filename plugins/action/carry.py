# SPDX-License-Identifier: GPL-3.0-or-later
"""Restored files from one host to another: see the documentation in plugins/modules/carry.py."""

from __future__ import annotations

import os
import re
import time

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError
from ansible_collections.cyborg.backup.plugins.plugin_utils import pump
from ansible_collections.cyborg.backup.plugins.plugin_utils.carry_action import CarryAction, in_words, lost, tally
from ansible_collections.cyborg.backup.plugins.plugin_utils.destination import exists, full_path
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import clean, path, text, texts, truth

#: Seconds that each end waits for the other one.
WAIT = 180
_NAME = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20}){1,4}")
_LEFT = (
    "On %s not everything could be removed: look for what is called cyborg-carry-%s in /var/tmp and /run, or "
    "~/.local/state (%s)"
)


class ActionModule(CarryAction):
    """One step at one end: ready and closed at both, offered and settled where files are sent, taken where they go."""

    ARGUMENTS = {
        "state": {"type": "str", "choices": ["closed", "offered", "ready", "settled", "taken"], "required": True},
        "name": {"type": "str", "default": ""},
        "since": {"type": "float", "default": 0},
        "destination": {"type": "str", "default": ""},
        "overwrite": {"type": "bool", "default": False},
        "folder": {"type": "str", "default": ""},
        "numeric_ids": {"type": "bool", "default": False},
        "own": {"type": "bool", "default": False},
        "take": {"type": "list", "elements": "str", "default": []},
        "tally": {"type": "dict", "default": {}},
        "keep": {"type": "bool", "default": False},
    }

    def work(self):
        state = self.args["state"]
        if self.check and state != "ready":
            return {"changed": state == "taken", "take": [], "tally": {}, "notes": []}
        try:
            return getattr(self, "state_" + state)()
        except AnsibleConnectionFailure as problem:
            if state == "ready":
                raise  # nothing was made yet
            # As a failure of the task: the other tasks, which clear up, go on after it.
            raise Failure("unreachable", "The connection to %s broke: %s" % (self.title, problem)) from problem
        except AgentError as problem:
            said = "The agent on %s gave no answer (%s). It said: %s"
            raise Failure("internal", said % (self.title, problem, problem.tail or "nothing")) from problem

    def state_ready(self):
        """Nothing of an earlier try is left, and the destination, if one is asked for, is free."""
        args, where = self.args, ""
        name = text(args["name"], 64, "a name", _NAME.pattern) if args["name"] else self._new_name()
        if args["destination"]:
            where = self._destination()
        reply = self._clear(name, any_try=True, destination=where)
        look = {key: truth(seen, "what lies there") for key, seen in (reply.get("look") or {}).items()}
        if look.get("there") and not (look["folder"] and (look["empty"] or args["overwrite"])):
            raise exists(where)
        between = "%s/cyborg-carry-%s" % (path(reply.get("between"), "a folder"), name)
        return {
            "changed": bool(reply.get("ended") or reply.get("removed")),
            "name": name,
            "since": time.time(),
            "folder": between,
            "owners": between + ".owners",
        }

    def state_offered(self):
        """The sending end waits for whoever calls `take`."""
        args, place = self.args, self.place("from")
        request = {
            "folder": args["folder"],
            "owners": args["folder"] + ".owners",
            "numeric": args["numeric_ids"],
            "ours": args["own"],
            "fifo": place["fifo"],
            "wait": WAIT,
        }
        asked = dict(self.piece("carry_pack", place, request), op="start", job=self.command_id("from"))
        reply = self.exchange(asked)
        if reply.get("state") == "refused":
            raise self.refused(reply)
        if reply.get("state") == "fenced":
            raise Failure("lost", "Another engine has taken this job over; nothing was carried.")
        return {"changed": False, "take": pump.taking(self._connection, place["fifo"])}

    def state_taken(self):
        """All was taken in, and looked at where it lies now."""
        args, place = self.args, self.place("to")
        request = {
            "destination": self._destination(),
            "overwrite": args["overwrite"],
            "place": place["place"],
            "fifo": place["fifo"],
            "wait": WAIT,
        }
        asked = self.piece("carry_unpack", place, request)
        argv, at_once = asked.pop("argv"), {"offset": 0, "seen": 0, "wait": 0, "quiet": 0}
        way = pump.Pump(args["take"], pump.giving(self._connection, place["fifo"]))
        try:
            reply = self.command(
                "to", argv, forget=False, follow=at_once, on_start=lambda first: way.start(),
                on_lines=self.say_lines, on_progress=self.progress, **asked,
            )  # fmt: skip
        finally:
            said = way.end()
        done = self.ended(reply, said)
        taken = tally(done.get("tally"))
        if self.control is None:
            self.say_lines(["took in %s" % in_words(taken)])
        return {"changed": True, "destination": args["destination"], "tally": taken, "notes": lost(done.get("lost"))}

    def state_settled(self):
        """The sending end came to its end, and sent what the other one has."""
        sent = tally(self.ended(self.attach("from", forget=False)).get("tally"))
        if sent != self.args["tally"]:
            raise Failure(
                "hostile_answer",
                "What came is not what was sent (%s instead of %s). Look at both hosts before you restore again."
                % (in_words(self.args["tally"]), in_words(sent)),
            )
        return {"changed": False}

    def state_closed(self):
        """Nothing of ours is left here, but for what came to its destination if that is to be kept."""
        name = self.args["name"]
        try:
            reply = self._clear(name, keep=self.args["keep"])
            undone = texts(reply.get("undone"), 64, 4096, "a list of paths")
        except (AgentError, AnsibleConnectionFailure, Failure) as problem:
            # The restore itself may have gone well: this is told beside how it ended.
            return {"changed": False, "notes": [clean(_LEFT % (self.title, name, problem))]}
        return {"changed": bool(undone or reply.get("removed")), "notes": []}

    def _destination(self):
        local = self._connection.transport == "local"
        return full_path(self.args["destination"], local=local, overwrite=self.args["overwrite"])

    def _new_name(self):
        """What commands of the agent and folders are called by: in an attempt that is begun again, another name."""
        return "%s.%d" % (self.job or "0", int.from_bytes(os.urandom(4 if self.job else 7), "big"))

    def _clear(self, name, *, any_try=False, keep=False, destination=""):
        if self.check:
            look = self.do("restore_look", destination=destination) if destination else {}
            return {"look": {key: look[key] for key in ("there", "folder", "empty") if key in look}, "between": "/"}
        # Of any try of the job; or of this one only, for by now another engine may have begun the next.
        begin = ".".join(name.split(".")[:2]) if any_try else name
        return self.do("carry_clear", begin=begin, keep=keep, destination=destination)
