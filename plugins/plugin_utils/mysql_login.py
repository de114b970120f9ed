# SPDX-License-Identifier: GPL-3.0-or-later
"""How the programs of MariaDB and MySQL are told where to log in, and what their refusals mean. Pure.

The password goes through an option file that is a pipe; the rest is options, which no file of the host overrules.
"""

from __future__ import annotations

import shlex

#: The arguments of the actions that log in.
LOGIN = {
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "host": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 0},
    "socket": {"type": "str", "default": ""},
}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b"}


def option_file(password):
    """The text of an option file with a password; without one it says nothing."""
    if not password:
        return "[client]\n"
    if "\0" in password:
        raise ValueError("a password of MariaDB or MySQL holds no NUL")
    # Quoted: a `#` would begin a comment, and blanks at the ends would be lost.
    return '[client]\npassword="%s"\n' % "".join(_ESCAPES.get(letter, letter) for letter in password)


def options(args):
    """The login as options. There is always one: some shells do not know an empty list."""
    found = ["--default-character-set=utf8mb4"]
    for name in ("user", "host", "port", "socket"):
        if args.get(name):
            found.append("--%s=%s" % (name, args[name]))
    return found


def prelude(args):
    """The beginning of each script: functions that call the programs with the login.

    The pipe can be read once, and a script may call many programs: bash keeps the text, in a variable that no program
    inherits, and gives it to each by a pipe of its own.
    """
    # With an account of the policy's own, the password in the login's ~/.my.cnf would overrule ours.
    home = "export HOME=/nonexistent\n" if args.get("user") or args.get("password") else ""
    return home + "login=(%s)\n" % " ".join(map(shlex.quote, options(args))) + _FUNCTIONS


_FUNCTIONS = r"""set -eu
first() {
  local name
  for name; do command -v -- "$name" && return; done
  echo "cyborg: none of the programs $* is here" >&2
  return 127
}
cnf=$(cat -- "$MY_CNF")
client=$(first mariadb mysql)
# No commands of the client itself: a dump may hold `\! rm -rf /` where somebody put it.
sql() {
  "$client" --defaults-extra-file=<(printf '%s\n' "$cnf") "${login[@]}" --batch --skip-column-names --binary-mode \
    --local-infile=0 --comments --max-allowed-packet=1G "$@"
}
"""

#: What a program says, and what it means. `%s` is filled in by `says`.
_DENIED = (
    "server_denied",
    "The server does not let %s in. Check user and password of the policy (policy_mysql_user, policy_mysql_password), "
    "and that the account may come from this host.",
)
_AWAY = (
    "server_unreachable",
    "No MariaDB or MySQL server answers at %s. Start it, or correct host, port or socket of the policy.",
)
_LACKS = (
    "grants_missing",
    "%s lacks a privilege for this; what the server said follows. Its README of the role policy_mysql has the GRANT "
    "statements.",
)


def says(args):
    """Signs in what the programs print on stderr: {sign: (code, sentence)}."""
    who = "the account %s" % args["user"] if args.get("user") else "the login's own account"
    where = args.get("socket") or args.get("host") or "its usual socket"
    if args.get("port"):
        where += " port %d" % args["port"]
    lost = ("dump_failed", "The server ended, or broke off the connection, in the middle of the dump.")
    away, denied = (_AWAY[0], _AWAY[1] % where), (_DENIED[0], _DENIED[1] % who)
    return {
        "ERROR 1045": denied,
        "error: 1045": denied,
        "ERROR 1698": denied,
        "error: 1698": denied,
        "ERROR 1130": denied,
        "error: 1130": denied,
        "ERROR 2002": away,
        "error: 2002": away,
        "ERROR 2003": away,
        "error: 2003": away,
        "ERROR 2005": away,
        "error: 2005": away,
        "cyborg: none of the programs": (
            "unsupported",
            "The programs mariadb and mariadb-dump (or mysql and mysqldump) are not on the host. Install them, with "
            "the package mariadb-client for example.",
        ),
        "2013: ": lost,
        "(2013)": lost,
        "(2006)": lost,
        "2026: ": ("server_denied", "No encrypted connection with the server came about."),
    }


def meaning(args, stderr):
    """Code and sentence for what a program said, or None."""
    for sign, found in says(args).items():
        if sign in stderr:
            return found
    return None
