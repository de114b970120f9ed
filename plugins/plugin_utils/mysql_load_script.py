# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that bring a dump of MariaDB or MySQL back, and that put it in the place of a database. Pure.

A database cannot be renamed, but its tables can be moved, all of them in one statement. Views, triggers, routines and
events cannot: they are made again from their definitions. So for a moment there are four databases:

    staging   what the archive holds, loaded and whole, before anything else is touched
    target    the one that is to be replaced
    kept      its tables, with their rows, from the moment on in which those of `staging` take their place
    outline   its definitions: empty tables, views, triggers, routines and events

Whatever ends the script, and whenever: the old database is whole in `target`, or in `kept` and `outline` together.
"""

from __future__ import annotations

import shlex

from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_dump_script import functions
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_login import prelude
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import hexed, quoted
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_objects_script import filter_of

#: Exit codes of `swap`: nothing was changed; all was put back; the old one lies in `kept` and `outline`.
UNTOUCHED, PUT_BACK, SPLIT = 4, 5, 6


def create(args, name):
    """Make a database, which must not be there."""
    return prelude(args) + "sql --execute=%s\n" % shlex.quote("CREATE DATABASE %s" % quoted(name))


def drop(args, name):
    """Remove a database, if it is there."""
    return prelude(args) + "sql --execute=%s\n" % shlex.quote("DROP DATABASE IF EXISTS %s" % quoted(name))


def load(args, name):
    """Take a dump in from stdin. It ends with an error at the first statement that fails."""
    return prelude(args) + "sql -- %s\n" % shlex.quote(name)


def look(args, name):
    """What must be known of a database before it is made or replaced: its collation, and who refers to its tables."""
    asked = (  # noqa: S608 - a literal in hexadecimal
        "SELECT 'there', DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME = {0};"
        "SELECT DISTINCT 'referred', HEX(CONSTRAINT_SCHEMA), HEX(TABLE_NAME)"
        " FROM information_schema.REFERENTIAL_CONSTRAINTS"
        " WHERE UNIQUE_CONSTRAINT_SCHEMA = {0} AND CONSTRAINT_SCHEMA <> {0} LIMIT 20;"
        "SELECT 'event', COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0} AND STATUS = 'ENABLED';"
    ).format(hexed(name))
    return prelude(args) + "sql --execute=%s\n" % shlex.quote(asked)


def swap(args, target, staging, kept, outline):
    """Put `staging` in the place of `target`."""
    names = {"target": target, "staging": staging, "kept": kept, "outline": outline}
    lines = [functions(args)]
    for role, name in names.items():
        lines += [
            "%s=%s" % (role, shlex.quote(name)),
            "%s_q=%s" % (role, shlex.quote(quoted(name))),
            "%s_h=%s" % (role, shlex.quote(hexed(name))),
            "unnamed_%s() { %s; }" % (role, filter_of(name)),
        ]
    return "\n".join(lines) + "\n" + _SWAP


_SWAP = (
    r"""
trap '' INT TERM HUP
tables="TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"

# How much of everything a database holds. $1: its name as a literal.
tally() {
  sql --execute="
    SELECT TABLE_TYPE, COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = $1 GROUP BY 1 ORDER BY 1;
    SELECT 'triggers', COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = $1;
    SELECT ROUTINE_TYPE, COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = $1 GROUP BY 1 ORDER BY 1;
    SELECT 'events', COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = $1"
}
# What moves all tables of one database to another: a list for RENAME TABLE. Both names as literals.
moves() {
  sql --raw --execute="SET SESSION group_concat_max_len = 1073741824;
    SELECT GROUP_CONCAT($(bq TABLE_SCHEMA), '.', $(bq TABLE_NAME), ' TO ', $(bq "$2"), '.', $(bq TABLE_NAME)
      SEPARATOR ', ')
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = $1 AND $tables HAVING COUNT(*) > 0"
}
# Remove what does not move: triggers, or with \"all\" views, routines and events as well.
clear() {
  {
    printf 'SET foreign_key_checks = 0;\n'
    sql --raw --execute="SELECT CONCAT('DROP TRIGGER ', $(bq TRIGGER_SCHEMA), '.', $(bq TRIGGER_NAME), ';')
      FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = $1"
    if [ "$2" = all ]; then
      sql --raw --execute="SELECT CONCAT('DROP VIEW ', $(bq TABLE_SCHEMA), '.', $(bq TABLE_NAME), ';')
          FROM information_schema.TABLES WHERE TABLE_SCHEMA = $1 AND TABLE_TYPE = 'VIEW';
        SELECT CONCAT('DROP ', ROUTINE_TYPE, ' ', $(bq ROUTINE_SCHEMA), '.', $(bq ROUTINE_NAME), ';')
          FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = $1 AND ROUTINE_TYPE <> 'PACKAGE BODY';
        SELECT CONCAT('DROP EVENT ', $(bq EVENT_SCHEMA), '.', $(bq EVENT_NAME), ';')
          FROM information_schema.EVENTS WHERE EVENT_SCHEMA = $1"
    fi
  } | sql
}
# The definitions of what does not move, as statements for another database. $1: `staging` or `outline`.
objects() {
  local name=$1 literal=$1_h hex view views=()
  name=${!name} literal=${!literal}
  sql --execute="SELECT CONCAT('ALTER DATABASE CHARACTER SET = ', DEFAULT_CHARACTER_SET_NAME, ' COLLATE = ',
    DEFAULT_COLLATION_NAME, ';') FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = $literal"
  events "$literal"
  dumped --no-create-info --no-data --skip-triggers --routines --skip-events -- "$name" | "unnamed_$1"
  while read -r hex; do
    printf -v view '%b' "$(printf '%s' "$hex" | sed 's/../\\x&/g')"
    views+=("$view")
  done < <(sql --execute="SELECT HEX(TABLE_NAME) FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = $literal AND TABLE_TYPE = 'VIEW'")
  [ ${#views[@]} -eq 0 ] || dumped --no-data --skip-triggers -- "$name" "${views[@]}" | "unnamed_$1"
  triggers "$literal"
}
"""
    r"""
# The three beside the target are ours; whatever is in them is not needed any more.
sweep() {
  sql --execute="SET foreign_key_checks = 0; DROP DATABASE IF EXISTS $staging_q; DROP DATABASE IF EXISTS $outline_q;
    DROP DATABASE IF EXISTS $kept_q"
}
fail() {
  echo "cyborg: $1" >&2
  exit 1
}
# Whether the tables have changed places.
moved() { [ -n "$(moves "$kept_h" "$target_h")" ] || { [ -n "$new" ] && [ -z "$(moves "$staging_h" "$target_h")" ]; }; }
touched=no
old='' new=''
undo() {
  trap - EXIT
  set +e
  if [ $touched = no ]; then
    sweep
    exit 4
  fi
  echo "cyborg: what was there is put back" >&2
  # Not in a condition: bash would go on after an error in it.
  (
    set -e
    if moved; then
      clear "$target_h" triggers
      back=$(set -e; moves "$target_h" "$staging_h")
      again=$(set -e; moves "$kept_h" "$target_h")
      printf 'SET foreign_key_checks = 0; RENAME TABLE %s;\n' "$back${back:+${again:+, }}$again" | sql
    fi
    clear "$target_h" all
    objects outline | sql -- "$target"
    [ "$(tally "$target_h")" = "$(tally "$outline_h")" ]
    sweep
  )
  [ $? = 0 ] || exit 6
  exit 5
}
trap undo EXIT

# Of the old one, all but its rows; and of the new one what does not move.
read -r charset collation < <(sql --execute="SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME
  FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = $target_h")
sql --execute="CREATE DATABASE $outline_q CHARACTER SET $charset COLLATE $collation; CREATE DATABASE $kept_q"
{
  events "$target_h"
  dumped --no-data --skip-triggers --routines --skip-events -- "$target" | unnamed_target
  triggers "$target_h"
} | sql -- "$outline"
[ "$(tally "$outline_h")" = "$(tally "$target_h")" ] || fail 'the old database cannot be described whole'
wanted=$(tally "$staging_h")
definitions=$(set -e; objects staging)
clear "$staging_h" triggers

touched=yes
clear "$target_h" triggers
old=$(set -e; moves "$target_h" "$kept_h")
new=$(set -e; moves "$staging_h" "$target_h")
if [ -n "$old$new" ]; then
  printf 'SET lock_wait_timeout = 120, foreign_key_checks = 0; RENAME TABLE %s;\n' "$old${old:+${new:+, }}$new" | sql
fi
clear "$target_h" all
printf '%s\n' "$definitions" | sql -- "$target"
[ "$(tally "$target_h")" = "$wanted" ] || fail 'not everything came into its place'
trap - EXIT
sweep || echo "cyborg: leftovers stay" >&2
"""
)
