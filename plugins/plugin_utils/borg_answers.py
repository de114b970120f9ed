# SPDX-License-Identifier: GPL-3.0-or-later
"""What Borg (1.2 to 1.4) answered: exit codes, message ids, JSON. Pure; what cannot be parsed is a failure.

`result` is what the agent tells of a command's end (README.md of the agent).
"""

from __future__ import annotations

import hashlib
import json
import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_messages import (
    ARCHIVES,
    CONNECTION,
    EXPECTED,
    FULL,
    LIMITS,
    MESSAGES,
    ON_THE_WAY,
    RESERVE,
)
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

_ID = re.compile(r"[0-9a-f]{64}")
#: How Borg before 1.4.5 says that a *repository* has no room: as if a file of the source could not be read.
_AS_IF_READ = re.compile(r"\[Errno 28\] No space left on device(: '[^']*')?$")
#: Where Borg itself writes on the host that it runs on, when it makes a backup.
_NEAR = re.compile(r"[/.]cache[/.]borg|\.config/borg|/cache/")
#: Warnings: 1 of old, 100 to 127 of the modern exit codes.
WARNING = frozenset({1, *range(100, 128)})


RESERVED = (
    "The file system that {repository} lies on is full up to the reserve that is kept there for prune and compact (the "
    "setting `reserve`). Let these make room, or make the disk larger; nothing was lost."
)


def texts_of(lines):
    """The messages in Borg's log lines, but for those that are always there; what is not JSON stands for itself."""
    return [text for text in _texts_of(lines) if not text.lstrip().startswith(EXPECTED)]


def _texts_of(lines):
    found = []
    for line in lines or ():
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if isinstance(message, dict):
            if message.get("type") == "log_message" and message.get("message"):
                found.append(str(message["message"]))
        elif str(line).strip():
            found.append(str(line).strip())
    return found


def check(result, repository, *, restores=False):
    """Nothing for an exit code that is success or a warning; else raises the `Failure` that the answer means.

    With `restores` Borg writes files of the host that it runs on: what a warning says of no room is of these, and for
    the caller to judge.
    """
    if result.get("exec_error"):
        raise Failure(
            "borg_missing",
            "Borg could not be started on the host (%s). Prepare the client again." % result["exec_error"],
        )
    if result.get("timed_out"):
        raise Failure("timeout", "Borg was not done within the time that the job has; it was ended.")
    if result.get("limit") in LIMITS:
        raise Failure("limit_reached", _filled(LIMITS[result["limit"]], repository, ""))
    rc, signal = result.get("rc"), result.get("signal")
    errors = [error for error in result.get("errors") or () if isinstance(error, dict)]
    said = [str(error.get("message")) for error in errors]
    around = texts_of(result.get("tail"))
    as_if_read = not restores and any(_AS_IF_READ.search(text) for text in around)
    if rc == 0 or (rc in WARNING and not signal and not as_if_read):
        return
    if any(sign in text for text in (*said, *around) for sign in FULL):
        raise _full(said, around, repository, restores)
    if any(RESERVE in text for text in around) and any("StorageQuotaExceeded" in str(e.get("msgid")) for e in errors):
        raise Failure("vault_full", _filled(RESERVED, repository, ""))
    kinds = {str(error.get("msgid") or "").rpartition(".")[2] for error in errors}
    if kinds & {"LockFailed", "LockFailedT", "Exception"} and any("Permission denied" in text for text in said):
        raise Failure(
            "become_failed",
            "The account that Borg runs as may not use %s (%s). Let it become root, or give it that folder."
            % (repository, _first_line(said[-1])),
        )
    for error in reversed(errors):
        code, sentence = _meant(str(error.get("msgid") or ""), said, around)
        if code:
            raise Failure(code, _filled(sentence, repository, _said(error, around)))
    if signal:
        raise Failure("borg_failed", "Borg was ended on the host by signal %s; nobody here asked for that." % signal)
    if any(text.startswith("usage: ") for text in around):
        raise Failure("bad_arguments", "Borg did not understand its arguments: %s" % around[-1])
    last = (said or around or ["it said nothing"])[-1]
    raise Failure("borg_failed", "Borg failed with exit code %s: %s" % (rc, _first_line(last)))


def _meant(msgid, said, around):
    last = msgid.rpartition(".")[2]
    if msgid in ARCHIVES:
        return ARCHIVES[msgid]
    if last in CONNECTION:
        for signs, code, sentence in ON_THE_WAY:
            if any(sign in text for text in around for sign in signs):
                return code, sentence
        return "unreachable", "The connection to the host of {repository} ended: {said}"
    return MESSAGES.get(last) or (None, None)


def _said(error, around):
    """The most telling line: what came from the far side, else the error itself."""
    remote = [text for text in around if text.startswith("Remote: ")]
    if remote and str(error.get("msgid") or "").rpartition(".")[2] in CONNECTION:
        return _first_line(remote[-1][len("Remote: ") :])
    return _first_line(str(error.get("message")))


def _first_line(text):
    if text.startswith("Traceback ") and "\n" in text:
        # What it comes to stands at its end, before what Borg adds on the machine it is on.
        text = text.partition("\nPlatform: ")[0].rstrip().rpartition("\n")[2]
    return next((line.strip() for line in text.splitlines() if line.strip()), text)[:600]


def _filled(sentence, repository, said):
    return sentence.replace("{repository}", repository).replace("{said}", said)


def _full(said, around, repository, restores):
    everything = "\n".join((*said, *around))
    remote = repository.startswith("ssh://")
    # The far side's disk shows in its own words; the near one's in files of Borg's cache.
    far = "Remote" in everything or "Borg server" in everything
    near = repository not in everything if restores else _NEAR.search(everything)
    if not far if remote else near:
        return Failure("client_full", "A disk of the host where Borg runs is full (its cache, or what it writes).")
    return Failure(
        "vault_full",
        "The file system that %s lies on is full. Let prune and compact make room, or make it larger; nothing was lost."
        % repository,
    )


def parsed(text, what):
    """JSON of Borg's, an object. Raises `Failure` (``unparsable``)."""
    try:
        value = json.loads(text or "")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Failure("unparsable", "Borg's answer to %s cannot be read: %r" % (what, (text or "")[:200]))
    return value


def repository_id(answer, repository, pinned):
    """The id in an answer of Borg's; raises `Failure` unless it is the one that is pinned ("" if none is)."""
    found = (answer.get("repository") or {}).get("id") if isinstance(answer.get("repository"), dict) else None
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise Failure("unparsable", "Borg did not say which repository answered (%r)." % (found,))
    if pinned and found != pinned:
        raise Failure(
            "vault_id_changed",
            "At %s lies another Borg repository (%s…) than the one that was prepared there (%s…). Find out who "
            "replaced it before anything more is written." % (repository, found[:12], pinned[:12]),
        )
    return found


#: How a repository that others made may be encrypted: each of them has a key that can be exported.
ADOPTABLE = ("repokey-blake2", "repokey", "keyfile-blake2", "keyfile", "authenticated-blake2", "authenticated")


def refused_adoption(code, said, repository):
    """(code, sentence) for what keeps a repository that others made from being adopted."""
    if code == "vault_id_changed" and "is not encrypted" in said:
        code, said = "encryption", "none"
    if code == "encryption":
        how = "is not encrypted" if said == "none" else "is encrypted by %s" % (said or "nothing known")
        return "unsupported", (
            "%s %s, which is not taken; what is: %s. Make a new vault, and keep this repository as long as its "
            "archives are wanted." % (repository, how, ", ".join(ADOPTABLE))
        )
    if code == "known":
        return "vault_exists", (
            "The Borg repository at %s (%s…) is a vault here already, or a copy of one: Borg cannot tell two of one id "
            "apart." % (repository, said[:12])
        )
    if code == "wrong_passphrase" and "key file" in said:
        return code, (
            "The key of %s is in a file, which is not on this host: give its text as key=. `borg key export`, where it "
            "was used so far, prints it." % repository
        )
    if code == "wrong_passphrase":
        return code, (
            "The passphrase that was given does not open %s, so it was not adopted. Give the one that it has now."
            % repository
        )
    return code, said


def created(text, name, repository, pinned):
    """The archive that `borg create --json` says it made: {"name", "borg_id", "stats"}."""
    answer = parsed(text, "the backup")
    repository_id(answer, repository, pinned)
    made = answer.get("archive")
    made = made if isinstance(made, dict) else {}
    borg_id, stats = made.get("id"), made.get("stats")
    if not isinstance(borg_id, str) or not _ID.fullmatch(borg_id) or not isinstance(stats, dict):
        raise Failure("unparsable", "Borg's answer to the backup names no archive: %r" % (text or "")[:200])
    if made.get("name") != name:
        raise Failure(
            "hostile_answer", "Borg was asked to make the archive %r and answered with %r." % (name, made.get("name"))
        )
    try:
        amounts = {
            "files": int(stats["nfiles"]),
            "original_bytes": int(stats["original_size"]),
            "compressed_bytes": int(stats["compressed_size"]),
            "deduplicated_bytes": int(stats["deduplicated_size"]),
            "seconds": float(made.get("duration") or 0),
        }
    except (KeyError, TypeError, ValueError):
        raise Failure("unparsable", "Borg's figures of the archive cannot be read: %r" % stats) from None
    return {"name": name, "borg_id": borg_id, "stats": amounts}


def listed(text, repository, pinned):
    """What `borg list --json` says: {"borg_id", "encryption", "archives": [{"name", "id", "time"}]}."""
    answer = parsed(text, "the listing")
    found = repository_id(answer, repository, pinned)
    archives = []
    for entry in answer.get("archives") or ():
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("name"), str)
            or not _ID.fullmatch(str(entry.get("id")))
        ):
            raise Failure("unparsable", "An archive in Borg's listing cannot be read: %r" % (entry,))
        archives.append({"name": entry["name"], "id": entry["id"], "time": str(entry.get("time") or "")})
    encryption = answer.get("encryption")
    mode = encryption.get("mode") if isinstance(encryption, dict) else None
    return {"borg_id": found, "encryption": str(mode or ""), "archives": archives}


#: What `borg check` (1.2 to 1.4) says at the end of each half of a vault: of its repository, of its archives.
_WHOLE = "finished segment check at segment "
_GOOD = {
    "repository": (
        "Finished full repository check, no problems found.",
        "Finished partial repository check, no problems found.",
    ),
    "archives": ("Archive consistency check complete, no problems found.",),
}
_BAD = ("repository check, errors found", "Archive consistency check complete, problems found")
_FOUND = re.compile(
    r"integrity error|mismatch|missing|corrupt|not found|Did not get|verification failed|error reading|defect", re.I
)


def checked(texts, part, repository):
    """True if all of a part was gone through, False if its check goes on the next time. What counts are Borg's words:
    its exit code is 1 for damage and for what is none. Raises `Failure`, also where it said nothing.
    """
    if any(sign in text for text in texts for sign in _BAD):
        told = [text for text in texts if _FOUND.search(text) and not text.startswith(("ID: ", "Finished "))]
        found = [_first_line(text) for text in told]
        raise Failure(
            "vault_damaged",
            "`borg check` found %s damaged: %s. Nothing was repaired; docs/checks.md says what to do."
            % (repository, "; ".join(list(dict.fromkeys(found))[:3]) or "it did not say where"),
        )
    good = _GOOD["repository" if part == "repository" else "archives"]
    if not any(text.startswith(good) for text in texts):
        raise Failure(
            "unparsable",
            "Borg did not say whether %s is whole, so it counts as not checked: %s"
            % (repository, (texts or ["it said nothing"])[-1]),
        )
    if part == "data" and not any(text.startswith("Finished cryptographic data integrity") for text in texts):
        raise Failure("unparsable", "Borg did not say that it verified the data of %s." % repository)
    return part != "repository" or any(text.startswith(_WHOLE) for text in texts)


def key_digest(text):
    """SHA-256 of an exported key, without what differs between two exports of it: line ends and blanks."""
    return hashlib.sha256("\n".join(text.split()).encode()).hexdigest()


def amounts(stats):
    """Figures of an archive in words."""
    return "%d files, %d bytes, of which %d bytes compressed were new" % (
        stats["files"],
        stats["original_bytes"],
        stats["deduplicated_bytes"],
    )


def progress(values, seconds):
    """A progress line of `create` or `extract` as the library has it."""
    if values.get("type") != "archive_progress":
        return {"path": str(values.get("message") or "").strip(), "seconds": seconds}
    return {
        "files": values.get("nfiles") or 0,
        "original_bytes": values.get("original_size") or 0,
        "compressed_bytes": values.get("compressed_size") or 0,
        "deduplicated_bytes": values.get("deduplicated_size") or 0,
        "path": str(values.get("path") or ""),
        "seconds": seconds,
    }


def warnings(reply, result):
    """In words, what was odd about a backup that was made."""
    files = result.get("files") or {}
    examples = files.get("examples") or []
    found = []
    if files.get("unreadable"):
        kinds = ", ".join(
            kind for kind in (result.get("warnings") or {}).get("kinds", {}) if kind not in ("changed", "other")
        )
        found.append(
            "%s could not be read%s%s; they are not in the archive."
            % (_files(files["unreadable"]), " (%s)" % kinds if kinds else "", _among(examples, "E"))
        )
    if files.get("changed"):
        found.append("%s changed while they were read%s." % (_files(files["changed"]), _among(examples, "C")))
    for left in reply.get("left_out") or ():
        found.append(
            "What is mounted at %s (%s, %s) is not in the backup."
            % (left.get("path"), left.get("type"), left.get("reason"))
        )
    for text in texts_of([line for line in result.get("tail") or () if '"levelname": "WARNING"' in line]):
        if "[Errno " not in text and not text.endswith("file changed while we backed it up"):
            found.append("Borg warns: %s" % " ".join(text.split())[:1000])
    return list(dict.fromkeys(found))


def _files(number):
    return "1 file" if number == 1 else "%d files" % number


def _among(examples, status):
    paths = [str(example.get("path")) for example in examples if example.get("status") == status][:5]
    return ": " + ", ".join(paths) if paths else ""
