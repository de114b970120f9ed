# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PostgreSQL server holds, and the scripts that dump it. Pure.

A database's dump is of the custom format, not compressed: any one can be restored alone, roles and all, and it changes
between two days no more than its data did (benchmarks/README.md). Before it is made, a transaction of ours asks what it
must hold and shares its snapshot, so that both see the same moment. The list is compared with the dump's table of
contents, and the dump is read to its end, by the program that would restore it.
"""

from __future__ import annotations

import difflib
import json

from ansible_collections.cyborg.backup.plugins.module_utils.agent import source_of
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.postgresql import OLDEST, PRELUDE

#: Holds for objects that somebody made, and no extension brought.
_THEIRS = """
    n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (
        select from pg_depend d where d.classid = '{catalog}'::regclass and d.objid = {object}.oid
            and d.deptype in ({how}))
"""
_RELATIONS = """from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and c.relpersistence <> 't' and """ + _THEIRS.format(
    catalog="pg_class", object="c", how="'e'"
)
_ROUTINES = "from pg_proc p join pg_namespace n on n.oid = p.pronamespace where " + _THEIRS.format(
    catalog="pg_proc", object="p", how="'e', 'i'"
)


def _script(text):
    return PRELUDE + text.replace("@relations@", _RELATIONS).replace("@routines@", _ROUTINES)


#: Asked of a database that everybody can enter: which others there are. One of these may be closed to us.
_CLUSTER = _script(r"""
cat > "$job/question" <<'SQL'
select json_build_object(
    'version', current_setting('server_version_num')::int,
    'user', current_user,
    'passwords', has_table_privilege('pg_authid', 'select'),
    'roles', (select count(*) from pg_roles where rolname !~ '^pg_'),
    'databases', (select json_agg(json_build_object(
        'name', datname, 'template', datistemplate, 'open', datallowconn and datconnlimit <> -2) order by datname)
        from pg_database));
SQL
for PGDATABASE in postgres template1 ${FIRST:+"$FIRST"}; do
    export PGDATABASE
    if answer=$(ask < "$job/question" 2> "$job/said"); then
        printf '%s\n' "$answer"
        exit 0
    fi
    [ -e "$job/first" ] || cp "$job/said" "$job/first"
    # Only what is about this one database may be otherwise with the next.
    grep -qF "\"$PGDATABASE\"" "$job/said" || break
done
cat "$job/first" >&2
exit 1
""")

#: One line for each of D0, D1, …: t, f, or ? where it cannot be asked.
_HOLDS = _script(r"""
cat > "$job/question" <<'SQL'
select exists (select @relations@) or exists (select @routines@) or exists (select from pg_largeobject_metadata);
SQL
for ((number = 0; number < COUNT; number++)); do
    name=D$number
    PGDATABASE=${!name}
    export PGDATABASE
    ask < "$job/question" 2>/dev/null || echo '?'
done
""")

_DATABASE = _script(r"""
mkfifo "$job/ask" "$job/answer" "$job/contents" "$job/whole"
ask < "$job/ask" > "$job/answer" &
asked=$!
exec 5> "$job/ask" 4< "$job/answer"
cat >&5 <<'SQL'
set statement_timeout = 0;
set idle_in_transaction_session_timeout = 0;
begin isolation level repeatable read read only;
select pg_export_snapshot();
-- What a table of contents calls it by: the catalogue's oid and its own; then how people do.
select format(E'%s\t%s', key, translate(kind || ' ' || name, E'\n\r\t', '   ')) from (
    select '1259 ' || c.oid as key,
        case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end as kind,
        n.nspname || '.' || c.relname as name @relations@
    union all select '0 ' || c.oid, 'the rows of', n.nspname || '.' || c.relname @relations@ and c.relkind = 'r'
    union all select '1255 ' || p.oid, 'routine', n.nspname || '.' || p.proname @routines@
    union all select 'BLOBS', 'large', 'objects' where exists (select from pg_largeobject_metadata)
    union all select 'SUBSCRIPTION', 'its', 'subscriptions (only a superuser''s dump has them)' where exists (
        select from pg_subscription where subdbid = (select oid from pg_database where datname = current_database()))
) as must order by key;
select 'end';
SQL
IFS= read -r snapshot <&4 || { wait "$asked"; exit 1; }
line=
while IFS= read -r line <&4 && [ "$line" != end ]; do printf '%s\n' "$line"; done > "$job/must"
[ "$line" = end ] || { wait "$asked"; exit 1; }
[ -s "$job/must" ] || [ "$ALLOW_EMPTY" = yes ] || fail 'holds nothing'

# Debian's pg_restore is a program in Perl that looks for a server first. Reading needs none; the newest reads them all.
reader=pg_restore
case $(readlink -f "$(command -v pg_restore)") in
*/pg_wrapper) for found in $(ls -d /usr/lib/postgresql/*/bin/pg_restore | sort -V); do reader=$found; done ;;
esac
# Fewer turns of two processes: by themselves these programs read and write 4 KiB at a time.
wide=
if stdbuf -o 256K true 2> /dev/null; then wide='stdbuf -i 256K -o 256K'; fi
: > "$job/unreadable"
"$reader" --list < "$job/contents" > "$job/found" 2>> "$job/unreadable" &
listing=$!
$wide "$reader" -f /dev/null < "$job/whole" 2>> "$job/unreadable" &
reading=$!
# The filter itself makes the copies, as tee would copy each byte.
copied() { CYBORG_EXPECT='{"empty": true}' "$CYBORG_PYTHON" -I -S "$COPY" "$@"; }
as $wide pg_dump -w --format=custom --compress=0 --snapshot="$snapshot" | copied "$job/contents" "$job/whole" || {
    codes=("${PIPESTATUS[@]}")
    # Of two that fail, the first broke off; but a writer whose reader went away (141) is the second.
    [ "${codes[0]}" = 0 ] || [ "${codes[0]}" = 141 ] || exit "${codes[0]}"
    cat "$job/unreadable" >&2
    exit "${codes[1]}"
}
wait "$listing" && wait "$reading" || { cat "$job/unreadable" >&2; fail 'the dump cannot be read back'; }
missing=$(awk '
    NR == FNR { split($0, f, " "); if (f[1] ~ /^[0-9]+;$/) { seen[f[2] " " f[3]]; seen[f[4]] } next }
    { split($0, m, "\t"); if (!(m[1] in seen)) print m[2] }
' "$job/found" "$job/must" | head -n 5)
[ -z "$missing" ] || fail "not in the dump, though the server has it: $missing"
""")
_GLOBALS = _script("as pg_dumpall -w --globals-only $WITHOUT\n")
GLOBALS_END = "-- PostgreSQL database cluster dump complete"


def cluster():
    """The script that asks which databases there are; `understood` reads its answer. It wants FIRST, or not."""
    return _CLUSTER


def holds(names):
    """The script that asks which databases hold something, and its variables; `answered` reads its answer."""
    return _HOLDS, {"COUNT": str(len(names)), **{"D%d" % number: name for number, name in enumerate(names)}}


def dumped(name, *, allow_empty):
    """The script that dumps a database, its variables, and the programs it is to be given beside its secrets."""
    return _DATABASE, {"PGDATABASE": name, "ALLOW_EMPTY": "yes" if allow_empty else "no"}, {"COPY": source_of("guard")}


def globals_dumped(*, passwords):
    """The script that dumps roles and tablespaces, and its variables."""
    return _GLOBALS, {"WITHOUT": "" if passwords else "--no-role-passwords"}


def understood(out):
    """The answer about the cluster: a dict. Raises `Failure`."""
    try:
        told = json.loads(out)
        known = {
            "version": int(told["version"]),
            "user": str(told["user"]),
            "passwords": bool(told["passwords"]),
            "roles": int(told["roles"]),
            "databases": [
                {"name": str(one["name"]), "template": bool(one["template"]), "open": bool(one["open"])}
                for one in told["databases"]
            ],
        }
    except (ValueError, KeyError, TypeError) as problem:
        raise Failure("unparsable", "PostgreSQL's list of databases cannot be read: %s" % problem) from problem
    if known["version"] < OLDEST:
        raise Failure("unsupported", "The server is PostgreSQL %d; 10 is the oldest that can be backed up."
                      % (known["version"] // 10000))  # fmt: skip
    return known


def answered(out, names):
    """{name: True if it holds something}; one that could not be asked counts, so that its own dump says why."""
    lines = out.splitlines()
    if len(lines) != len(names):
        raise Failure("unparsable", "PostgreSQL was asked about %d databases and answered %d times."
                      % (len(names), len(lines)))  # fmt: skip
    return {name: line != "f" for name, line in zip(names, lines, strict=True)}


def absent(name, there):
    """The sentence about a database that is not there."""
    meant = difflib.get_close_matches(name, list(there), 1, 0.5)
    return "There is no database %s on the server. %s" % (
        name,
        "Did you mean %s?" % meant[0] if meant else "There are: %s." % ", ".join(sorted(there)),
    )


def chosen(known, names, leave_out):
    """(databases to dump, notes): those that were named, or all but templates. Raises `Failure`."""
    there = {one["name"]: one for one in known["databases"]}
    if names is not None:
        if leave_out:
            raise Failure(
                "bad_arguments", "Name the databases, or leave some out of all (leave_out); both together say nothing."
            )
        # One that is missing fails by itself, so that the others are made.
        if not any(name in there for name in names):
            raise Failure("source_missing", absent(names[0], there))
        return names, []
    notes = [
        "The database %s, which is to be left out, is not there." % name for name in leave_out if name not in there
    ]
    taken = []
    for name, one in there.items():
        if name in leave_out or name in ("template0", "template1"):
            continue
        if one["template"]:
            notes.append("The template %s was left out. Name it in databases to back it up." % name)
        elif not one["open"]:
            notes.append("The database %s lets nobody connect, so it was left out." % name)
        else:
            taken.append(name)
    return taken, notes


def refused(what, user):
    """{sign on stderr: (code, sentence)}, where the login may not read all of something."""
    lacks = (
        "grants_missing",
        "%s may not read all of %s, so there is no archive of it; the job's output says what. Run on the server: GRANT "
        'pg_read_all_data TO "%s"; for large objects, and before PostgreSQL 14, see the README of the role '
        "policy_postgresql." % (user, what, user.replace('"', '""')),
    )
    policy = (
        "grants_missing",
        "Row level security hides rows of %s from %s, so there is no archive of it. Run on the server: ALTER ROLE "
        '"%s" BYPASSRLS;' % (what, user, user.replace('"', '""')),
    )
    return {"row-level security": policy, "permission denied": lacks, "must be superuser": lacks}
