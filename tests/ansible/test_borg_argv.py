"""How Borg is called."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_argv import BadArgument
from hypothesis import given
from hypothesis import strategies as st

from tests.borg_itself import ask_borg


def test_a_whole_backup() -> None:
    argv, options_at = borg_argv.create(
        "etc+web1+20310102T030405Z+7.1", lock_wait=600, compression="auto,zstd,3", timestamp="2031-01-02T03:04:05",
        upload_ratelimit=500, excludes=["/etc/ssl", {"style": "shell", "pattern": "**/*.bak"}], one_file_system=True,
        exclude_caches=True, exclude_nodump=True,
    )  # fmt: skip
    assert argv == [
        "borg", "create", "--log-json", "--lock-wait", "600", "--json", "--progress", "--list", "--filter", "ECd",
        "--compression", "auto,zstd,3", "--timestamp", "2031-01-02T03:04:05", "--upload-ratelimit", "500",
        "--checkpoint-interval", "1800", "--one-file-system", "--exclude-caches", "--exclude-nodump",
        "--exclude", "pp:/etc/ssl", "--exclude", "sh:**/*.bak", "--", "::etc+web1+20310102T030405Z+7.1",
    ]  # fmt: skip
    assert argv[options_at] == "--"


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_an_exclude_never_loses_its_style(pattern: str) -> None:
    for style, prefix in borg_argv.STYLES.items():
        if style != "path":
            assert borg_argv.exclude({"style": style, "pattern": pattern}) == f"{prefix}:{pattern}"
    assert borg_argv.exclude("/" + pattern) == "pp:/" + pattern


@pytest.mark.parametrize("value", ["", "etc", "re:.*", "-x", "/a\0b", 7, None, {"style": "sh", "pattern": "x"}, {}, []])
def test_excludes_that_are_none(value: object) -> None:
    with pytest.raises(BadArgument):
        borg_argv.exclude(value)


@pytest.mark.parametrize("name", ["", "-x", "a b", "{now}", "a::b/c", "a/b", "a\nb", "x" * 300, None])
def test_names_that_are_none(name: object) -> None:
    with pytest.raises(BadArgument):
        borg_argv.archive(name)


ODD = [
    "by hand 1", "{now}", "a{{b}}", "[ab]*?", "[!a]", "a::b", "::", "-x", "ä\u20ac", "a\\b", "x" * 300, "sh:x", "re:.*",
]  # fmt: skip

PARSED = """
import json, re, sys
from borg.helpers import GlobSpec, Location
from borg.shellpattern import translate
found = []
for name, option in json.load(sys.stdin):
    sys_env = __import__("os").environ
    sys_env["BORG_REPO"] = "ssh://borg@nas/srv/borg/web1"
    pattern = re.compile(translate(GlobSpec(option), match_end=r"\\Z"))
    others = ["a", "b", "ab", "x", "", "now", name + "x", "x" + name]
    found.append([Location(name).archive, bool(pattern.match(option_name)) if (option_name := Location(name).archive)
                  else None, [other for other in others if pattern.match(other)]])
json.dump(found, sys.stdout)
"""


def test_archives_of_others_are_asked_for_by_any_name() -> None:
    asked = []
    for name in ODD:
        argv = borg_argv.archives(lock_wait=1, name=name)
        asked.append([borg_argv.contents(name, lock_wait=1)[-1], argv[argv.index("--glob-archives") + 1]])
    # Borg itself finds that one, and no other.
    assert ask_borg(PARSED, asked) == [[name, True, []] for name in ODD]


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "\x00", "\ud800", "\x1b[2J", "x" * 301, None, 7])
def test_names_that_nobody_can_ask_for(name: object) -> None:
    assert not borg_argv.nameable(name)
    with pytest.raises(BadArgument):
        borg_argv.existing(name)


@pytest.mark.parametrize(
    ("path", "inside"),
    [("/etc/a", "etc/a"), ("etc/a/", "etc/a"), ("/re:.*", "re:.*"), ("-x", "-x"), ("/{now}/\n", "{now}/\n")],
)
def test_paths_to_restore_are_paths(path: str, inside: str) -> None:
    assert borg_argv.inside(path) == inside
    assert borg_argv.extract("a", [path], lock_wait=1)[-3:] == ["--", "::a", "pp:" + inside]


@pytest.mark.parametrize("path", ["", "/", "/a/../b", "..", "a\0b", None])
def test_paths_that_are_none(path: object) -> None:
    with pytest.raises(BadArgument):
        borg_argv.inside(path)


def test_a_relocated_repository_is_only_followed_by_its_id() -> None:
    assert "BORG_RELOCATED_REPO_ACCESS_IS_OK" not in borg_argv.environment("/srv/x")
    pinned = borg_argv.environment("/srv/x", pinned=True, base_dir="/b", files_cache_suffix="policy-7")
    assert pinned["BORG_RELOCATED_REPO_ACCESS_IS_OK"] == "yes"
    assert "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK" not in pinned
    assert (pinned["BORG_BASE_DIR"], pinned["BORG_FILES_CACHE_SUFFIX"]) == ("/b", "policy-7")


def test_ssh_with_a_key_of_its_own_reads_nobodys_settings() -> None:
    argv = shlex.split(borg_argv.remote_shell(key="/etc/cyborg/keys/a b", known_hosts=True, connect_timeout=7))
    assert argv[:4] == ["sh", "-c", borg_argv.SSH, "ssh"]
    assert argv[4:8] == ["-F", "none", "-i", "/etc/cyborg/keys/a b"]
    for option in (
        "StrictHostKeyChecking=yes", "UserKnownHostsFile={job}/known_hosts", "GlobalKnownHostsFile=/dev/null",
        "BatchMode=yes", "IdentitiesOnly=yes", "ControlPath=none", "ForwardAgent=no", "ConnectTimeout=7",
    ):  # fmt: skip
        assert argv[argv.index(option) - 1] == "-o"


def test_ssh_as_the_account_has_it() -> None:
    argv = shlex.split(borg_argv.remote_shell())
    assert "-F" not in argv
    assert "-i" not in argv
    assert "BatchMode=yes" in argv
    assert not [option for option in argv if "HostKey" in option or "KnownHosts" in option]


@pytest.mark.parametrize("value", ["", "zstd,99x", "gzip", "none; rm", "auto"])
def test_compressions(value: str) -> None:
    if not value:
        assert "--compression" not in borg_argv.create("a", lock_wait=1, compression=value)[0]
        return
    with pytest.raises(BadArgument):
        borg_argv.create("a", lock_wait=1, compression=value)
