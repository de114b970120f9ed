"""Repository paths as people write them, and what Borg itself makes of what we make of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyborglib import Invalid
from cyborglib.model import Location
from tests.borg_itself import ask_borg

#: Text, then host, user, port, path, and what Borg is given.
TABLE = [
    ("/srv/borg", "", "", None, "/srv/borg", "/srv/borg"),
    ("/srv/borg/", "", "", None, "/srv/borg", "/srv/borg"),
    ("//srv/./borg//x/.", "", "", None, "/srv/borg/x", "/srv/borg/x"),
    ("/srv/my borg", "", "", None, "/srv/my borg", "/srv/my borg"),
    ("/srv/Bücher:1", "", "", None, "/srv/Bücher:1", "/srv/Bücher:1"),
    ("/./srv", "", "", None, "/srv", "/srv"),
    ("/~/srv", "", "", None, "/~/srv", "/~/srv"),
    ("nas:/srv/borg", "nas", "", None, "/srv/borg", "ssh://nas/srv/borg"),
    ("borg@nas:/srv/borg", "nas", "borg", None, "/srv/borg", "ssh://borg@nas/srv/borg"),
    ("borg@nas:backup/x", "nas", "borg", None, "/./backup/x", "ssh://borg@nas/./backup/x"),
    ("borg@nas:./backup", "nas", "borg", None, "/./backup", "ssh://borg@nas/./backup"),
    ("borg@nas:~/backup", "nas", "borg", None, "/~/backup", "ssh://borg@nas/~/backup"),
    ("borg@nas:~eve/backup", "nas", "borg", None, "/~eve/backup", "ssh://borg@nas/~eve/backup"),
    ("borg@10.0.0.1:/srv", "10.0.0.1", "borg", None, "/srv", "ssh://borg@10.0.0.1/srv"),
    ("borg@[2001:db8::1]:/srv", "2001:db8::1", "borg", None, "/srv", "ssh://borg@[2001:db8::1]/srv"),
    ("ssh://nas/srv", "nas", "", None, "/srv", "ssh://nas/srv"),
    ("ssh://borg@nas:2222/srv/x/", "nas", "borg", 2222, "/srv/x", "ssh://borg@nas:2222/srv/x"),
    ("ssh://borg@nas:022/srv", "nas", "borg", 22, "/srv", "ssh://borg@nas:22/srv"),
    ("ssh://borg@nas/./rel", "nas", "borg", None, "/./rel", "ssh://borg@nas/./rel"),
    ("ssh://borg@nas/././rel", "nas", "borg", None, "/./rel", "ssh://borg@nas/./rel"),
    ("ssh://borg@nas/~/rel", "nas", "borg", None, "/~/rel", "ssh://borg@nas/~/rel"),
    ("ssh://borg@nas/~eve/rel", "nas", "borg", None, "/~eve/rel", "ssh://borg@nas/~eve/rel"),
    ("ssh://nas//srv//x", "nas", "", None, "/srv/x", "ssh://nas/srv/x"),
    ("ssh://[::1]:22/srv", "::1", "", 22, "/srv", "ssh://[::1]:22/srv"),
    ("ssh://u1.box.example/./x:y", "u1.box.example", "", None, "/./x:y", "ssh://u1.box.example/./x:y"),
]


@pytest.mark.parametrize(("text", "host", "user", "port", "path", "given"), TABLE)
def test_parse(text, host, user, port, path, given):
    location = Location.parse(text)
    assert location == Location(path=path, host=host, user=user, port=port)
    assert str(location) == given
    assert Location.parse(given) == location


def test_borg_reads_the_same():
    texts = sorted({row[5] for row in TABLE})
    program = (
        "import json, sys; from borg.helpers.parseformat import Location\n"
        "found = [Location(text + '::a') for text in json.load(sys.stdin)]\n"
        "print(json.dumps([[l.host or '', l.user or '', l.port, l.path, l.archive] for l in found]))"
    )
    ours = [Location.parse(text) for text in texts]
    assert ask_borg(program, texts) == [[one.host, one.user, one.port, one.path, "a"] for one in ours]


hosts = st.sampled_from(["", "nas", "nas.example.org", "10.0.0.1", "2001:db8::1"])
users, ports = st.sampled_from(["", "borg@"]), st.sampled_from(["", ":22"])
parts = st.text(st.sampled_from("abz09._-~:@+%#;&|*?<>()[]= éß{}"), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(host=hosts, user=users, port=ports, parts=st.lists(parts, max_size=4))
def test_what_is_taken_comes_back_the_same(host, user, port, parts):
    path = "/" + "/".join(parts)
    shown = f"[{host}]" if ":" in host else host
    text = f"ssh://{user}{shown}{port}{path}" if host else path
    try:
        location = Location.parse(text)
    except Invalid:
        return
    assert (location.host, location.local) == (host, not host)
    assert Location.parse(str(location)) == location
    assert not any(word in str(location).removeprefix("ssh://") for word in ("::a", "//", "/../"))


def test_each_client_has_its_own():
    location = Location.parse("borg@nas:/srv/{client}/borg")
    assert location.per_client
    assert not location.local
    assert str(location.expand("web1-3")) == "ssh://borg@nas/srv/web1-3/borg"
    assert not Location.parse("borg@nas:/srv").per_client
    assert Location.parse("/srv").per_client, "a folder on each client is one for each"


def test_an_address_makes_a_path_that_can_be_read_again():
    location = Location.parse("borg@nas:/srv/{client}").expand("2001:db8::1-3")
    assert str(location) == "ssh://borg@nas/srv/2001-db8--1-3"
    assert Location.parse(str(location)) == location


def test_what_begins_in_a_home_is_not_absolute():
    assert [Location.parse(text).absolute for text in ("/srv", "nas:/srv", "nas:srv", "nas:~/srv", "nas:~eve/srv")] == [
        True,
        True,
        False,
        False,
        False,
    ]
