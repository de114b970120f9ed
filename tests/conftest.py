"""What tests may ask for: real ssh hosts and a real PostgreSQL. Whatever is missing is an error, never a skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.lab import Host, Lab, LabError
from tests.lab.postgresql import PostgreSQL

HostFactory = Callable[..., Host]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Real hosts on this machine. The session's SSH_AUTH_SOCK is the lab's agent, so that what runs under
    test reaches them as it would reach a user's hosts: with the key in the user's agent.
    """
    try:
        opened = Lab()
    except LabError as error:
        pytest.fail(str(error), pytrace=False)
    with opened, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSH_AUTH_SOCK", str(opened.auth_sock))
        yield opened


@pytest.fixture
def host_factory(lab: Lab) -> Iterator[HostFactory]:
    """Make hosts for one test, as `Lab.host` does; they are gone after it."""
    made: list[Host] = []

    def make(name: str | None = None, **asked: object) -> Host:
        made.append(lab.host(name, **asked))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for host in made:
        host.remove()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server of this session's own."""
    try:
        server = PostgreSQL()
    except LabError as error:
        pytest.fail(str(error), pytrace=False)
    yield server
    server.close()


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    url = postgresql.database()
    yield url
    postgresql.drop(url)
