# SPDX-License-Identifier: GPL-3.0-or-later
"""How PostgreSQL's programs are reached on a host: names, the password's file, and the beginning of each script. Pure.

A name never stands in a script or on a command line as it is: it comes in a variable. In ``PGDATABASE`` every text is
a name, while a program's argument would be read as a connection string where it holds a ``=``.
"""

from __future__ import annotations

import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.parts import encoded

#: The arguments of all actions that speak to a server.
SERVER = {
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "host": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 0},
    "account": {"type": "str", "default": "postgres"},
}
#: Bytes of a name: what is longer is cut by the server, which would make it another one.
LONGEST = 63
#: The file of an archive that holds roles and tablespaces, and what that archive is called.
GLOBALS_FILE, GLOBALS = "postgresql/globals.sql", "globals"
#: Older servers have no snapshots that can be shared on a standby, and no --no-role-passwords.
OLDEST = 100000
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

#: Begins each script. `as` runs a program as whom it has to be; ask is psql, whose statements come on its stdin, and
#: takes and gives names as the bytes that they are.
PRELUDE = r"""
set -eu
umask 077
job=${0%/*}
fail() { printf 'cyborg: %s\n' "$*" >&2; exit 1; }
for folder in $(ls -d /usr/pgsql-*/bin /usr/lib/postgresql/*/bin /usr/local/pgsql/bin 2>/dev/null | sort -rV); do
    PATH=$PATH:$folder
done
command -v psql >/dev/null || fail 'no client programs'
export PGCONNECT_TIMEOUT=20 PGAPPNAME=cyborg
as() { "$@"; }
if [ -n "${PGPASS-}" ]; then
    # libpq takes no pipe as its file of passwords: this one has no name any more when the password comes into it.
    exec 9<> "$job/pgpass"
    rm "$job/pgpass"
    cat "$PGPASS" >&9
    export PGPASSFILE=/proc/self/fd/9
elif [ -n "${ACCOUNT-}" ] && [ "$ACCOUNT" != "$(id -un)" ]; then
    [ "$(id -u)" = 0 ] || fail 'not root'
    uid=$(id -u -- "$ACCOUNT" 2>/dev/null) && gid=$(id -g -- "$ACCOUNT") || fail 'no such account'
    eval "HOME=~$ACCOUNT"
    if setpriv --version >/dev/null 2>&1; then
        as() { setpriv --reuid="$uid" --regid="$gid" --init-groups -- "$@"; }
    else
        as() { runuser -u "$ACCOUNT" -- "$@"; }
    fi
fi
cd /
ask() { PGCLIENTENCODING=SQL_ASCII as psql -XAtqw -v ON_ERROR_STOP=1 "$@"; }
"""


def reached(args, password=""):
    """(variables, secrets) of a script: whom it logs in as, and where. Raises `Failure`."""
    env = {}
    for argument, name in (("host", "PGHOST"), ("user", "PGUSER")):
        if args[argument]:
            env[name] = _text(argument, args[argument])
    if args["port"]:
        if not 0 < args["port"] < 65536:
            raise Failure("bad_arguments", "port is %d, which is no port." % args["port"])
        env["PGPORT"] = str(args["port"])
    if password:
        return env, {"PGPASS": passfile(password)}
    if not args["user"] and (not args["host"] or args["host"].startswith("/")):
        if not _ACCOUNT.fullmatch(args["account"]):
            raise Failure("bad_arguments", "account is %r, which is no account's name." % args["account"])
        env["ACCOUNT"] = args["account"]
    return env, {}


def passfile(password):
    """A file of passwords that has this one, whatever is asked for. Raises `Failure`."""
    if any(letter in password for letter in "\n\r\0"):
        raise Failure("bad_arguments", "The password holds a line break, which PostgreSQL's file of passwords cannot.")
    return "*:*:*:*:%s\n" % password.replace("\\", "\\\\").replace(":", "\\:")


def named(args):
    """The databases that were asked for, or None for all of them. Raises `Failure`.

    A text is exactly one name, whatever is in it.
    """
    several = args["databases"]
    if several in (None, "", []):
        several = []
    elif isinstance(several, str):
        several = [several]
    elif not isinstance(several, list):
        raise Failure("bad_arguments", "databases is %r; give one name, or a list of names." % (several,))
    if args["database"]:
        if several:
            raise Failure("bad_arguments", "database and databases were both given; one of them is enough.")
        several = [args["database"]]
    return list(dict.fromkeys(database("databases", name) for name in several)) or None


def database(argument, name):
    """A database's name that can be one. Raises `Failure`."""
    if not isinstance(name, str):
        raise Failure("bad_arguments", "%s holds %r, which is no name but a %s: put it in quotes."
                      % (argument, name, type(name).__name__))  # fmt: skip
    _text(argument, name)
    if not name or len(_bytes(name)) > LONGEST:
        raise Failure(
            "bad_arguments", "%s holds %r; the name of a database has 1 to %d bytes." % (argument, name, LONGEST)
        )
    return name


def derived(name, suffix):
    """`name` with something behind it, cut so that the whole is a name."""
    kept = _bytes(name)[: LONGEST - len(suffix)]
    return kept.decode("utf-8", "ignore" if _valid(name) else "surrogateescape") + suffix


def file_of(name):
    """What a database's dump is called in its archive."""
    text = encoded(name)
    # A file's name begins with a letter there.
    return "postgresql/%s.dump" % (
        text if text[0].isalnum() or text[0] == "@" else "@%02x%s" % (ord(text[0]), text[1:])
    )


def name_in(file):
    """The name that `file_of` was given, or "" if that cannot be told: long ones are cut."""
    found = re.fullmatch(r"postgresql/(.*)\.dump", file)
    if not found or "@@" in found[1]:
        return ""
    text = re.sub("@([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), found[1])
    return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def said_of(args, title):
    """{sign on stderr: (code, sentence)} of what every program may say about the server."""
    where = "%s, port %d" % (args["host"] or title, args["port"] or 5432)
    who = args["user"] or args["account"]
    gone = ("server_unreachable", "PostgreSQL (%s) is not running or cannot be reached. Start it, or correct host and "
            "port of the policy." % where)  # fmt: skip
    denied = (
        "server_denied",
        "PostgreSQL (%s) does not let %s log in. Correct user and password of the policy, or pg_hba.conf of the server."
        % (where, who),
    )
    own = {
        "cyborg: no client programs": (
            "unsupported",
            "There is no psql on %s. Install PostgreSQL's client programs there, of the server's version or a later "
            "one." % title,
        ),
        "cyborg: not root": (
            "unsupported",
            "Only root can become the account %s. Let the client's login become root (become), or give the policy a "
            "user and a password." % args["account"],
        ),
        "cyborg: no such account": (
            "bad_arguments",
            "There is no account %s on %s. Give the policy the one that PostgreSQL runs as (account), or a user and a "
            "password." % (args["account"], title),
        ),
        "server version mismatch": (
            "unsupported",
            "The client programs on %s are older than the server. Install those of the server's version." % title,
        ),
        "unsupported version (": (
            "unsupported",
            "The dump was made by a later version of PostgreSQL's programs than those on %s. Install that version "
            "there." % title,
        ),
    }
    refused = (
        "password authentication failed", "no password supplied", "eer authentication failed",
        "dent authentication failed", "no pg_hba.conf entry", "is not permitted to log in",
        'role "%s" does not exist' % who, "pg_hba.conf rejects", "certificate authentication failed",
    )  # fmt: skip
    lost = (
        "Is the server running", "Connection refused", "timeout expired", "could not translate host name",
        "No route to host", "Network is unreachable", "the database system is", "too many clients",
        "remaining connection slots", "server closed the connection unexpectedly", "could not connect to server",
    )  # fmt: skip
    return {**own, **dict.fromkeys(refused, denied), **dict.fromkeys(lost, gone)}


def meant(signs, words, code, sentence):
    """The `Failure` for what a program said on stderr; with code and sentence of its own where no sign is known."""
    for sign, (known, what) in signs.items():
        if sign in words:
            return Failure(known, what)
    said = " / ".join(line.strip() for line in words.splitlines() if line.strip())[-600:]
    return Failure(code, "%s It said: %s" % (sentence, said or "nothing"))


def _text(argument, value):
    if "\0" in value:
        raise Failure("bad_arguments", "%s holds a NUL." % argument)
    return value


def _bytes(name):
    return name.encode("utf-8", "surrogateescape")


def _valid(name):
    return not any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name)
