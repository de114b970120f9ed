"""Writes what each task of a run gave, a line of JSON each, to $CYBORG_TEST_RECORD."""

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, kind, result):
        entry = {
            "kind": kind,
            "host": result.host.get_name(),
            "task": result.task.get_name().rpartition(" : ")[2],
            "action": result.task.action,
            "result": json.loads(json.dumps(dict(result.result), default=str)),
        }
        with open(os.environ["CYBORG_TEST_RECORD"], "a") as file:
            file.write(json.dumps(entry) + "\n")

    def v2_runner_on_ok(self, result):
        self._write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)

    def v2_runner_on_skipped(self, result):
        self._write("skipped", result)
