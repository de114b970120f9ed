# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that bring a PostgreSQL database back, and what of an archive of roles is to be applied. Pure.

A database is always loaded under a name of ours (`LOADING`), and takes its own when it is whole: whatever is killed, no
half of one bears a name that somebody trusts. Where it takes the place of another one, both are renamed in one
transaction.
"""

from __future__ import annotations

import json
import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.postgresql import PRELUDE

#: What a database is called while it is loaded, before the number of its job.
LOADING = "cyborg_loading_"


def _script(text):
    return PRELUDE + _SQL + text


#: `sql` speaks to a database that is neither the one that is made nor the one that is replaced.
_SQL = r"""
maintenance=postgres
[ "${TARGET-}" != postgres ] || maintenance=template1
sql() {
    PGDATABASE=$maintenance ask -v loading="${LOADING-}" -v target="${TARGET-}" -v before="${BEFORE-}" "$@"
}
# Nobody may be in a database that is dropped or renamed.
alone="select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname ="
# gone VARIABLE: drops the database of that name. A session that is ending, or a checkpoint that fails on a full disk,
# may stand in its way for a while; a drop that was cut off can be repeated.
gone() {
    for turn in 1 2 3 4 5; do
        ! printf '%s\n' "$alone :'$1' \g /dev/null" "drop database if exists :\"$1\";" | sql 2> "$job/kept" || return 0
        sleep "$turn"
    done
    cat "$job/kept" >&2
    return 1
}
"""

_LOOK = _script(r"""
sql <<'SQL'
select json_build_object(
    'version', current_setting('server_version_num')::int,
    'there', exists (select from pg_database where datname = :'target'),
    'roles', (select json_agg(quote_ident(rolname)) from pg_roles),
    'left', (select json_agg(datname order by datname) from pg_database
        where datname like 'cyborg\_loading\_%' and datname <> :'loading'));
SQL
""")

_LOAD = _script(r"""
# Its table of contents stands first, however long it is: as much is kept as that takes.
: > "$job/head"
pieces=1
until pg_restore -C --list "$job/head" > "$job/contents" 2> "$job/said"; do
    before=$(wc -c < "$job/head")
    dd bs=1M count="$pieces" iflag=fullblock status=none >> "$job/head"
    [ "$(wc -c < "$job/head")" -gt "$before" ] || { cat "$job/said" >&2; fail 'no dump'; }
    pieces=$((pieces * 2))
done
if [ "$OWNERS" = yes ]; then
    with=
    # An owner stands last in its line, which has no other end.
    sql -c 'select rolname from pg_roles' > "$job/roles"
    pg_restore -s -f "$job/rights" -L <(grep -E '^[0-9]+; [0-9]+ [0-9]+ (DEFAULT )?ACL ' "$job/contents") "$job/head"
    missing=$({
        awk 'NR == FNR { role[$0]; next } !/^[0-9]/ || / $/ { next }
            { rest = $0; while (sub(/^[^ ]* /, "", rest)) if (rest in role) next; print $NF }
        ' "$job/roles" "$job/contents"
        sql -c "select quote_ident(rolname) from pg_roles union all values ('PUBLIC')" > "$job/quoted"
        sed -nE 's/^(GRANT|ALTER DEFAULT PRIVILEGES) .* TO (.*);$/\2/p' "$job/rights" | sed 's/ WITH GRANT OPTION$//' |
            grep -vxFf "$job/quoted" || true
    } | sort -u | head -n 10 | paste -sd ' ')
    [ -z "$missing" ] || fail "no such roles: $missing"
else
    with='--no-owner --no-acl --no-tablespaces'
fi

# The statement that made the database, and those that set it up, under the other name.
name=$(sed -n 's/^;     dbname: //p' "$job/contents" | head -n 1)
quoted=\"${name//\"/\"\"}\"
pg_restore -C -s $with -f "$job/create" -L <(
    grep -E '^[0-9]+; [0-9]+ [0-9]+ (DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) ' \
        "$job/contents"
) "$job/head"
made=$(grep -vE '^(\\|--|SET |SELECT pg_catalog\.set_config|$)' "$job/create")
made=${made//"DATABASE $quoted "/"DATABASE $LOADING "}
made=${made//"DATABASE $name "/"DATABASE $LOADING "}
create=$(grep -m 1 '^CREATE DATABASE ' <<< "$made")
[[ $create == "CREATE DATABASE $LOADING "* ]] || fail "no such name in the dump: $name"
gone loading
sql <<< "$create"

cat "$job/head" - | as pg_restore -w --exit-on-error $with -d "$LOADING"
sed '/^CREATE DATABASE /d' <<< "$made" | sql
# Without statistics it is whole, but slow.
PGDATABASE=$LOADING ask -c analyze || echo 'not analyzed'
""")

#: Takes the name. An old one is kept under another until the new one has its place.
_SWAP = _script(r"""
for turn in 1 2 3 4 5; do
    if {
        if [ "$REPLACES" = yes ]; then
            echo "$alone :'target' \\g /dev/null"
            echo 'begin; alter database :"target" rename to :"before";'
            echo 'alter database :"loading" rename to :"target"; commit;'
        else
            echo 'alter database :"loading" rename to :"target";'
        fi
    } | sql 2> "$job/said"; then
        # Nobody trusts it any more; where it cannot go now, it is told.
        [ "$REPLACES" != yes ] || gone before || echo kept
        exit 0
    fi
    # Somebody came in meanwhile: the only thing that another turn helps against.
    grep -q 'other users\|other session' "$job/said" || break
done
cat "$job/said" >&2
exit 1
""")

_DROP = _script("gone loading\n")
_ROLES = _script('sql --single-transaction < "$STATEMENTS"\n')

look, loaded, swapped, dropped, applied = _LOOK, _LOAD, _SWAP, _DROP, _ROLES

#: What stands before names of roles on stderr.
NO_ROLES = "cyborg: no such roles:"
_NOT_THEIRS = (
    "grants_missing",
    "The user may not give things to their owners. Restore as a superuser, or set owners to false.",
)
#: {sign on stderr: (code, sentence)} of what goes wrong while it is loaded.
SAYS = {
    "cyborg: no dump": ("load_failed", "The archive holds no dump of a database."),
    "cyborg: no such name": (
        "load_failed", "The dump does not say which database it is of, so its settings cannot be taken over.",
    ),
    "No space left on device": ("client_full", "The disk of the server is full; nothing was kept."),
    "permission denied to create database": (
        "grants_missing",
        "The user may not make a database. Restore as a superuser, or run on the server: ALTER ROLE … CREATEDB.",
    ),
    "must be able to SET ROLE": _NOT_THEIRS,
    "must be member of role": _NOT_THEIRS,
}  # fmt: skip

_MADE = re.compile(r"CREATE ROLE (.+);")
_SETS = re.compile(r'ALTER ROLE ("(?:[^"]|"")+"|[^ ]+) (?:WITH|SET|IN DATABASE) ')
_SAYS = re.compile(r'COMMENT ON ROLE ("(?:[^"]|"")+"|[^ ]+) IS ')
_GIVES = re.compile(r'GRANT ("(?:[^"]|"")+"|[^ ]+) TO ("(?:[^"]|"")+"|[^ ]+?)(?: WITH .*?)?( GRANTED BY (.+))?;')
_SPACE = re.compile(r"CREATE TABLESPACE ([^;]+?) OWNER ")


def looked(out):
    """The answer about the server: a dict. Raises `Failure`."""
    try:
        told = json.loads(out)
        return {
            "there": bool(told["there"]),
            "roles": frozenset(map(str, told["roles"] or ())),
            "left": [str(name) for name in told["left"] or ()],
        }
    except (ValueError, KeyError, TypeError) as problem:
        raise Failure("unparsable", "PostgreSQL's answer cannot be read: %s" % problem) from problem


def missing_roles(text, there):
    """What of an archive of roles is to be applied where the roles in `there` (as SQL writes them) are already.

    Gives (statements, roles that are made, tablespaces that the archive has). A role that is there is left alone; of
    memberships those come that a new role is in. Who granted them is not said again: it may be somebody else there.
    """
    lines = _statements(text)
    made = [found[1] for found in map(_MADE.fullmatch, lines) if found and found[1] not in there]
    new, taken = frozenset(made), []
    for line in lines:
        found = _MADE.fullmatch(line) or _SETS.match(line) or _SAYS.match(line)
        if found:
            taken += [line] if found[1] in new else []
            continue
        gives = _GIVES.fullmatch(line)
        if gives and gives[2] in new:
            taken.append(line[: gives.start(3)] + ";" if gives[3] else line)
    spaces = [found[1] for found in map(_SPACE.match, lines) if found]
    return "".join(line + "\n" for line in taken), made, spaces


def _statements(text):
    """The statements of such an archive. A comment, a name or a password in it may have line breaks."""
    found, open_ = [], ""
    for line in text.splitlines():
        if not open_ and (not line.strip() or line.startswith(("--", "\\", "SET "))):
            continue
        open_ += line
        # Outside of quotes: an even number of each, as quotes in quotes are doubled.
        bare = re.sub(r'"[^"]*"', "", re.sub(r"'[^']*'", "", open_))
        if line.endswith(";") and not re.search(r"['\"]", bare):
            found.append(open_)
            open_ = ""
        else:
            open_ += "\n"
    return found
