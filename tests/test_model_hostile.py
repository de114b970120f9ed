"""What must never be taken for a name, host, account, path or variable, by any constructor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cyborglib as cy
from cyborglib.model import Variables
from cyborglib.testing import FakeExecutor
from tests.hostile import ACCOUNTS, HOSTS, NAMES, spoiled

Build = Callable[[Any], object]


def _hashable(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value


NAMED: dict[str, Build] = {
    "the repository's name": lambda text: cy.Repository(text, "/srv/borg"),
    "the schedule's name": lambda text: cy.Schedule(text, "0 2 * * *"),
    "the policy's name": lambda text: cy.Policy(text, "config", repository=1),
    "the policy's type": lambda text: cy.Policy("etc", text, repository=1),
    "tag": lambda text: cy.Client("web", tags=[text]),
    "extra_vars": lambda text: cy.Policy("etc", "config", repository=1, extra_vars={_hashable(text): 1}),
}
HOSTED: dict[str, Build] = {
    "the hostname": lambda text: cy.Client(text),
    "address": lambda text: cy.Client("web", address=text or "-"),
    "the repository path": lambda text: cy.Repository("vault", f"ssh://{text}/srv/borg"),
    "repository path": lambda text: cy.Repository("vault", f"borg@{text}:/srv/borg"),
}
ACCOUNTED: dict[str, Build] = {
    "user": lambda text: cy.Client("web", user=text),
    "admin_user": lambda text: cy.Repository("vault", "nas:/srv/borg", admin_user=text),
    "become_user": lambda text: cy.Client("web", host_vars={"become_user": text}),
    "admin_vars: become_user": lambda text: cy.Repository("nas", "b@nas:/x", admin_vars={"become_user": text}),
    "the repository path": lambda text: cy.Repository("vault", f"{text}@nas:/srv/borg"),
    "repository path": lambda text: cy.Repository("vault", f"ssh://{text}@nas/srv/borg"),
}
#: Taken as an address in a URL, being in brackets, or refused for what else they make of it.
URLS = {"[::1]", "web:22", "root@web", "10.0.0.1:22", "10.0.0.1/8", "a/b", "a@b", "~root"}


def taken(build: Build, values: tuple[object, ...], field: str) -> list[object]:
    """The values that were not refused by a sentence that names the field."""
    found = []
    for value in values:
        try:
            build(value)
        except cy.Invalid as error:
            if field in str(error) and len(str(error)) < 1000:
                continue
        found.append(value)
    return found


@pytest.mark.parametrize("field", NAMED)
def test_names(field: str) -> None:
    NAMED[field]("Web-1.example_2")
    assert taken(NAMED[field], NAMES, field) == []


@pytest.mark.parametrize("field", HOSTED)
def test_hosts(field: str) -> None:
    for good in ("web1.example.org", "10.0.0.1", "3com", "xn--bcher-kva.example"):
        HOSTED[field](good)
    # In a path other texts may make another path that is good.
    hosts = tuple(h for h in HOSTS if isinstance(h, str) and h not in URLS) if "path" in field else HOSTS
    assert taken(HOSTED[field], hosts, field) == []


@pytest.mark.parametrize("field", ACCOUNTED)
def test_accounts(field: str) -> None:
    for good in ("root", "_borg", "Jane.Doe-2"):
        ACCOUNTED[field](good)
    accounts = tuple(a for a in ACCOUNTS if isinstance(a, str) and a not in URLS) if "path" in field else ACCOUNTS
    assert taken(ACCOUNTED[field], accounts, field) == []


TEXTS: dict[str, tuple[str, Build]] = {
    **{field: ("web", build) for field, build in (NAMED | HOSTED | ACCOUNTED).items()},
    "path": ("/srv/my borg/{client}", lambda text: cy.Repository("vault", text)),
    "path of a URL": ("ssh://borg@nas:22/srv/borg", lambda text: cy.Repository("vault", text)),
    "host key": ("ssh-ed25519 AAAAC3Nz", lambda text: cy.Client("web", host_key=text)),
    "compression": ("zstd,3", lambda text: cy.Policy("etc", "config", repository=1, compression=text)),
    "within": ("2d", lambda text: cy.Retention(within=text)),
    "crontab": ("0 2 * * *", lambda text: cy.Schedule("nightly", text)),
    "timezone": ("Europe/Paris", lambda text: cy.Schedule("nightly", "0 2 * * *", timezone=text)),
    "interpreter": ("/usr/bin/python3", lambda text: cy.Client("web", host_vars={"interpreter": text})),
    "become_method": ("sudo", lambda text: cy.Client("web", host_vars={"become_method": text})),
    "connection": ("local", lambda text: cy.Client("web", connection=text)),
    "trusted_vars": ("ansible_user", lambda text: cy.Client("web", trusted_vars={text: "x"})),
}


@pytest.mark.parametrize("field", TEXTS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_what_does_not_show_is_never_taken(field: str, data: st.DataObject) -> None:
    good, build = TEXTS[field]
    build(good)
    bad = data.draw(spoiled(good))
    # A line end after a key is how files hold it, and the blanks of a crontab are its own business.
    if (field == "host key" and bad.strip() == good) or (field == "crontab" and bad.split() == good.split()):
        return
    with pytest.raises(cy.Invalid):
        build(bad)


PATHS = [
    "",
    " ",
    "/",
    "//",
    "/.",
    "/..",
    "/srv/..",
    "/srv/../etc",
    "srv",
    "./srv",
    "srv/borg",
    "-x",
    "/srv/-x",
    "-oProxyCommand=touch x:/srv",
    "-oProxyCommand=x@nas:/srv",
    "ssh://-oProxyCommand=touch x/srv",
    "ssh://-oProxyCommand=x@nas/srv",
    "ssh://nas",
    "ssh://nas/",
    "ssh://nas/.",
    "ssh://nas/~",
    "ssh://nas/~/",
    "ssh://nas/~-x/y",
    "ssh://nas/~{client}/y",
    "ssh:///srv",
    "ssh://@nas/srv",
    "ssh://nas:/srv",
    "ssh://nas:0/srv",
    "ssh://nas:65536/srv",
    "ssh://nas:2x/srv",
    "ssh://nas:\uff12\uff12/srv",
    f"ssh://nas:{'9' * 5000}/srv",
    "ssh://[nas]/srv",
    "ssh://]nas[/srv",
    "ssh://::1/srv",
    "ssh://[::1/srv",
    "ssh://[::1%eth0]/srv",
    "http://nas/srv",
    "file:///srv",
    "rsync://nas/srv",
    "SSH://nas/srv",
    "nas:",
    "nas:.",
    "nas:..",
    "nas:../x",
    "nas:~",
    ":x",
    "/srv::archive",
    "/srv/borg:",
    "nas:/srv::archive",
    "/srv/{hostname}",
    "/srv/{now}",
    "/srv/{client}{",
    "/srv/{{client}}",
    "/srv/{ client }",
    "/srv/{CLIENT}",
    "/srv/'x'",
    '/srv/"x"',
    "/srv/`id`",
    "/srv/$HOME",
    "/srv/a\\b",
    "/srv/a\nb",
    "/srv/a\x00b",
    " /srv",
    "/srv ",
    "/srv/ a/b",
    None,
    5,
    b"/srv",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path)[:40])
def test_paths(path: Any) -> None:
    with pytest.raises(cy.Invalid, match="repository path") as refused:
        cy.Repository("vault", path)
    assert len(str(refused.value)) < 1000


def test_a_password_in_a_path_is_not_shown() -> None:
    with pytest.raises(cy.Invalid) as refused:
        cy.Repository("vault", "ssh://borg:hunter2@nas/srv")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["ansible_host", "ANSIBLE_CONNECTION", "Ansible_ssh_Common_Args", "ansible_x"])
@pytest.mark.parametrize(
    "build",
    [
        lambda values: cy.Policy("etc", "config", repository=1, extra_vars=values),
        lambda values: cy.Client("web", host_vars=values),
        lambda values: cy.Job(kind="backup", extra_vars=values),
        lambda values: cy.Job(kind="restore", options=values),
        Variables,
    ],
)
def test_ansible_is_not_told_how_to_reach_hosts(build: Build, name: str) -> None:
    with pytest.raises(cy.Invalid, match=name):
        build({name: "local"})


HOST_VARIABLES: list[Mapping[str, Any]] = [
    {"connection": "local"},
    {"ssh_args": "-oProxyCommand=x"},
    {"become_method": "runas"},
    {"become_method": "doas"},
    {"become_method": "sudo; id"},
    {"become_method": ""},
    {"become_flags": "-S"},
    {"become_user": "root; id"},
    {"interpreter": "python3"},
    {"interpreter": "/usr/bin/env python3"},
    {"interpreter": "/bin/sh -c id"},
    {"interpreter": "/usr/bin/python3;id"},
    {"interpreter": "/usr/bin/python3\n"},
    {"interpreter": "/usr/bin/{{ x }}"},
    {"interpreter": ["/usr/bin/python3"]},
    {"interpreter": None},
    {"": "x"},
]


@pytest.mark.parametrize("values", HOST_VARIABLES, ids=str)
def test_host_variables(values: Mapping[str, Any]) -> None:
    with pytest.raises(cy.Invalid, match="host_vars"):
        cy.Client("web", host_vars=values)


TRUSTED: list[Any] = [
    {"a b": "x"},
    {"a\n": "x"},
    {5: "x"},
    {"x": None},
    {"x": ["a"]},
    {"x": "a\x00b"},
    "text",
    5,
    [("a",)],
    {"ansible_host": "x"},
    {"ansible_ssh_common_args": "-o StrictHostKeyChecking=no"},
    {"ansible_connection": "local"},
]


@pytest.mark.parametrize("values", TRUSTED, ids=str)
def test_trusted_variables(values: Any) -> None:
    with pytest.raises(cy.Invalid, match="trusted_vars"):
        cy.Client("web", trusted_vars=values)


@pytest.mark.parametrize(
    "values",
    [
        {"ansible_connection": "local"},
        {"Ansible_Host": "localhost"},
        {"cyborg_role": "evil"},
        {"borg_repository": "/elsewhere"},
        {"policy_config_exclude": []},
        {"exclude": "a\x00b"},
        {"exclude": [{"style": "sh", "pattern": "x"}]},
        {"no_such_option": 1},
        {"a\n": 1},
        "text",
    ],
    ids=repr,
)
def test_a_launch_that_is_refused_queues_nothing(values: Any) -> None:
    with cy.Cyborg("sqlite://", executor=FakeExecutor()) as cyborg:
        vault = cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/borg/{client}"))
        web = cyborg.clients.add(cy.Client("web"))
        policy = cyborg.policies.add(cy.Policy("etc", "config", repository=vault, clients=[web]))
        with pytest.raises(cy.Invalid):
            cyborg.launch(policy, extra_vars=values)
        assert len(cyborg.jobs) == 0
        with pytest.raises(cy.Invalid):
            cyborg.policies.add(cy.Policy("own", "config", repository=vault, clients=[web], extra_vars=values))
        assert len(cyborg.policies) == 1
