# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the actions that speak Borg: what every call needs, and how a job ends.

With ``final`` (where an action is the whole job) the action itself tells the library how the job ended, and lets the
agent forget the command only after that is committed: until then its result can be asked for again.
"""

from __future__ import annotations

import os
import re
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.template import is_trusted_as_template
from ansible.utils.display import Display
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError
from ansible_collections.cyborg.backup.plugins.plugin_utils import arguments, borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.agent_action import AgentAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure

display = Display()

#: The arguments of all actions that speak Borg.
VAULT = {
    "repository": {"type": "str", "required": True},
    "repository_id": {"type": "str", "default": ""},
    "passphrase": {"type": "str", "default": "", "no_log": True},
    "ssh_key": {"type": "str", "default": "", "no_log": False},
    "known_hosts": {"type": "str", "default": ""},
    "lock_wait": {"type": "int", "default": 600},
    "connect_timeout": {"type": "int", "default": 10},
    "base_dir": {"type": "str", "default": ""},
    "program": {"type": "str", "default": "borg"},
    "final": {"type": "bool", "default": False},
}
#: Bytes of a command's output in one exchange, and altogether: a listing of 100 000 archives has 25 MB.
PIECE, MOST = 4 * 1024 * 1024, 64 * 1024 * 1024
#: Seconds that Borg has to give its lock back when its time is over: on a busy host five were not enough, and a lock
#: that stays keeps all others out of the vault.
GRACE = 20
#: Seconds that a call has at least, however little of the job's time is left; less only if that is less altogether.
LEAST = 60
#: Bytes of a command's log that may lie on the host until its next job.
LARGE = 64 * 1024
#: Of a vault that was opened with its next passphrase, before the controller has seen that.
UNSETTLED = (
    "The passphrase of %s was changed, which is not recorded yet: the one that was to take its place opens it. The "
    "controller's next look into the vault (catalog) records it."
)
#: What may also be said of a host that gave no answer.
_UNHEARD = frozenset({"unreachable", "unsupported", "internal", "become_failed", "auth_failed", "host_key_changed"})
_SSH = re.compile(r"ssh://")
#: Puts a command's output into a new file, never into one that is there. Borg takes no notice of a disk that is full;
#: `cat` does. One more NUL at the end says that the command came to its end.
_INTO = 'set -C; into=$1; shift; { "$@" && printf "\\0"; } | cat > "$into" || exit 3'
_NAME = re.compile(r"\{\{ (\w+) \}\}")


class BorgAction(AgentAction):
    """An action that speaks Borg on its host. A subclass has `borg()`, which gives an outcome for the library.

    A vault's passphrase may just be changed: then the job has two secrets, and which of them opens the vault is found
    out here, by Borg saying that the first one does not.
    """

    #: What the secrets are called: the passphrase, the one that the vault is to get, and the key for its host.
    PASSPHRASE, NEXT_PASSPHRASE, SSH_KEY = "borg_passphrase", "borg_next_passphrase", "ssh_key"
    #: Borg's own key, of a repository that does not hold it itself.
    KEY_FILE = "borg_key_file"
    #: True where Borg writes files of its host, so that a disk which is full is one of those, and not the vault's.
    RESTORES = False

    def borg(self):
        """Do it: {"archives", "stats", "facts", "warnings", "result"}; `result` is the task's, the rest the job's."""
        raise NotImplementedError

    def arguments(self):
        """The arguments of the task; what is left out is taken from the variable `borg_<argument>`, if there is one.

        Thirty arguments that only name a variable each would be thirty templates to compile, for each host anew: a
        third of what the controller does for a backup.
        """
        given = dict(self._task.args)
        for name in self.ARGUMENTS:
            if name not in given and "borg_" + name in self.vars:
                given[name] = self._value_of("borg_" + name)
        return arguments.validated(arguments.delivered(given), self.ARGUMENTS)

    def _value_of(self, name):
        """A variable's value. One that only names another one is looked up: to compile that as a template costs each
        host's process 5 ms and half a megabyte."""
        value = self.vars[name]
        for _ in range(5):
            other = _NAME.fullmatch(value) if isinstance(value, str) and is_trusted_as_template(value) else None
            if other is None or other.group(1) not in self.vars:
                break
            value = self.vars[other.group(1)]
        return value if plain(value) else self._templar.template(value)

    def work(self):
        self._commands = []
        self._large = set()
        self._secrets = {}
        self._turned = self._settled = False
        self._told = False
        self._since = time.monotonic()
        #: True if the host knows, from an engine that died, of a command that goes before the main one.
        self._preceded = False
        #: True while the host itself has said that nothing of the job is at work there.
        self._gone = False
        #: Warnings of the job that come up on the way.
        self._notes = []
        try:
            outcome = self._guarded()
            if self._turned and not self._settled:
                outcome["warnings"] = [*(outcome.get("warnings") or ()), UNSETTLED % self.args["repository"]]
        except Failure as failure:
            error = {"code": failure.code, "message": failure.message}
            if "permanent" in failure.details:
                error["permanent"] = failure.details["permanent"]
            self._end(dict(failure.outcome, error=error, gone=self._is_gone(failure)), failure)
            raise
        result = dict(outcome.pop("result", None) or {})
        self._end(outcome, None)
        result.setdefault("changed", False)
        result["warnings"] = outcome.get("warnings") or []
        for name in ("archives", "facts"):
            if outcome.get(name):
                result["cyborg_" + name] = outcome[name]
        return result

    def _is_gone(self, failure):
        """True unless something of the job may be at work on its host."""
        if failure.code == "lost":
            return bool(failure.details.get("gone"))
        return self._gone or failure.code not in _UNHEARD

    def _guarded(self):
        try:
            return self.borg()
        except borg_argv.BadArgument as problem:
            raise Failure("bad_arguments", str(problem)) from problem

    def _end(self, outcome, failure):
        """Tell the library, and then let the agent forget, in that order."""
        if self.control is None or not self.args["final"] or self.check:
            self._forget_all(failure)
            return
        fence = int(self.vars.get("cyborg_fence") or 0)
        keep = failure is not None and failure.code == "lost"
        small = [[self._names[step], fence] for step in self._commands if step not in self._large and not keep]
        committed, later = self.control.ended(outcome, small)
        if committed:
            # What the library tells the agent with the next job on this host needs no exchange of its own now.
            self._commands = [step for step in self._commands if not later or step in self._large]
            self._forget_all(failure)

    def _forget_all(self, failure):
        if failure is not None and failure.code == "lost":
            return  # It may go on there; somebody may want to ask for it.
        for step in self._commands:
            self.forget(step)
        self._commands = []

    # -- calls ---------------------------------------------------------------------------------------------

    def call(self, step, argv, into="", main=None, **asked):
        """Run Borg and give the agent's last answer. Raises `Failure` for what Borg's answer means.

        The main call of a job has no step; of several main calls each says so. An engine may ask for them again.
        `into` is a new file on the host for what Borg prints, which may be much. `asked` goes to the agent's `start`.
        """
        main = not step if main is None else main
        if main and self._spare():
            # The main command is started once: which passphrase opens the vault has to be known before.
            limits = {"limits": asked["limits"]} if asked.get("limits") else {}
            self.call("which passphrase", borg_argv.identity(lock_wait=self.args["lock_wait"]), **limits)
        try:
            return self._called(step, argv, asked, into, main)
        except Failure as failure:
            if failure.code != "wrong_passphrase" or not self._turn():
                raise
        again = step + " again"
        reply = self._called(again, argv, asked, into, main)
        self._names[step] = self._names[again]
        return reply

    def _called(self, step, argv, asked, into="", main=False):
        argv = [self.args["program"], *argv[1:]] if argv[0] == "borg" else list(argv)
        if into:
            argv = ["sh", "-c", _INTO, "sh", into, *argv]
        request = _joined(dict(self._vault(), timeout=self.timeout(), grace=GRACE), asked)
        on_start = request.pop("on_start", None)
        # Nobody asks again for what is only a question on the way to the job's main command.
        request["keep"] = main

        self._gone = False

        def started(reply):
            if main:
                self._commands.append(step)
            self.begun()
            if on_start:
                on_start(reply)

        reply = self.command(
            step, argv, forget=False, on_start=started, on_lines=self._lines, on_progress=self._progress, **request
        )
        self._gone = True
        self._left(step, reply["result"])
        if self.account and reply["result"].get("exec_error"):
            raise Failure(
                "borg_missing",
                "Borg cannot be started on the controller as the account %s (%s). Install it there so that this "
                "account may run it, with the package manager for example."
                % (self.account, reply["result"]["exec_error"]),
            )
        self._judge(reply)
        return reply

    def begun(self):
        """Tell the library, once, that the job's work on its host has begun."""
        if not self._told and self.control is not None:
            self._told = True
            self.control.started()

    def _judge(self, reply):
        """Raises the `Failure` that the end of a call means."""
        borg_answers.check(reply["result"], self.args["repository"], restores=self.RESTORES)

    def _attached(self, step, on_start=None):
        """The last answer of a main call that an earlier run started: nothing is started here."""
        self._commands.append(step)
        self._gone = False
        reply = self.attach(
            step, forget=False, bar=not self._preceded, on_start=on_start, on_lines=self._lines,
            on_progress=self._progress,
        )  # fmt: skip
        self._gone = True
        self._left(step, reply["result"])
        self._judge(reply)
        return reply

    def identify(self):
        """A name can be given to another archive by whoever may write the vault; an id cannot."""
        asked = self.args["archive_id"]
        if not asked and not self.args["repository_id"]:
            return
        argv = borg_argv.archives(lock_wait=self.args["lock_wait"], name=self.args["archive"])
        reply = self.call("identify", argv)
        found = borg_answers.listed(self.out("identify", reply), self.args["repository"], self.args["repository_id"])
        ids = [entry["id"] for entry in found["archives"] if entry["name"] == self.args["archive"]]
        if not ids:
            raise Failure(
                "archives_vanished", "The archive %s is not in %s." % (self.args["archive"], self.args["repository"])
            )
        if asked and asked not in ids:
            raise Failure(
                "archives_vanished",
                "The archive %s in %s is not the one that was made under that name: its id is %s…, not %s…. Somebody "
                "replaced it." % (self.args["archive"], self.args["repository"], ids[0][:12], asked[:12]),
            )

    def _left(self, step, result):
        """Note what a command that ended has left on the host."""
        if "out" not in result and step not in self._commands:
            self._commands.append(step)  # Its output is still to be fetched: it is forgotten by nobody else.
        if "out" not in result or int(result.get("log_bytes") or 0) > LARGE:
            self._large.add(step)

    def out(self, step, reply):
        """The whole standard output of a call that ended."""
        result = reply["result"]
        if result.get("out_cut"):
            raise Failure("unparsable", "Borg's answer was longer than %d bytes, and cut." % result["out_bytes"])
        if "out" in result:
            return result["out"]
        if result["out_bytes"] > MOST:
            raise Failure("unparsable", "Borg's answer of %d bytes is too long." % result["out_bytes"])
        pieces, offset = [], 0
        while True:
            request = {"op": "out", "job": self._names[step], "offset": offset, "max": PIECE}
            try:
                piece = self.exchange(request)
            except (AnsibleConnectionFailure, AgentError) as problem:
                raise Failure("lost", "The connection broke while Borg's answer was fetched: %s" % problem) from problem
            if piece.get("state") != "ended":
                raise Failure("lost", "The host forgot Borg's answer while it was fetched.")
            pieces.append(piece["data"])
            if piece["end"]:
                return "".join(pieces)
            if piece["offset"] <= offset:
                raise Failure("hostile_answer", "The host gave an empty piece of Borg's answer.")
            offset = piece["offset"]

    def timeout(self):
        """Seconds that a call may take: what is left of the job's. One of many parts has not the time of all."""
        whole = self.whole_timeout()
        return whole and max(min(LEAST, whole), whole - int(time.monotonic() - self._since))

    def whole_timeout(self):
        """Seconds that the job may take; None if they are not bounded."""
        return int(self.vars.get("cyborg_timeout") or 0) or None

    def never_began(self, failure):
        """True if a main command that was asked for in vain was never started.

        What an engine that died had started before it is known to the host until the job has ended, and so would it be.
        If the host knows of nothing at all, it was restarted, and nobody can tell.
        """
        return self._preceded and failure.code == "lost" and bool(failure.details.get("unknown"))

    def _vault(self):
        """What the agent needs for any call of Borg: environment, secrets, files."""
        args = self.args
        allowed = self.vars.get("cyborg_secrets") or ()
        passphrase = self._once(self.PASSPHRASE, allowed, args["passphrase"])
        key_text = self._once(self.SSH_KEY, allowed, "")
        borg_key = self._once(self.KEY_FILE, allowed, "")
        files = {}
        remote = bool(_SSH.match(args["repository"])) or (":" in args["repository"] and args["repository"][0] != "/")
        if remote and args["known_hosts"]:
            files["known_hosts"] = args["known_hosts"].rstrip("\n") + "\n"
        if remote and key_text:
            files["ssh_key"] = key_text.rstrip("\n") + "\n"
        env = borg_argv.environment(
            args["repository"],
            base_dir=os.path.expanduser(args["base_dir"]) if self.local else args["base_dir"],
            files_cache_suffix=args.get("files_cache_suffix") or "",
            # Of one that is adopted a person has just said where it lies.
            pinned=bool(args["repository_id"]) or bool(args.get("existing")),
            auth_sock=os.environ.get("SSH_AUTH_SOCK", "") if self.local and remote and not self.account else "",
            user_site=not self.local,
        )
        # Also an empty one: without any, Borg would ask for it, and nobody is there.
        request = {"env": env, "secrets": {"BORG_PASSPHRASE_FD": passphrase}, "locks": self._locks(env, remote)}
        if remote:
            env["BORG_RSH"] = borg_argv.remote_shell(
                key="{job}/ssh_key" if key_text else args["ssh_key"],
                known_hosts="known_hosts" in files,
                connect_timeout=args["connect_timeout"],
            )
            request.update(files=files, files_secret=bool(key_text), templates=["BORG_RSH"])
        if borg_key:
            files["borg_key"] = borg_key.rstrip("\n") + "\n"
            env["BORG_KEY_FILE"] = "{job}/borg_key"
            request.update(files=files, files_secret=True, templates=[*request.get("templates", ()), "BORG_KEY_FILE"])
        return request

    def _locks(self, env, remote):
        """Where a Borg that was killed on this host leaves a lock: in its cache, and in a vault on this host."""
        found = [] if remote else [self.args["repository"]]
        if self.args["repository_id"]:
            found.append("%s/.cache/borg/%s" % (env.get("BORG_BASE_DIR", "~"), self.args["repository_id"]))
        return found

    def _spare(self):
        """True if there is another passphrase, which was not used yet."""
        return not self._turned and self.NEXT_PASSPHRASE in (self.vars.get("cyborg_secrets") or ())

    def _turn(self):
        """Take the other passphrase from now on. False if there is none."""
        if not self._spare():
            return False
        self._secrets[self.PASSPHRASE] = self._once(self.NEXT_PASSPHRASE, self.vars["cyborg_secrets"], "")
        self._turned = True
        return True

    @property
    def local(self):
        """True where the host is this machine."""
        return self._connection.transport == "local"

    def _once(self, name, allowed, fallback):
        """A secret, asked for once in this task."""
        if name not in self._secrets:
            self._secrets[name] = self.secret(name) if self.control is not None and name in allowed else fallback
        return self._secrets[name]

    # -- what is said meanwhile ----------------------------------------------------------------------------

    def _lines(self, lines):
        # Borg's tracebacks come as one message of many lines.
        texts = [line for text in borg_answers.texts_of(lines) for line in text.splitlines() if line.strip()]
        if self.control is not None:
            self.control.output(texts)
        else:
            for text in texts:
                self.say(text)

    def _progress(self, values, reply):
        seconds = max(0.0, float(reply.get("now") or 0) - float(reply.get("started_at") or 0))
        told = self._with_before(borg_answers.progress(values, seconds))
        if self.control is not None:
            self.control.progress(told)
        elif told.get("files") is not None:
            self.say("%(files)d files, %(original_bytes)d bytes read, %(deduplicated_bytes)d new; %(path)s" % told)

    def _with_before(self, told):
        """A progress with what the job did before."""
        return told


def _joined(request, asked):
    """A request with what else is asked, whose variables and templates come to those that are there."""
    found = dict(request, **asked)
    for name in ("env", "files"):
        if name in request and name in asked:
            found[name] = dict(request[name], **asked[name])
    if "templates" in request and "templates" in asked:
        found["templates"] = [*request["templates"], *asked["templates"]]
    return found


def plain(value):
    """True for what cannot be a template: most of what the library gives, and a question costs more than a look."""
    if isinstance(value, str):
        return "{" not in value
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or isinstance(value, (bool, int, float))


class Attached:
    """Mixin for actions whose main call can be asked for again after this side of it died."""

    def main_call(self, argv, **asked):
        """The job's main call: started, or, with the variable ``cyborg_attach``, only asked for."""
        if not self.vars.get("cyborg_attach"):
            return self.call("", argv, **asked)
        self.begun()
        try:
            return self._attached("", asked.get("on_start"))
        except Failure as failure:
            if not self.never_began(failure):
                raise
        return self.call("", argv, **asked)


__all__ = ["VAULT", "Attached", "BorgAction", "Canceled", "Failure"]
