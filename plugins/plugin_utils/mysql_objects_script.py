# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions for scripts: what mariadb-dump prints so that it cannot be loaded, or cannot print at all. Pure.

Seen with 10.11: the events of a database with a quote in its name are not found; at an event with `;;` in it the
program goes round for ever; a trigger that was made as `shop.t` on `shop.orders` keeps those names; so does a view
whose definer is gone, or may not read its tables any more. Loaded into another database they would fail, or go back to
the one they came from.
"""

from __future__ import annotations

import shlex

from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import quoted


def filter_of(name):
    """A filter (a command) that takes a database's own name out of a dump of it."""
    pattern = "".join("\\" + letter if letter in r"\.*[]^$/" else letter for letter in quoted(name))
    pattern = pattern.replace("\n", "\\n")
    return "LC_ALL=C sed -e %s -e %s" % (
        shlex.quote("s/^ALTER DATABASE %s CHARACTER SET /ALTER DATABASE CHARACTER SET /" % pattern),
        shlex.quote(r"/^\/\*!50001 VIEW /s/%s\.//g" % pattern),
    )


#: Names are literals of SQL, `$1`. The client writes a tab between fields and `\t`, `\n`, `\\` in them; `\x1f` is put
#: in the tabs' place, as bash takes several tabs for one.
FUNCTIONS = r"""
bq() { printf "CONCAT('\`', REPLACE(%s, '\`', '\`\`'), '\`')" "$1"; }
fields() { tr '\t' '\037'; }
# What is in them keeps the collation that the database had when they were made; then the database has its own again.
own_collation() {
  sql --execute="SELECT CONCAT('ALTER DATABASE COLLATE = ', DEFAULT_COLLATION_NAME, ';')
    FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = $1"
}

events() {
  local name mode zone body letters collation database
  printf 'SET NAMES utf8mb4;\n'
  sql --raw --execute="SELECT CONCAT('SHOW CREATE EVENT ', $(bq EVENT_SCHEMA), '.', $(bq EVENT_NAME), ';')
    FROM information_schema.EVENTS WHERE EVENT_SCHEMA = $1" | sql | fields |
    while IFS=$'\x1f' read -r name mode zone body letters collation database; do
      printf -v name '%b' "$name"
      printf -v body '%b' "$body"
      printf '/*!50106 DROP EVENT IF EXISTS `%s` */;\n' "${name//\`/\`\`}"
      printf 'ALTER DATABASE COLLATE = %s;\n' "$database"
      printf 'SET @cyborg_mode = @@sql_mode, @cyborg_zone = @@time_zone;\n'
      printf "SET sql_mode = '%s', time_zone = '%s';\n" "$mode" "$zone"
      case $collation in utf8mb4*) printf 'SET collation_connection = %s;\n' "$collation" ;; esac
      printf 'DELIMITER //cyborg//\n%s //cyborg//\nDELIMITER ;\n' "$body"
      printf 'SET sql_mode = @cyborg_mode, time_zone = @cyborg_zone;\n'
    done
  own_collation "$1"
}

each_row='[Ff][Oo][Rr][[:space:]]+[Ee][Aa][Cc][Hh][[:space:]]+[Rr][Oo][Ww]'
definer='^CREATE[[:space:]]+(DEFINER=`([^`]|``)*`(@`([^`]|``)*`)?)'
order='^[[:space:]]*([Ff][Oo][Ll][Ll][Oo][Ww][Ss]|[Pp][Rr][Ee][Cc][Ee][Dd][Ee][Ss])'
order+='[[:space:]]+(`([^`]|``)*`|[^[:space:]]+)'
triggers() {
  local where name mode body letters collation database rest who
  printf 'SET NAMES utf8mb4;\n'
  sql --raw --execute="SELECT CONCAT('SELECT ', QUOTE(CONCAT(ACTION_TIMING, ' ', EVENT_MANIPULATION, ' ON ',
      $(bq EVENT_OBJECT_TABLE))), '; SHOW CREATE TRIGGER ', $(bq TRIGGER_SCHEMA), '.', $(bq TRIGGER_NAME), ';')
    FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = $1
    ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER" | sql | fields |
    while read -r where && IFS=$'\x1f' read -r name mode body letters collation database rest; do
      printf -v where '%b' "$where"
      printf -v name '%b' "$name"
      printf -v body '%b' "$body"
      [[ $body =~ $definer ]]
      who=${BASH_REMATCH[1]}
      [[ $body =~ $each_row ]]
      body=${body#*"${BASH_REMATCH[0]}"}
      if [[ $body =~ $order ]]; then body=${body#"${BASH_REMATCH[0]}"}; fi
      printf 'ALTER DATABASE COLLATE = %s;\n' "$database"
      printf "SET @cyborg_mode = @@sql_mode; SET sql_mode = '%s';\n" "$mode"
      case $collation in utf8mb4*) printf 'SET collation_connection = %s;\n' "$collation" ;; esac
      printf 'DELIMITER //cyborg//\n/*!50003 CREATE*/ /*!50017 %s*/ TRIGGER `%s` %s FOR EACH ROW %s //cyborg//\n' \
        "$who" "${name//\`/\`\`}" "$where" "$body"
      printf 'DELIMITER ;\nSET sql_mode = @cyborg_mode;\n'
    done
  own_collation "$1"
}
# How many triggers have a name with a dot before FOR EACH ROW.
qualified_triggers() {
  sql --raw --execute="SELECT CONCAT('SHOW CREATE TRIGGER ', $(bq TRIGGER_SCHEMA), '.', $(bq TRIGGER_NAME), ';')
    FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = $1" | sql | cut -f 3 |
    sed -E 's/[Ff][Oo][Rr]([[:space:]]|\\[nt])+[Ee][Aa][Cc][Hh].*//; s/@`([^`]|``)*`//' | { grep -c -F . || :; }
}
# How many views of the database $2 (and as a literal $1) show its own name, $3.
qualified_views() {
  sql --raw --execute="SELECT CONCAT('SHOW CREATE VIEW ', $(bq TABLE_NAME), ';') FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = $1 AND TABLE_TYPE = 'VIEW'" |
    { sql --force --raw -- "$2" || :; } | { grep -c -F -- "$3." || :; }
}
# A dump that is followed by something of ours has to have had its end.
ended() { LC_ALL=C awk '{ print } /^-- Dump completed/ { whole = 1 } END { exit !whole }'; }
"""
