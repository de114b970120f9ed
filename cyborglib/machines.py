"""Virtual machines: where they are backed up, and what their hypervisors are prepared for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import Disabled, Invalid
from .model import Client, Policy
from .store import Store

#: The policy type that is worked on a client's hypervisor.
TYPE = "vm"
#: How a machine's disks are had, where the policy does not say.
PROVIDER = "libvirt"


def provider(extra_vars: Mapping[str, Any]) -> str:
    """The provider that the variables of a policy name."""
    return str(extra_vars.get("provider") or PROVIDER)


def scratch(extra_vars: Mapping[str, Any]) -> str:
    """The folder for scratch files that the variables of a policy name; "" for the usual one."""
    return str(extra_vars.get("scratch") or "")


def hypervisor_of(store: Store, policy: Policy, client: Client) -> Client | None:
    """The client on which this one is backed up by a policy; None where that is itself.

    Raises `Invalid` for a machine without a hypervisor, `Disabled` for one whose hypervisor is.
    """
    if policy.type != TYPE:
        return None
    if why := stopped(store, policy, client):
        raise Disabled(why)
    return store.clients.get(client.hypervisor or 0)


def stopped(store: Store, policy: Policy, client: Client) -> str:
    """Why a client is not backed up by a policy although it is enabled: its hypervisor is not. "" if it is.

    Raises `Invalid` for a machine without a hypervisor.
    """
    if policy.type != TYPE:
        return ""
    check(client)
    found = store.clients.get(client.hypervisor or 0)
    return "" if found.enabled else f"{client.hostname} runs on {found.hostname}, which is disabled; enable that first"


def check_policy(store: Store, policy: Policy) -> None:
    """Refuse a policy for virtual machines whose clients are none, or that would keep them on their own hypervisor."""
    if policy.type != TYPE:
        return
    for client in policy.clients:
        check(store.clients.get(client))
    if store.repositories.get(policy.repository).location.local:
        raise Invalid(
            "machines are backed up to a repository on another host than the one they run on: give one whose path is "
            "user@host:path or ssh://…"
        )


def check(client: Client) -> None:
    """Refuse a client that is not known to be a virtual machine."""
    if client.hypervisor is None:
        raise Invalid(
            f"{client.hostname} has no hypervisor, so nobody knows where it runs: add that host as a client, and "
            "replace this one by attrs.evolve(client, hypervisor=…, vm_name=…)"
        )


def providers_on(store: Store, client: Client) -> list[tuple[str, str]]:
    """(provider, scratch) that a client has to be prepared for, as the hypervisor of clients of vm policies."""
    guests = {guest.id for guest in store.clients.find(hypervisor=client.id)}
    wanted = {
        (provider(policy.variables_for(member)), scratch(policy.variables_for(member)))
        for policy in (store.policies.find(type=TYPE) if guests else ())
        for member in policy.clients
        if member in guests
    }
    return sorted(wanted)
