# SPDX-License-Identifier: GPL-3.0-or-later
"""What Borg (1.2 to 1.4) answered: exit codes, message ids, JSON. Pure; what cannot be parsed is a failure.

`result` is what the agent tells of a command's end (README.md of the agent).
"""

from __future__ import annotations

import json
import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

_ID = re.compile(r"[0-9a-f]{64}")
#: Warnings: 1 of old, 100 to 127 of the modern exit codes.
WARNING = frozenset({1, *range(100, 128)})

#: Borg's message id -> our code, and what to do. A message id of the far side may come with its class in front.
_KNOWN = {
    "PassphraseWrong": ("wrong_passphrase", "The passphrase does not open {repository}. Find the right one: it is in the recovery kit, or was given when the repository was added."),
    "PasscommandFailure": ("wrong_passphrase", "No passphrase for {repository} could be had: {said}"),
    "NoPassphraseFailure": ("wrong_passphrase", "No passphrase was given for {repository}."),
    "LockTimeout": ("lock_held", "{repository} stayed locked by another Borg for longer than the job may wait. If none is at work on it, look for one that died on another host, and then break its lock with `borg break-lock`."),
    "LockError": ("lock_held", "{repository} cannot be locked: {said}"),
    "LockErrorT": ("lock_held", "{repository} cannot be locked: {said}"),
    "LockFailed": ("lock_held", "{repository} cannot be locked: {said}"),
    "LockFailedT": ("lock_held", "{repository} cannot be locked: {said}"),
    "DoesNotExist": ("vault_missing", "There is no Borg repository at {repository}. If it was moved, bring it back; if it is new, prepare it first."),
    "InvalidRepository": ("vault_missing", "What lies at {repository} is not a Borg repository. Look what it is before anything is written there."),
    "InvalidRepositoryConfig": ("vault_damaged", "The settings file in {repository} is damaged: {said}"),
    "AlreadyExists": ("vault_exists", "There is a Borg repository at {repository} already."),
    "PathAlreadyExists": ("vault_exists", "There is already something else at {repository}. Choose another path, or move that away."),
    "ParentPathDoesNotExist": ("vault_missing", "The folder that {repository} should lie in does not exist."),
    "AtticRepository": ("unsupported", "{repository} was made by Attic; convert it with Borg 1.x first."),
    "StorageQuotaExceeded": ("vault_full", "{repository} has reached its quota. Raise the quota and prepare the repository again, or let a prune and compact make room."),
    "InsufficientFreeSpaceError": ("vault_full", "The file system of {repository} is full up to its reserve: {said}"),
    "CheckNeeded": ("vault_damaged", "{repository} is damaged: run `borg check` and find out why before anything more is written."),
    "NoManifestError": ("vault_damaged", "{repository} has no list of its archives: it is damaged, or was never initialised to its end. If it is new and empty, remove that folder and prepare the repository again."),
    "IntegrityError": ("vault_damaged", "{repository} is damaged: {said}"),
    "IntegrityErrorBase": ("vault_damaged", "{repository} is damaged: {said}"),
    "FileIntegrityError": ("borg_failed", "A file of Borg's cache on this host is damaged; `borg delete --cache-only` removes it: {said}"),
    "DataIntegrityError": ("vault_damaged", "{repository} is damaged: {said}"),
    "DecompressionError": ("vault_damaged", "{repository} is damaged: {said}"),
    "TAMInvalid": ("vault_damaged", "The list of archives in {repository} was not signed by its key: somebody else wrote it. {said}"),
    "TAMRequiredError": ("vault_damaged", "The list of archives in {repository} is not signed: {said}"),
    "ArchiveTAMInvalid": ("vault_damaged", "An archive in {repository} was not signed by its key: somebody else wrote it. {said}"),
    "ArchiveTAMRequiredError": ("vault_damaged", "An archive in {repository} is not signed: {said}"),
    "RepositoryReplay": ("vault_damaged", "{repository} is older than what was seen of it before: it was set back to an earlier state, or somebody attacks it. Find out who did that; docs/append-only.md says what to do."),
    "RepositoryAccessAborted": ("vault_id_changed", "{repository} is not where Borg on this host knows it to be, and its id was not pinned. Prepare the repository again."),
    "EncryptionMethodMismatch": ("vault_id_changed", "{repository} is encrypted in another way than before: another repository lies there now. Find out who replaced it."),
    "CacheInitAbortedError": ("vault_id_changed", "{repository} is not known to Borg on this host and is not encrypted: it is not opened without a question."),
    "RepositoryIDNotUnique": ("vault_id_changed", "Two repositories have the id of {repository}: one is a copy. Give the copy an id of its own."),
    "KeyfileNotFoundError": ("wrong_passphrase", "There is no key file for {repository} on this host: {said}"),
    "KeyfileMismatchError": ("vault_key_changed", "The key for {repository} belongs to another repository: {said}"),
    "KeyfileInvalidError": ("vault_key_changed", "The key in {repository} is damaged: {said}"),
    "RepoKeyNotFoundError": ("vault_key_changed", "There is no key in {repository}; put the exported one back with `borg key import`."),
    "UnsupportedManifestError": ("borg_too_old", "{repository} was written by a later Borg than the one on this host; bring that up to date."),
    "UnsupportedPayloadError": ("borg_too_old", "{repository} was written by a later Borg than the one on this host; bring that up to date."),
    "UnsupportedKeyFormatError": ("borg_too_old", "The key of {repository} was written by a later Borg than the one on this host."),
    "MandatoryFeatureUnsupported": ("borg_too_old", "{repository} needs a later Borg than the one on this host: {said}"),
    "PathNotAllowed": ("key_not_authorized", "The repository's host does not let this key into {repository}. Prepare the repository again, or correct its line in authorized_keys."),
    "InvalidRPCMethod": ("borg_too_old", "Borg on the repository's host is too old: {said}"),
    "RemoteRepository.RPCServerOutdated": ("borg_too_old", "Borg on the repository's host is too old: {said}"),
    "RPCServerOutdated": ("borg_too_old", "Borg on the repository's host is too old: {said}"),
    "UnexpectedRPCDataFormatFromServer": ("borg_missing", "What answered at the repository's host is not Borg: {said}"),
    "UnexpectedRPCDataFormatFromClient": ("borg_failed", "Borg on the repository's host did not understand this one: {said}"),
    "CommandError": ("bad_arguments", "Borg refused its arguments: {said}"),
    "PlaceholderError": ("bad_arguments", "Borg refused a name with braces in it: {said}"),
    "InvalidPlaceholder": ("bad_arguments", "Borg refused a name with braces in it: {said}"),
}  # fmt: skip
#: Of archives rather than repositories.
_ARCHIVES = {
    "Archive.DoesNotExist": ("archives_vanished", "The archive is not in {repository} any more. List the vault, and find out who removed it."),
    "Archive.AlreadyExists": ("bad_arguments", "There is an archive of that name in {repository} already; names are made anew for each attempt, so find out who made it."),
}  # fmt: skip
_CONNECTION = frozenset({"ConnectionClosed", "ConnectionClosedWithHint", "ConnectionBrokenWithHint", "RPCError"})
#: What is said on the way to the repository's host, by ssh, a shell or the wrapper there.
_ON_THE_WAY = (
    (("cyborg: vault busy", "cyborg: vault closed"), "lock_held", "Another Borg is at work on {repository}, or it is closed for a while: {said}"),
    (("cyborg: ",), "key_not_authorized", "The repository's host refuses this key: {said}"),
    (("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed", "No ED25519 host key is known", "host key is known for"), "host_key_changed", "The host of {repository} answers with another ssh host key than the one that is pinned. Somebody may be in between; if it was reinstalled, compare its key and then forget the old one with cyborg.trust(repository)."),
    (("Permission denied (", "Too many authentication failures"), "key_not_authorized", "The host of {repository} does not take this key: its public half has to be in authorized_keys there. Prepare the repository again."),
    (("No such identity", "Identity file", "Load key"), "key_not_authorized", "The private key for {repository} is not on this host any more: {said} Prepare the client and the repository again."),
    (("borg: command not found", "borg: not found", "borg: No such file", "not found: borg"), "borg_missing", "There is no Borg on the host of {repository}."),
    (("ssh: command not found", "No such file or directory: 'ssh'", "ssh: not found"), "unsupported", "There is no ssh on the host where Borg runs; prepare the client again."),
    (("Could not resolve", "Connection refused", "Connection timed out", "No route to host", "Network is unreachable", "Operation timed out", "Connection reset", "closed by remote host", "Broken pipe", "Timeout, server"), "unreachable", "The host of {repository} cannot be reached from the host where Borg runs: {said}"),
)  # fmt: skip
_FULL = ("No space left on device", "[Errno 28]", "ENOSPC", "Disk quota exceeded")


#: What Borg says at a first backup or an init, of which nobody has to know: the cache comes by itself, and the
#: library keeps key and passphrase.
EXPECTED = (
    "The files cache can't be read. [[Errno 2]",
    "Continuing without files cache",
    "By default repositories initialized with this version",
    "IMPORTANT: you will need both KEY AND PASSPHRASE",
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


def check(result, repository):
    """Nothing for an exit code that is success or a warning; else raises the `Failure` that the answer means."""
    if result.get("exec_error"):
        raise Failure(
            "borg_missing",
            "Borg could not be started on the host (%s). Prepare the client again." % result["exec_error"],
        )
    if result.get("timed_out"):
        raise Failure("timeout", "Borg was not done within the time that the job has; it was ended.")
    rc, signal = result.get("rc"), result.get("signal")
    errors = [error for error in result.get("errors") or () if isinstance(error, dict)]
    said = [str(error.get("message")) for error in errors]
    around = texts_of(result.get("tail"))
    if rc == 0 or (rc in WARNING and not signal):
        return
    if any(sign in text for text in (*said, *around) for sign in _FULL):
        raise _full(said, around, repository)
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
    if msgid in _ARCHIVES:
        return _ARCHIVES[msgid]
    if last in _CONNECTION:
        for signs, code, sentence in _ON_THE_WAY:
            if any(sign in text for text in around for sign in signs):
                return code, sentence
        return "unreachable", "The connection to the host of {repository} ended: {said}"
    return _KNOWN.get(msgid) or _KNOWN.get(last) or (None, None)


def _said(error, around):
    """The most telling line: what came from the far side, else the error itself."""
    remote = [text for text in around if text.startswith("Remote: ")]
    if remote and str(error.get("msgid") or "").rpartition(".")[2] in _CONNECTION:
        return _first_line(remote[-1][len("Remote: ") :])
    return _first_line(str(error.get("message")))


def _first_line(text):
    return next((line.strip() for line in text.splitlines() if line.strip()), text)[:600]


def _filled(sentence, repository, said):
    return sentence.replace("{repository}", repository).replace("{said}", said)


def _full(said, around, repository):
    everything = "\n".join((*said, *around))
    remote = repository.startswith("ssh://")
    # The far side's disk shows in its own words; the near one's in files of Borg's cache.
    far = "Remote" in everything or "Borg server" in everything
    if (remote and not far) or (not remote and re.search(r"[/.]cache[/.]borg|\.config/borg|/cache/", everything)):
        return Failure("client_full", "A disk of the host where Borg runs is full (its cache or temporary files).")
    return Failure("vault_full", "The disk that %s lies on is full. Make room there; nothing was lost." % repository)


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
            "At %s lies another Borg repository (%s…) than the one that was prepared there (%s…). Find out who replaced "
            "it before anything more is written." % (repository, found[:12], pinned[:12]),
        )
    return found


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
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not _ID.fullmatch(str(entry.get("id"))):
            raise Failure("unparsable", "An archive in Borg's listing cannot be read: %r" % (entry,))
        archives.append({"name": entry["name"], "id": entry["id"], "time": str(entry.get("time") or "")})
    encryption = answer.get("encryption")
    mode = encryption.get("mode") if isinstance(encryption, dict) else None
    return {"borg_id": found, "encryption": str(mode or ""), "archives": archives}


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
        kinds = ", ".join(kind for kind in (result.get("warnings") or {}).get("kinds", {}) if kind not in ("changed", "other"))
        found.append(
            "%s could not be read%s%s; they are not in the archive."
            % (_files(files["unreadable"]), " (%s)" % kinds if kinds else "", _among(examples, "E"))
        )
    if files.get("changed"):
        found.append("%s changed while they were read%s." % (_files(files["changed"]), _among(examples, "C")))
    for left in reply.get("left_out") or ():
        found.append(
            "What is mounted at %s (%s, %s) is not in the backup." % (left.get("path"), left.get("type"), left.get("reason"))
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
