# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells a library that something is ready: see the documentation in plugins/modules/ready_hook.py."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import re
import shlex
import stat
import urllib.error
import urllib.parse
import urllib.request

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

display = Display()

HEADER = "Authorization: Bearer "
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,512}={0,2}")
#: Seconds that the other side may take.
TIMEOUT = 15


class ActionModule(ActionBase):
    """Runs on the controller, where ansible-playbook runs; the host of the play only lends its name."""

    _requires_connection = False
    _supports_async = False
    TRANSFERS_FILES = False
    ARGUMENTS = {
        "state": {"type": "str", "choices": ["checked", "sent"], "default": "sent"},
        "url": {"type": "str", "required": True},
        "token_file": {"type": "path", "default": ""},
        "token": {"type": "str", "default": "", "no_log": True},
        "hostname": {"type": "str", "default": ""},
    }

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        try:
            _, self.args = self.validate_argument_spec(self.ARGUMENTS)
            result.update(self._work())
        except Failure as failure:
            result.update(failure.result())
        return result

    def _work(self):
        url = checked_url(self.args["url"])
        if not self.args["token_file"] and not self.args["token"]:
            raise Failure(
                "bad_arguments", "The hook needs the token: name the file that holds it, or let it be asked for."
            )
        if self.args["state"] == "checked":
            return {"changed": False}
        if self._task.check_mode:
            return {"changed": True, "msg": "Would tell %s that this is ready." % url}
        try:
            token = self._token()
        except Failure as failure:
            return self._not_told(url, failure.message)
        told = tell(url, token, self.args["hostname"])
        return self._not_told(url, told) if told else {"changed": True, "msg": "Told %s that this is ready." % url}

    def _token(self):
        if not self.args["token_file"]:
            return checked_token(self.args["token"], "what was given as the token")
        return read_token(self.args["token_file"])

    def _not_told(self, url, why):
        """Everything else is done, so the run goes well; a person can do the last step later."""
        command = curl(url, self.args["token_file"], self.args["hostname"])
        message = "Everything is prepared, but the library could not be told: %s To do that later, run: %s" % (
            why,
            command,
        )
        display.warning(message, formatted=True)
        return {"changed": False, "told": False, "msg": message, "command": command}


def checked_url(url):
    """The URL, if a token may be sent there: https, or http on this machine; raises `Failure` otherwise."""
    wrong = ""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as problem:
        wrong = str(problem)
    else:
        if parts.scheme not in ("https", "http") or not host or re.search(r"[\x00-\x20\x7f-\U0010ffff'\"\\]", url):
            wrong = "it is no web address"
        elif parts.username is not None or parts.password is not None:
            wrong = "a name or password in it would be seen in logs"
        elif parts.scheme == "http" and not loopback(host):
            wrong = "the token would go over the network in clear; use https"
    if wrong:
        raise Failure("bad_arguments", "The hook's URL cannot be used: %s." % wrong)
    return url


def loopback(host):
    """True for this machine itself. A name could be anybody's but for this one."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(place):
    """The token of a file that nobody else can read: the token alone, or the header line as curl takes it."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        raise Failure("bad_arguments", "The token file %s cannot be read: %s." % (place, problem.strerror)) from problem
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o077:
            raise Failure("bad_arguments", "The token file %s must be a file of yours alone: chmod 0600 it." % place)
        content = os.read(fd, 4096).decode("utf-8", "replace")
    finally:
        os.close(fd)
    return checked_token(content, "what is in %s" % place)


def checked_token(content, what):
    """The token itself; raises `Failure` for anything else, without showing it."""
    found = content.strip()
    if found.lower().startswith(HEADER.lower()):
        found = found[len(HEADER) :].strip()
    if not TOKEN.fullmatch(found):
        raise Failure("bad_arguments", "It is not a token, %s." % what)
    return found


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token is sent to where it was meant for, and nowhere else."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """None: the answer stays what it is."""
        return


def tell(url, token, hostname):
    """POST the token; gives "" or why it failed, as a sentence."""
    body = json.dumps({"hostname": hostname} if hostname else {}).encode("ascii")
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - checked_url looked at it
    request.add_header("Content-Type", "application/json")
    request.add_unredirected_header("Authorization", "Bearer " + token)
    handlers = [NoRedirect()]
    if loopback(urllib.parse.urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT) as answer:
            status = answer.status
    except urllib.error.HTTPError as problem:
        status = problem.code
        problem.close()
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", problem)
        return "%s did not answer (%s)." % (url, reason)
    if 200 <= status < 300:
        return ""
    if status in (401, 403, 404, 409, 410):
        return "%s refused the token (status %d): it was used, or is too old; ask for a new invitation." % (url, status)
    return "%s answered with status %d." % (url, status)


def curl(url, token_file, hostname):
    """The command that does the same; the token is on no command line."""
    body = json.dumps({"hostname": hostname} if hostname else {})
    rest = "-H 'Content-Type: application/json' -d %s %s" % (shlex.quote(body), shlex.quote(url))
    if not token_file:
        return "read -rs TOKEN; printf 'Authorization: Bearer %%s' \"$TOKEN\" | curl -fsS -X POST -H @- %s" % rest
    if has_header(token_file):
        return "curl -fsS -X POST -H %s %s" % (shlex.quote("@" + token_file), rest)
    return "printf 'Authorization: Bearer %%s' \"$(cat %s)\" | curl -fsS -X POST -H @- %s" % (
        shlex.quote(token_file),
        rest,
    )


def has_header(token_file):
    """True if the file holds the whole header line, so that curl can read it itself."""
    try:
        with open(token_file, encoding="utf-8", errors="replace") as file:
            return file.read(len(HEADER)).lower() == HEADER.lower()
    except OSError:
        return False
