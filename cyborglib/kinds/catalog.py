"""The controller's own look into a vault: are our archives there, with our ids, and under our key? What is in them?

A client's word that it made a backup is not enough, and a client with an append-only key can still hide
archives or change the vault's key. Borg runs on the controller (see `controller`), with the controller's key;
for a vault in a folder of a client, on that client.

What is in archives goes into the catalogue while the job is at work. What cannot be read of that makes the job fail, so
that it is tried again and somebody hears of it; but what was found in the vault is recorded all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError
from ..events import VaultSuspected
from ..executor import Outcome
from ..model import Archive
from ..secret import Secret
from .controller import at_its_client, explained, listing
from .exported import key_digest
from .foreign import Listed, entries, seen, strangers
from .hosts import unpinned
from .rekeying import digest, taken, told
from .work import Assignment, Settlement, Work, on_host

#: Archives whose contents one job reads at most: what is left, the next one does.
MOST = 1000

DOCS = "docs/append-only.md says what that means and how they come back"


def assign(work: Work) -> Assignment:
    """A listing of the vault."""
    vault, job = work.vault, work.job
    assert vault is not None
    assert work.repository is not None
    name = f"job-{job.id}"
    if vault.where.local:
        host, variables, secrets = at_its_client(work, work.client, name)
    else:
        host, variables, secrets = listing(work, name)
    variables["borg_key_sha256"] = digest(vault)
    variables["borg_contents"] = [
        {"archive": archive.id, "name": archive.name, "id": archive.borg_id} for archive in work.uncataloged[:MOST]
    ]
    return on_host(
        work,
        "catalog",
        host,
        variables=variables,
        secrets=secrets,
        others=unpinned(work.repository, vault, work.settings),
    )


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """Confirm what is there; whatever of ours is not there makes the vault suspect.

    A vault that was to get another passphrase has got it, if the listing was made with that.
    """
    vault = work.vault
    assert vault is not None
    changed = taken(work, kept)
    settlement = _settled(evolve(work, vault=evolve(vault, **changed)), outcome)
    events = (*settlement.events, *told(work, changed))
    return evolve(settlement, vault={**changed, **settlement.vault}, events=events)


def _settled(work: Work, outcome: Outcome) -> Settlement:
    vault = work.vault
    assert vault is not None
    if outcome.error is not None:
        if outcome.error.code in (ErrorCode.VAULT_KEY_CHANGED, ErrorCode.VAULT_ID_CHANGED):
            return suspect(work, outcome.error)
        return Settlement(error=explained(work, outcome.error), warnings=outcome.warnings)
    if changed := _changed(work, outcome.facts):
        return suspect(work, changed)
    settlement = compared(work, entries(outcome.facts), outcome)
    unread = _unread(outcome.facts)
    return settlement if settlement.error is not None or unread is None else evolve(settlement, error=unread)


def _unread(facts: Mapping[str, Any]) -> JobError | None:
    """Why the contents of some archive could not be read."""
    told = facts.get("contents_error")
    if told is None:
        return None
    code, message = (told.get("code"), told.get("message")) if isinstance(told, Mapping) else (None, None)
    known = code if isinstance(code, str) and code in set(ErrorCode) else ErrorCode.INTERNAL
    return JobError(ErrorCode(known), f"{message} The vault was looked at all the same, and what it holds is recorded")


def compared(work: Work, listed: Sequence[Listed], outcome: Outcome) -> Settlement:
    """What the archives that were found mean for those that are recorded, ours and others'."""
    vault, warnings = work.vault, outcome.warnings
    assert vault is not None
    found = {one.name: one.borg_id for one in listed}
    # What was pruned may be there still, or not; it counts for nothing any more.
    ours = [archive for archive in work.recorded if not archive.foreign and archive.pruned_at is None]
    there = [archive for archive in ours if found.get(archive.name) == archive.borg_id]
    gone = [archive for archive in ours if found.get(archive.name) != archive.borg_id]
    pruned = [archive for archive in work.recorded if not archive.foreign and archive.pruned_at is not None]
    done, undone = seen(pruned, found)
    others = strangers(work, listed)
    # A person looked after those were missed, and lets the vault go on: told again, but no alarm any more; unless
    # something else has just taken the place of one.
    accepted = [] if vault.suspect else [archive for archive in gone if archive.missing_at is not None]
    accepted = [archive for archive in accepted if archive not in others.replaced]
    news = [archive for archive in gone if archive not in accepted]
    news += [archive for archive in others.replaced if archive not in news]
    if accepted:
        warnings += (f"still not in {vault.location}, as a listing told before: {_names(accepted)}",)
    left, back = seen([archive for archive in work.recorded if archive.foreign], found)
    return evolve(
        _missed(work, news),
        warnings=(*warnings, *others.warnings),
        confirmed=_ids(archive for archive in there if archive.confirmed_at is None),
        missing=(*_ids(archive for archive in gone if archive.missing_at is None), *left, *done),
        found=(*_ids(archive for archive in there if archive.missing_at is not None), *back, *undone),
        gone=done,
        foreign=others.new,
    )


def _missed(work: Work, archives: Sequence[Archive]) -> Settlement:
    """Archives of ours that are not in the vault make it suspect."""
    vault = work.vault
    assert vault is not None
    if not archives:
        return Settlement()
    if vanished := [archive for archive in archives if archive.confirmed_at is not None]:
        many = len(vanished) > 1
        error = JobError(
            ErrorCode.ARCHIVES_VANISHED,
            f"{len(vanished)} archive{'s' if many else ''} that lay in {vault.location} {'are' if many else 'is'} not "
            f"there any more ({_names(vanished)}): somebody deleted or replaced {'them' if many else 'it'}. Nothing is "
            f"written to this vault any more; {DOCS}",
        )
    else:
        error = JobError(
            ErrorCode.NOT_CONFIRMED,
            f"the client said that it made {_names(archives)}, but the controller does not find that in "
            f"{vault.location}: do not count on this backup, and look at the Borg of that client. {DOCS}",
        )
    return suspect(work, error)


def _names(archives: Iterable[Archive]) -> str:
    names = sorted(archive.name for archive in archives)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _ids(archives: Iterable[Archive]) -> tuple[int, ...]:
    return tuple(archive.id or 0 for archive in archives)


def _changed(work: Work, facts: Mapping[str, Any]) -> JobError | None:
    """An error where the listing is of another repository than ours, or under another key."""
    vault = work.vault
    assert vault is not None
    if facts.get("borg_id", vault.borg_id) != vault.borg_id:
        return JobError(
            ErrorCode.VAULT_ID_CHANGED,
            f"at {vault.location} lies another Borg repository than the one that was prepared there: find out who "
            "replaced it, and bring the old one back",
        )
    if vault.key_export is not None and facts.get("key_sha256", "") not in ("", key_digest(vault.key_export)):
        return JobError(
            ErrorCode.VAULT_KEY_CHANGED,
            f"the key that lies in the vault {vault.location} is not the one that was exported when it was made: "
            "somebody changed its passphrase. docs/recovery.md says how the sealed copy is put back",
        )
    return None


def suspect(work: Work, error: JobError) -> Settlement:
    assert work.vault is not None
    event = VaultSuspected(vault=work.vault.id or 0, reason=error.message)
    return Settlement(error=error, vault={"suspect": error.message}, events=(event,))
