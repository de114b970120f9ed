# SPDX-License-Identifier: GPL-3.0-or-later
"""What Borg's messages mean: our code, and a sentence that says what to do. Tables only.

In a sentence `{repository}` is where the repository lies, and `{said}` the line that says most.
"""

from __future__ import annotations

#: Borg's message id, without its class -> code and sentence.
MESSAGES = {
    "PassphraseWrong": (
        "wrong_passphrase",
        "The passphrase does not open {repository}. Find the right one: it is in the recovery kit, or was "
        "given when the repository was added.",
    ),
    "PasscommandFailure": ("wrong_passphrase", "No passphrase for {repository} could be had: {said}"),
    "NoPassphraseFailure": ("wrong_passphrase", "No passphrase was given for {repository}."),
    "LockTimeout": (
        "lock_held",
        "{repository} stayed locked by another Borg for longer than the job may wait. If none is at work on "
        "it, look for one that died on another host, and then break its lock with `borg break-lock`.",
    ),
    "LockError": ("lock_held", "{repository} cannot be locked: {said}"),
    "LockErrorT": ("lock_held", "{repository} cannot be locked: {said}"),
    "LockFailed": ("lock_held", "{repository} cannot be locked: {said}"),
    "LockFailedT": ("lock_held", "{repository} cannot be locked: {said}"),
    "DoesNotExist": (
        "vault_missing",
        "There is no Borg repository at {repository}. If it was moved, bring it back; if it is new, prepare it first.",
    ),
    "InvalidRepository": (
        "vault_missing",
        "What lies at {repository} is not a Borg repository. Look what it is before anything is written there.",
    ),
    "InvalidRepositoryConfig": ("vault_damaged", "The settings file in {repository} is damaged: {said}"),
    "AlreadyExists": ("vault_exists", "There is a Borg repository at {repository} already."),
    "PathAlreadyExists": (
        "vault_exists",
        "There is already something else at {repository}. Choose another path, or move that away.",
    ),
    "ParentPathDoesNotExist": ("vault_missing", "The folder that {repository} should lie in does not exist."),
    "AtticRepository": ("unsupported", "{repository} was made by Attic; convert it with Borg 1.x first."),
    "StorageQuotaExceeded": (
        "quota_reached",
        "{repository} has reached its quota. Let prune and compact make room; or raise the `quota` of its repository "
        "(or the setting `quota_share`), and prepare the repository again.",
    ),
    "InsufficientFreeSpaceError": (
        "vault_full",
        "The file system of {repository} is full up to its reserve: {said}",
    ),
    "CheckNeeded": (
        "vault_damaged",
        "{repository} is damaged: run `borg check` and find out why before anything more is written.",
    ),
    "NoManifestError": (
        "vault_damaged",
        "{repository} has no list of its archives: it is damaged, or was never initialised to its end. If it "
        "is new and empty, remove that folder and prepare the repository again.",
    ),
    "IntegrityError": ("vault_damaged", "{repository} is damaged: {said}"),
    "IntegrityErrorBase": ("vault_damaged", "{repository} is damaged: {said}"),
    "FileIntegrityError": (
        "borg_failed",
        "A file of Borg's cache on this host is damaged; `borg delete --cache-only` removes it: {said}",
    ),
    "DataIntegrityError": ("vault_damaged", "{repository} is damaged: {said}"),
    "DecompressionError": ("vault_damaged", "{repository} is damaged: {said}"),
    "TAMInvalid": (
        "vault_damaged",
        "The list of archives in {repository} was not signed by its key: somebody else wrote it. {said}",
    ),
    "TAMRequiredError": ("vault_damaged", "The list of archives in {repository} is not signed: {said}"),
    "ArchiveTAMInvalid": (
        "vault_damaged",
        "An archive in {repository} was not signed by its key: somebody else wrote it. {said}",
    ),
    "ArchiveTAMRequiredError": ("vault_damaged", "An archive in {repository} is not signed: {said}"),
    "RepositoryReplay": (
        "vault_damaged",
        "{repository} is older than what was seen of it before: it was set back to an earlier state, or "
        "somebody attacks it. Find out who did that; docs/append-only.md says what to do.",
    ),
    "RepositoryAccessAborted": (
        "vault_id_changed",
        "{repository} is not where Borg on this host knows it to be, and its id was not pinned. Prepare the "
        "repository again.",
    ),
    "EncryptionMethodMismatch": (
        "vault_id_changed",
        "{repository} is encrypted in another way than before: another repository lies there now. Find out "
        "who replaced it.",
    ),
    "CacheInitAbortedError": (
        "vault_id_changed",
        "{repository} is not known to Borg on this host and is not encrypted: it is not opened without a question.",
    ),
    "RepositoryIDNotUnique": (
        "vault_id_changed",
        "Two repositories have the id of {repository}: one is a copy. Give the copy an id of its own.",
    ),
    "KeyfileNotFoundError": ("wrong_passphrase", "There is no key file for {repository} on this host: {said}"),
    "KeyfileMismatchError": ("vault_key_changed", "The key for {repository} belongs to another repository: {said}"),
    "KeyfileInvalidError": ("vault_key_changed", "The key in {repository} is damaged: {said}"),
    "RepoKeyNotFoundError": (
        "vault_key_changed",
        "There is no key in {repository}; put the exported one back with `borg key import`.",
    ),
    "UnsupportedManifestError": (
        "borg_too_old",
        "{repository} was written by a later Borg than the one on this host; bring that up to date.",
    ),
    "UnsupportedPayloadError": (
        "borg_too_old",
        "{repository} was written by a later Borg than the one on this host; bring that up to date.",
    ),
    "UnsupportedKeyFormatError": (
        "borg_too_old",
        "The key of {repository} was written by a later Borg than the one on this host.",
    ),
    "MandatoryFeatureUnsupported": (
        "borg_too_old",
        "{repository} needs a later Borg than the one on this host: {said}",
    ),
    "PathNotAllowed": (
        "key_not_authorized",
        "The repository's host does not let this key into {repository}. Prepare the repository again, or "
        "correct its line in authorized_keys.",
    ),
    "InvalidRPCMethod": ("borg_too_old", "Borg on the repository's host is too old: {said}"),
    "RPCServerOutdated": ("borg_too_old", "Borg on the repository's host is too old: {said}"),
    "UnexpectedRPCDataFormatFromServer": (
        "borg_missing",
        "What answered at the repository's host is not Borg: {said}",
    ),
    "UnexpectedRPCDataFormatFromClient": (
        "borg_failed",
        "Borg on the repository's host did not understand this one: {said}",
    ),
    "CommandError": ("bad_arguments", "Borg refused its arguments: {said}"),
    "PlaceholderError": ("bad_arguments", "Borg refused a name with braces in it: {said}"),
    "InvalidPlaceholder": ("bad_arguments", "Borg refused a name with braces in it: {said}"),
}
#: Of archives rather than repositories: here the class counts.
ARCHIVES = {
    "Archive.DoesNotExist": (
        "archives_vanished",
        "The archive is not in {repository} any more. List the vault, and find out who removed it.",
    ),
    "Archive.AlreadyExists": (
        "bad_arguments",
        "There is an archive of that name in {repository} already; names are made anew for each attempt, so "
        "find out who made it.",
    ),
}
#: The connection to the repository's host ended; why is in what was said on the way.
CONNECTION = frozenset({"ConnectionClosed", "ConnectionClosedWithHint", "ConnectionBrokenWithHint", "RPCError"})
#: What is said on the way to the repository's host, by ssh, a shell or the wrapper there.
ON_THE_WAY = (
    (
        (
            "cyborg: vault busy",
            "cyborg: vault closed",
        ),
        "lock_held",
        "Another Borg is at work on {repository}, or it is closed for a while: {said}",
    ),
    (
        ("cyborg: ",),
        "key_not_authorized",
        "The repository's host refuses this key: {said}",
    ),
    (
        (
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
            "Host key verification failed",
            "No ED25519 host key is known",
            "host key is known for",
        ),
        "host_key_changed",
        "The host of {repository} answers with another ssh host key than the one that is pinned. Somebody may"
        " be in between; if it was reinstalled, compare its key and then forget the old one with "
        "cyborg.trust(repository).",
    ),
    (
        (
            "Permission denied (",
            "Too many authentication failures",
        ),
        "key_not_authorized",
        "The host of {repository} does not take this key: its public half has to be in authorized_keys there."
        " Prepare the repository again.",
    ),
    (
        (
            "No such identity",
            "Identity file",
            "Load key",
        ),
        "key_not_authorized",
        "The private key for {repository} is not on this host any more: {said} Prepare the client and the "
        "repository again.",
    ),
    (
        (
            "borg: command not found",
            "borg: not found",
            "borg: No such file",
            "not found: borg",
        ),
        "borg_missing",
        "There is no Borg on the host of {repository}.",
    ),
    (
        (
            "ssh: command not found",
            "No such file or directory: 'ssh'",
            "ssh: not found",
        ),
        "unsupported",
        "There is no ssh on the host where Borg runs; prepare the client again.",
    ),
    (
        (
            "Could not resolve",
            "Connection refused",
            "Connection timed out",
            "No route to host",
            "Network is unreachable",
            "Operation timed out",
            "Connection reset",
            "closed by remote host",
            "Broken pipe",
            "Timeout, server",
        ),
        "unreachable",
        "The host of {repository} cannot be reached from the host where Borg runs: {said}",
    ),
)
_HARM = (
    "Either very many archives are in it, or somebody who writes to it put something there to harm whoever reads it. "
    "Look into it from a machine that may fall over, before anything is restored from there."
)
#: Which of the limits that it was given ended Borg -> a sentence.
LIMITS = {
    "memory": "Borg asked for more memory for {repository} than it may have here. " + _HARM,
    "cpu": "Borg was ended, as it took more time of the processor for {repository} than it may have here. " + _HARM,
}
#: What the program that serves a vault says where its reserve bounds a client, and not the quota.
RESERVE = "cyborg: reserve: "
#: A disk is full, whosever it is.
FULL = ("No space left on device", "[Errno 28]", "ENOSPC", "Disk quota exceeded")
#: What Borg says at a first backup or an init, of which nobody has to know: the cache comes by itself, and the
#: library keeps key and passphrase.
EXPECTED = (
    "The files cache can't be read. [[Errno 2]",
    "Continuing without files cache",
    "By default repositories initialized with this version",
    "IMPORTANT: you will need both KEY AND PASSPHRASE",
)
