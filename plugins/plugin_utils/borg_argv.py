# SPDX-License-Identifier: GPL-3.0-or-later
"""How Borg (1.2 to 1.4) is called: argument lists and environment, made of parts. Pure.

The repository is named by ``BORG_REPO``, never on the command line, which every archive keeps a copy of. Options come
first, ``--`` before what is a name, and every path that Borg could read as a pattern gets a style of its own.
"""

from __future__ import annotations

import re
import shlex

STYLES = {"path": "pp", "shell": "sh", "fnmatch": "fm", "regex": "re"}
ENCRYPTIONS = (
    "repokey-blake2",
    "repokey",
    "keyfile-blake2",
    "keyfile",
    "authenticated-blake2",
    "authenticated",
    "none",
)
#: Seconds between two checkpoints of a long backup; a client cannot lose more than that to a broken line.
CHECKPOINT = 1800
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
#: No braces: Borg would put something in their place.
_ARCHIVE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+@-]{0,250}")
#: Characters of the name of an archive that somebody else made.
LONGEST = 300
#: What a stream is called in its archive: what every shell, file system and person can take.
_STREAM = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@._+-]*(/[A-Za-z0-9@][A-Za-z0-9@._+-]*)*")
_COMPRESSION = re.compile(r"(auto,)?(none|lz4|zstd(,\d{1,2})?|zlib(,\d)?|lzma(,\d)?)")


class BadArgument(ValueError):
    """A value that Borg must not be given."""


def common(command, lock_wait):
    """The beginning of every call. `command` may be of two words ("key export")."""
    return ["borg", *command.split(" "), "--log-json", "--lock-wait", str(int(lock_wait))]


def archive(name):
    """An archive of the repository in ``BORG_REPO``."""
    if not isinstance(name, str) or not _ARCHIVE.fullmatch(name):
        raise BadArgument(
            "%r cannot be an archive's name: it begins with a letter or digit and holds letters, digits and . _ : + @ -"
            % name
        )
    return "::" + name


def nameable(name):
    """True for an archive's name that can be shown and asked for: Borg itself takes any text without a slash."""
    return isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable() and "/" not in name


def existing(name):
    """An archive that is there: anybody may have made it, with letters that mean something to Borg."""
    if not nameable(name):
        raise BadArgument(
            "%r cannot be asked for as an archive: a name holds up to %d letters that can be printed, and no slash"
            % (name, LONGEST)
        )
    return "::" + _literal(name)


def _literal(name):
    # Braces would be placeholders.
    return name.replace("{", "{{").replace("}", "}}")


def exclude(value):
    """One exclude: a text is an exact path and all below it; a mapping has a style and a pattern."""
    if isinstance(value, str):
        style, pattern = "path", value
    elif hasattr(value, "get"):
        style, pattern = value.get("style", "path"), value.get("pattern", value.get("path"))
    else:
        style, pattern = None, None
    if style not in STYLES or not isinstance(pattern, str) or not pattern or "\0" in pattern:
        raise BadArgument(
            "%r cannot be an exclude: give a path, or a mapping of style (%s) and pattern" % (value, ", ".join(STYLES))
        )
    if style == "path" and not pattern.startswith("/"):
        raise BadArgument(
            "the exclude %r is not a full path; for patterns give a mapping of style and pattern" % pattern
        )
    return "%s:%s" % (STYLES[style], pattern)


def create(
    name, *, lock_wait, compression="", timestamp="", upload_ratelimit=0, excludes=(), one_file_system=False,
    exclude_caches=False, exclude_nodump=False, dry_run=False,
):  # fmt: skip
    """`borg create`, to which the paths are to be appended; and the position where further options may go.

    Folders and troublesome files (`--list --filter`) are named one by one, so that each source can be seen to have
    come; listing the folders of /usr costs no measurable time.
    """
    argv = common("create", lock_wait)
    argv += ["--dry-run", "--list"] if dry_run else ["--json", "--progress", "--list"]
    argv += ["--filter", "ECd-"] if dry_run else ["--filter", "ECd"]
    argv += _how(compression, timestamp, upload_ratelimit)
    argv += ["--one-file-system"] if one_file_system else []
    argv += ["--exclude-caches"] if exclude_caches else []
    argv += ["--exclude-nodump"] if exclude_nodump else []
    for value in excludes:
        argv += ["--exclude", exclude(value)]
    return [*argv, "--", archive(name)], len(argv)


def stream(name, file, command, *, lock_wait, compression="", timestamp="", upload_ratelimit=0):
    """`borg create` of what a command prints, as the one file of an archive. A command that fails leaves no archive.

    No file is looked at, so the files cache of other backups is left alone: it would age their entries away.
    """
    if not isinstance(file, str) or not _STREAM.fullmatch(file) or ".." in file.split("/"):
        raise BadArgument("%r cannot be the name of a stream in an archive" % file)
    argv = [*common("create", lock_wait), "--json", "--progress", "--files-cache", "disabled"]
    argv += _how(compression, timestamp, upload_ratelimit)
    return [*argv, "--stdin-name", file, "--content-from-command", "--", archive(name), *command]


def _how(compression, timestamp, upload_ratelimit):
    """What all archives are made with."""
    argv = []
    if compression:
        if not _COMPRESSION.fullmatch(str(compression)):
            raise BadArgument("the compression %r is not known to Borg" % compression)
        argv += ["--compression", str(compression)]
    if timestamp:
        if not _TIMESTAMP.fullmatch(str(timestamp)):
            raise BadArgument("the time %r is not of the form 2031-12-31T23:59:59" % timestamp)
        argv += ["--timestamp", str(timestamp)]
    if upload_ratelimit:
        argv += ["--upload-ratelimit", str(int(upload_ratelimit))]
    return [*argv, "--checkpoint-interval", str(CHECKPOINT)]


def init(*, lock_wait, encryption, append_only=False, storage_quota=0):
    """`borg init`."""
    if encryption not in ENCRYPTIONS:
        raise BadArgument("the encryption %r is not known; choose one of %s" % (encryption, ", ".join(ENCRYPTIONS)))
    argv = [*common("init", lock_wait), "--encryption", encryption, "--make-parent-dirs"]
    argv += ["--append-only"] if append_only else []
    argv += ["--storage-quota", str(int(storage_quota))] if storage_quota else []
    return argv


def archives(*, lock_wait, name=None, checkpoints=False):
    """`borg list` of all archives, or of those of one name. Needs no cache."""
    argv = [*common("list", lock_wait), "--json"]
    argv += ["--consider-checkpoints"] if checkpoints else []
    if name is not None:
        # Letters that would stand for others become a set of one.
        argv += ["--glob-archives", re.sub(r"([*?[])", r"[\1]", existing(name)[2:])]
    return argv


def beginning(name, *, lock_wait):
    """`borg list` of the archives whose names begin so, with the command line that made each. Needs no cache."""
    argv = [*common("list", lock_wait), "--json", "--format", "{command_line}"]
    return [*argv, "--glob-archives", archive(name)[2:] + "*"]


def entries(name, *, lock_wait):
    """`borg list` of what an archive holds: type, size and path of each, with NUL at the end. Needs no cache."""
    return [*common("list", lock_wait), "--format", "{type} {size} {bpath}{NUL}", "--", archive(name)]


def sources_of(command_line, name):
    """The paths that a `create` of ours was given, as its archive has it; none for one of what a command prints."""
    words = command_line if isinstance(command_line, list) else []
    if "--content-from-command" in words or "::" + name not in words:
        return []
    return [str(word) for word in words[words.index("::" + name) + 1 :]]


def delete(names, *, lock_wait):
    """`borg delete` of archives by their exact names; their data stays until a compact."""
    if not names:
        # Without one Borg would delete the whole repository.
        raise BadArgument("no archive is named that is to be deleted")
    first, *others = [archive(name) for name in names]
    return [*common("delete", lock_wait), "--list", "--", first, *(name[2:] for name in others)]


def compact(*, lock_wait):
    """`borg compact`: what was deleted is gone for good, and its space free."""
    return [*common("compact", lock_wait), "--info"]


#: What `borg check` is asked for, by what part of a vault is gone through. Never a repair.
PARTS = {
    "repository": ("--repository-only",),
    "archives": ("--archives-only",),
    # Borg reads all chunks then, whichever archives are named.
    "data": ("--archives-only", "--verify-data"),
}


def check(part, *, lock_wait, max_duration=0):
    """`borg check` of one part. A repository's may end after some seconds, and goes on from there the next time.

    What it found is said in words only (on the level of information), and the words are what counts.
    """
    argv = [*common("check", lock_wait), "--info", "--progress", *PARTS[part]]
    if max_duration:
        if part != "repository":
            raise BadArgument("only the check of a repository can be broken off and go on later")
        argv += ["--max-duration", str(int(max_duration))]
    return argv


def identity(*, lock_wait):
    """The repository's id and encryption, without a look at its archives (`borg info` would fill the cache first)."""
    return [*common("list", lock_wait), "--json", "--last", "1"]


def key_export(*, lock_wait):
    """The repository's key, on standard output."""
    return common("key export", lock_wait)


def change_passphrase(*, lock_wait):
    """Seals the repository's key with another passphrase; the data stays as it is."""
    return common("key change-passphrase", lock_wait)


#: BORG_PASSCOMMAND for that: Borg calls it once for the old passphrase and once for the new one, and each call takes a
#: line of what is on Borg's own stdin. The new one comes to Borg in no other way but its environment or a terminal.
#: Where there is no line it fails, and so does Borg: else the new passphrase would be an empty one.
A_LINE = "sh -c " + shlex.quote('IFS= read -r line && printf "%s\\n" "$line"')


def holds(name, path, *, lock_wait):
    """`borg list` of what an archive holds at a path."""
    return [*common("list", lock_wait), "--format", "{type}{NL}", "--", existing(name), "pp:" + path]


def extract(name, paths, *, lock_wait, dry_run=False, numeric_ids=False):
    """`borg extract` into the current folder. Each path is itself and all below it, whatever letters are in it."""
    argv = common("extract", lock_wait)
    # What is nothing but zeros becomes a hole: else a disk image that was sparse may not fit any more.
    argv += ["--dry-run", "--list"] if dry_run else ["--progress", "--sparse"]
    argv += ["--numeric-ids"] if numeric_ids else []
    return [*argv, "--", existing(name), *("pp:" + inside(path) for path in paths)]


def contents(name, *, lock_wait):
    """`borg list` of what is in an archive: a JSON object a line, with type, path and size."""
    return [*common("list", lock_wait), "--json-lines", "--", existing(name)]


#: What is told of each entry in a listing, TAB between its fields and two behind it. The first is the beginning of the
#: archive's id: so each entry shows that it is of this one. `!a` is Python's `ascii()`: no byte of a name is lost
#: (everything else that Borg lists has a "?" for what is no UTF-8), and none is a control character, so also no TAB.
#: No newline anywhere, at which Borg would write out what it has: for a million entries, half the time.
ENTRY = (
    "{archiveid:.16}{TAB}{size}{TAB}{isomtime}{TAB}{bpath!a}{TAB}{source!a}{TAB}"
    "{type}{mode}{TAB}{uid}{TAB}{gid}{TAB}{user!a}{TAB}{group!a}{TAB}{TAB}"
)


def contents_of(name, *, lock_wait):
    """`borg list` of all that is in an archive, each entry as `ENTRY` says. Needs no cache."""
    return [*common("list", lock_wait), "--format", ENTRY, "--", existing(name)]


def extract_stream(name, file, *, lock_wait):
    """`borg extract` of one file to the standard output."""
    return [*common("extract", lock_wait), "--stdout", "--", existing(name), "pp:" + inside(file)]


def owners(name, paths, *, lock_wait):
    """`borg list` of whose each entry is: uid, gid, account, group, path, with tabs between them and NUL at the end."""
    form = "{uid}{TAB}{gid}{TAB}{user}{TAB}{group}{TAB}{bpath}{NUL}"
    argv = [*common("list", lock_wait), "--format", form, "--", existing(name)]
    return [*argv, *("pp:" + inside(path) for path in paths)]


def listed(name, paths, *keys, lock_wait):
    """`borg list` of some of what is known of each entry, with tabs between, then whether it is a link (one letter of
    what it links to), its path, and NUL at the end."""
    form = "".join("{%s}{TAB}" % key for key in keys) + "{source:.1}{TAB}{bpath}{NUL}"
    argv = [*common("list", lock_wait), "--format", form, "--", existing(name)]
    return [*argv, *("pp:" + inside(path) for path in paths)]


def inside(path):
    """A path as archives hold it: without the slash at its beginning."""
    if not isinstance(path, str) or "\0" in path:
        raise BadArgument("%r cannot be a path" % path)
    found = path.strip("/")
    if not found or ".." in found.split("/"):
        raise BadArgument("%r cannot be restored as a path; leave the paths out to restore the whole archive" % path)
    return found


def environment(repository, *, base_dir="", files_cache_suffix="", pinned=False, auth_sock="", user_site=True):
    """The variables of every call.

    A repository whose id is pinned may have moved: its id is compared after each call, which says more than the
    address that Borg remembers. Without a pin Borg's own question stands, and is answered "no" by nobody being there.
    """
    found = {"BORG_REPO": repository, "BORG_EXIT_CODES": "modern"}
    if pinned:
        found["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
    if base_dir:
        found["BORG_BASE_DIR"] = base_dir
    if files_cache_suffix:
        # Else each policy would age the entries of the others away (20 runs, and all is read again).
        found["BORG_FILES_CACHE_SUFFIX"] = files_cache_suffix
    if auth_sock:
        found["SSH_AUTH_SOCK"] = auth_sock
    if not user_site:
        # Nothing that lies in a home folder becomes a part of Borg.
        found["PYTHONNOUSERSITE"] = "1"
    return found


#: Where the end of the connection and what ssh said before it come at once, Borg looks at the end only: without its
#: words nobody knows whether the key was refused, the host unknown or the net down. So an ssh that failed ends late.
SSH = 'ssh "$@"; c=$?; [ $c -ne 255 ] || sleep 1; exit $c'


def remote_shell(*, key="", known_hosts=False, connect_timeout=10):
    """BORG_RSH, in which "{job}" is the job's folder; and with a key nothing of the account's own ssh set-up.

    :param key: path of a private key; "" for the account's own set-up
    :param known_hosts: True if there is a file of that name in the job's folder
    """
    argv = ["sh", "-c", SSH, "ssh"]
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(int(connect_timeout)),
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "30",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "RequestTTY": "no",
    }
    if key:
        argv += ["-F", "none", "-i", key]
        options.update({"IdentitiesOnly": "yes", "ControlMaster": "no", "ControlPath": "none"})
    if known_hosts:
        options.update(
            {
                "StrictHostKeyChecking": "yes",
                "UserKnownHostsFile": "{job}/known_hosts",
                "GlobalKnownHostsFile": "/dev/null",
                "UpdateHostKeys": "no",
                "VerifyHostKeyDNS": "no",
                "CheckHostIP": "no",
                # A connection that somebody else opened was checked against somebody else's keys.
                "ControlMaster": "no",
                "ControlPath": "none",
            }
        )
    argv += [part for name, value in options.items() for part in ("-o", "%s=%s" % (name, value))]
    return " ".join(shlex.quote(part) if "{job}" not in part else part for part in argv)
