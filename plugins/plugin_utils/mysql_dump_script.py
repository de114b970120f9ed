# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that dumps one database of MariaDB or MySQL. Pure.

The dump names no database, so it can be loaded into any one: `mariadb new_name < orders.sql`.
"""

from __future__ import annotations

import shlex

from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_login import prelude
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import OWN, hexed, quoted
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_objects_script import FUNCTIONS, filter_of

#: What stands at the end of a dump that is whole.
END = "-- Dump completed"

#: `dumped OPTION… -- NAME [TABLE…]` prints a dump. MySQL's own program would ask a MariaDB for what that has not.
_DUMPED = r"""dumper=$(first mariadb-dump mysqldump)
theirs=()
case $("$dumper" --version) in
  *MariaDB*) ;;
  *)
    help=$("$dumper" --help)
    case $help in *set-gtid-purged*) theirs+=(--set-gtid-purged=OFF) ;; esac
    case $help in *column-statistics*) theirs+=(--column-statistics=0) ;; esac
    ;;
esac
# Fewer turns of two processes: by itself it writes 4 KiB at a time.
wide=
if stdbuf -o 256K true 2> /dev/null; then wide='stdbuf -o 256K'; fi
lead=
dumped() {
  $lead $wide "$dumper" --defaults-extra-file=<(printf '%s\n' "$cnf") "${login[@]}" ${theirs[@]+"${theirs[@]}"} \
    --single-transaction --skip-lock-tables --no-tablespaces --quick --hex-blob --max-allowed-packet=1G "$@"
}
"""


def odd(name):
    """Whether mariadb-dump cannot find the events of a database of that name."""
    return any(letter in "'\"\\" or ord(letter) < 32 for letter in name)


def _own_events(args, database):
    return bool(args["events"] and database.events and (odd(database.name) or database.odd_events))


def functions(args):
    """The login, `sql`, `dumped`, and what mariadb-dump needs help with."""
    return prelude(args) + _DUMPED + FUNCTIONS


def dump(args, database):
    """The script for one database (as `mysql_server` describes it); its stdout is the dump."""
    name, literal = database.name, shlex.quote(hexed(database.name))
    own_events = _own_events(args, database)
    # Where there are no events, an odd name does no harm.
    options = [_switch("events", args["events"] and not own_events), _switch("routines", args["routines"])]
    if name == OWN and database.accounts_view:
        # The server makes it anew from its accounts, which are in a table.
        options.append("--ignore-table=mysql.user")
    # Loaded by whoever it is, into whatever database: its character set is that of the one it came from.
    charset = "ALTER DATABASE CHARACTER SET = %s COLLATE = %s;" % (database.charset, database.collation)
    lines = [
        functions(args),
        'print() { dumped %s "$1" -- %s; }' % (" ".join(options), shlex.quote(name)),
        "unnamed() { %s; }" % filter_of(name),
        "views=0 triggers=0",
    ]
    if database.views:
        own = shlex.quote(quoted(name))
        lines.append("views=$(qualified_views %s %s %s)" % (literal, shlex.quote(name), own))
    if args["triggers"] and database.triggers:
        lines.append("triggers=$(qualified_triggers %s)" % literal)
    if database.foreign_collation:
        lines.append("views=1")
    lines.append("printf '%%s\\n' %s" % shlex.quote(charset))
    if own_events:
        lines.append("events %s" % literal)
    return "\n".join(lines) + _PRINT.format(literal=literal, triggers=_switch("triggers", args["triggers"]), end=END)


_PRINT = """
if [ "$triggers" != 0 ]; then
  print --skip-triggers | unnamed | ended
  triggers {literal}
  echo '{end}'
elif [ "$views" != 0 ]; then
  print {triggers} | unnamed
else
  # In this shell's place, which would have something to say of how it ended.
  lead=exec
  print {triggers}
fi
"""


def _switch(name, on):
    return "--%s%s" % ("" if on else "skip-", name)
