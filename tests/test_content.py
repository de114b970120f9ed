from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cyborglib import content
from cyborglib.errors import Invalid, NotFound
from cyborglib.model import Variables

ROOT = Path(__file__).resolve().parent.parent
OURS = ("config", "folders", "mail", "mysql", "piped", "postgresql", "rootfs", "vm")

REDIS = """
argument_specs:
  main:
    options:
      policy_redis_databases:
        type: raw
        description: The databases.
      policy_redis_password:
        type: str
        no_log: true
        description: [The I(password)., "Of C(redis-cli)."]
      policy_redis_mode:
        type: str
        choices: [rdb, aof]
        default: rdb
      policy_redis_port:
        type: int
        no_log: true
      policy_redis_options:
        type: dict
        options:
          depth: {type: int, required: true}
      borg_repository: {type: str, required: true}
"""


@pytest.fixture
def own_role(tmp_path: Path) -> Callable[..., Path]:
    """Writes a role of the user's with these argument specs, and gives the roles path."""

    def write(specs: str | None, name: str = "policy_redis", file: str = "argument_specs.yml") -> Path:
        meta = tmp_path / "roles" / name / "meta"
        meta.mkdir(parents=True)
        if specs is not None:
            (meta / file).write_text(specs)
        return tmp_path / "roles"

    return write


def test_collection_is_where_ansible_looks() -> None:
    root = content.collections_path() / "ansible_collections/cyborg/backup"
    assert {"galaxy.yml", "meta", "playbooks", "plugins", "roles"} <= set(os.listdir(root))


def test_collection_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(content, "__file__", str(tmp_path / "cyborglib/content.py"))
    with pytest.raises(NotFound, match="install it again from a wheel"):
        content.collections_path()


def test_playbook() -> None:
    assert content.playbook_path("backup").read_text().startswith("---")
    with pytest.raises(NotFound, match=r"no playbook 'bakup' \(did you mean 'backup'\?\); there are: "):
        content.playbook_path("bakup")
    with pytest.raises(NotFound):
        content.playbook_path("../galaxy")


def test_types_on_offer() -> None:
    assert content.policy_types() == OURS
    assert content.role_name("config") == "cyborg.backup.policy_config"
    assert content.roles()["config"].name == "policy_config"


def test_types_of_the_users_own(own_role: Callable[..., Path]) -> None:
    path = own_role(REDIS)
    (path / "policy_Bad-name/meta").mkdir(parents=True)
    (path / "nginx").mkdir()
    (path / "README.md").touch()
    for given_path in (path, str(path), [path], (str(path), path)):
        assert content.policy_types(given_path) == tuple(sorted((*OURS, "redis")))
    assert content.role_name("redis", [path]) == "policy_redis"
    assert content.role_name("mail", [path]) == "cyborg.backup.policy_mail"


def test_the_first_folder_of_the_roles_path_wins(own_role: Callable[..., Path], tmp_path: Path) -> None:
    first = own_role(REDIS)
    second = tmp_path / "second"
    (second / "policy_redis/meta").mkdir(parents=True)
    assert content.roles([first, second])["redis"].parent == first
    assert content.roles([second, first])["redis"].parent == second


def test_our_roles_are_not_replaced_in_silence(own_role: Callable[..., Path]) -> None:
    with pytest.raises(Invalid, match="policy_config has the name of one of ours"):
        content.policy_types([own_role(REDIS, "policy_config")])


def test_roles_path_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere' is not a folder"):
        content.policy_types([tmp_path / "nowhere"])


@pytest.mark.parametrize("name", ["confg", "", "../policy_config", "Config", "config\n"])
def test_unknown_type(name: str) -> None:
    for ask in (content.role_name, content.specs, lambda name: content.check_extra_vars(name, {})):
        with pytest.raises(Invalid, match=r"is not known.* There are: config, folders, mail, mysql, piped"):
            ask(name)


def test_options_of_a_role_of_the_users_own(own_role: Callable[..., Path]) -> None:
    options = content.specs("redis", [own_role(REDIS)])
    assert list(options) == ["databases", "password", "mode", "port", "options"]
    assert options["password"] == content.Option(
        "password", description=("The password.", "Of redis-cli."), secret=True
    )
    assert options["mode"].choices == ("rdb", "aof")
    assert options["mode"].default == "rdb"


@pytest.mark.parametrize("file", ["argument_specs.yml", "argument_specs.yaml", "main.yml"])
def test_files_in_which_ansible_looks_for_specs(own_role: Callable[..., Path], file: str) -> None:
    assert "mode" in content.specs("redis", [own_role(REDIS, file=file)])


def test_specs_are_read_again_when_they_change(own_role: Callable[..., Path]) -> None:
    path = own_role(REDIS)
    assert "modes" not in content.specs("redis", [path])
    (path / "policy_redis/meta/argument_specs.yml").write_text(REDIS.replace("redis_mode", "redis_modes"))
    assert "modes" in content.specs("redis", [path])


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (None, "has no meta/argument_specs.yml"),
        ("", "no mapping argument_specs.main.options"),
        ("argument_specs: [", "cannot be read"),
        ("argument_specs: !vault x", "cannot be read"),
        ("argument_specs: {other: {options: {}}}", "no mapping argument_specs.main.options"),
        ("argument_specs: {main: {options: [a]}}", "no mapping argument_specs.main.options"),
        ("argument_specs: {main: {options: {port: {type: int}}}}", "'port'; the name of an option begins with policy_"),
        ("argument_specs: {main: {options: {policy_redis_a: int}}}", "policy_redis_a, must be a mapping"),
        ("argument_specs: {main: {options: {policy_redis_a: {type: text}}}}", "has the type 'text'"),
        ("argument_specs: {main: {options: {policy_redis_a: {type: raw, elements: str}}}}", "only a list has"),
        ("argument_specs: {main: {options: {policy_redis_a: {choices: x}}}}", "'choices' that are not a list"),
        ("argument_specs: {main: {options: {policy_redis_a: {required: true, default: 1}}}}", "one of these only"),
        ("argument_specs: {main: {options: {policy_redis_a: {description: [a: b]}}}}", "quote what holds a colon"),
        ("argument_specs: {main: {options: {policy_redis_a: {default: 2020-02-02}}}}", "default is a date"),
    ],
)
def test_broken_specs_name_their_file(own_role: Callable[..., Path], specs: str | None, said: str) -> None:
    path = own_role(specs)
    with pytest.raises(Invalid) as caught:
        content.specs("redis", [path])
    assert said in str(caught.value)
    assert str(path / "policy_redis") in str(caught.value)


def test_a_role_may_take_nothing(own_role: Callable[..., Path]) -> None:
    path = own_role("argument_specs: {main: {short_description: Nothing}}")
    assert content.check_extra_vars("redis", {}, [path]) == Variables()
    with pytest.raises(Invalid, match="It takes: nothing"):
        content.check_extra_vars("redis", {"x": 1}, [path])


@pytest.mark.parametrize(
    ("type", "variables", "checked"),
    [
        ("config", {}, {}),
        ("config", {"exclude": ["/etc/ssl"]}, {"exclude": ["/etc/ssl"]}),
        ("config", {"exclude": "/etc/a,b"}, {"exclude": ["/etc/a,b"]}),
        ("config", {"exclude": None, "allow_empty": True}, {"allow_empty": True}),
        ("config", {"allow_empty": "yes", "max_unreadable": "7"}, {"allow_empty": True, "max_unreadable": 7}),
        ("rootfs", {"exclude": {"style": "fnmatch", "pattern": "*.iso"}}, None),
        (
            "rootfs",
            {"exclude": [{"style": "shell", "pattern": "**/*.iso"}, {"style": "path", "pattern": "/a*b"}]},
            {"exclude": [{"style": "shell", "pattern": "**/*.iso"}, {"style": "path", "pattern": "/a*b"}]},
        ),
        ("folders", {"folders": "/srv/a,b"}, {"folders": ["/srv/a,b"]}),
        ("folders", {"folders": ["/srv/{{ 7*7 }}; touch x"]}, {"folders": ["/srv/{{ 7*7 }}; touch x"]}),
        ("folders", {"folders": ["/$HOME/~/re:.*/\n/-x/{now}"]}, {"folders": ["/$HOME/~/re:.*/\n/-x/{now}"]}),
    ],
)
def test_extra_vars_that_are_taken(type: str, variables: dict[str, Any], checked: dict[str, Any] | None) -> None:
    if checked is None:  # one mapping is not a list; a text is taken for a list of one only
        with pytest.raises(Invalid, match="exclude must be a list"):
            content.check_extra_vars(type, variables)
    else:
        found = content.check_extra_vars(type, variables)
        assert found.plain() == checked
        assert content.check_extra_vars(type, found) == found


@pytest.mark.parametrize(
    ("type", "variables", "said"),
    [
        ("config", {"exclud": []}, r"takes no 'exclud' \(did you mean 'exclude'\?\)\. It takes: exclude, one_file"),
        ("config", {"policy_config_exclude": []}, r"\(here it is called 'exclude'\)"),
        ("config", {"policy_folders_exclude": []}, "takes no"),
        ("config", {"folders": ["/etc"]}, "takes no 'folders'"),
        ("config", {"borg_repository": "/x"}, "takes no 'borg_repository'"),
        ("config", {"ansible_connection": "local"}, "'ansible_connection' would change how Ansible reaches hosts"),
        ("config", {"Ansible_Connection": "local"}, "would change how Ansible reaches hosts"),
        ("config", {"exclude": 5}, "exclude must be a list, not 5"),
        ("config", {"exclude": ["*.tmp"]}, r"{'style': 'shell', 'pattern': '\*\*/\*.tmp'}"),
        ("config", {"exclude": ["etc/x"]}, r"no whole path .*'\*\*/etc/x'"),
        ("config", {"exclude": ["/etc/*.bak"]}, r"'pattern': '/etc/\*.bak'"),
        ("config", {"exclude": ["/etc/../x"]}, r"without '\.\.'"),
        ("config", {"exclude": [5]}, "exclude.0. must be a path, or a mapping of 'style' and 'pattern'"),
        ("config", {"exclude": [{"style": "sh", "pattern": "x"}]}, "styles are path, shell, fnmatch, regex"),
        ("config", {"exclude": [{"style": "shell"}]}, "must be a path, or a mapping"),
        ("config", {"exclude": [{"style": "shell", "pattern": ""}]}, "a pattern is a text"),
        ("config", {"exclude": [{"style": "path", "pattern": "x"}]}, "a whole path"),
        ("config", {"exclude": [{"style": "regex", "pattern": "("}]}, "the regular expression"),
        ("config", {"exclude": [{"style": "regex", "pattern": "a{99999999999999999999}"}]}, "the regular expression"),
        ("config", {"exclude": [{"style": "shell", "pattern": "**/\udcff"}]}, "UTF-8"),
        ("folders", {"folders": ["/srv/\udcff"]}, "folders.0. must be UTF-8"),
        ("piped", {"command": "cat /srv/\udcff"}, "command holds a NUL or half a character"),
        ("mysql", {"password": "\ud800"}, "password holds a NUL or half a character"),
        ("config", {"allow_empty": "perhaps"}, "allow_empty"),
        ("config", {"max_unreadable": True}, "max_unreadable must be a number"),
        ("config", {"max_unreadable": "many"}, "max_unreadable"),
        ("config", {"exclude": ["/etc/\0"]}, "NUL"),
        ("folders", {}, "needs 'folders' in its extra_vars: The folders and files"),
        ("folders", {"folders": None}, "needs 'folders'"),
        ("folders", {"folders": []}, "needs 'folders'"),
        ("folders", {"folders": ["srv"]}, r"folders.0. must be a whole path on the client, from / on, not 'srv'"),
        ("folders", {"folders": ["~/x"]}, "must be a whole path"),
        ("folders", {"folders": ["-x"]}, "must be a whole path"),
        ("folders", {"folders": [["/srv"]]}, "must be a whole path"),
    ],
)
def test_extra_vars_that_are_refused(type: str, variables: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        content.check_extra_vars(type, variables)


def test_the_users_own_options(own_role: Callable[..., Path]) -> None:
    path = [own_role(REDIS)]
    values = {"databases": "a,b", "mode": "aof", "options": {"depth": "2"}, "password": 5}
    found = content.check_extra_vars("redis", values, path)
    assert found.plain() == {"databases": ["a,b"], "mode": "aof", "options": {"depth": 2}, "password": "5"}
    for wrong, said in [
        ({"mode": "x"}, "value of mode must be one of: rdb, aof"),
        ({"mode": ["rdb"]}, "mode must be a text"),
        ({"options": {}}, "depth"),
        ({"options": {"depth": 1, "more": 2}}, "options.more"),
        ({"options": "depth=1"}, "options must be a mapping"),
    ]:
        with pytest.raises(Invalid, match=said):
            content.check_extra_vars("redis", wrong, path)


@pytest.mark.parametrize("variables", [{"password": ["canary"]}, {"port": "canary"}, {"port": {"canary": 1}}])
def test_a_secret_is_not_in_the_message(own_role: Callable[..., Path], variables: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        content.check_extra_vars("redis", variables, [own_role(REDIS)])
    assert "canary" not in str(caught.value)
    assert "canary" not in str(caught.value.__cause__)


def test_variables_of_the_role() -> None:
    assert content.role_variables("config", {"exclude": ["/etc/x"]}) == {"policy_config_exclude": ["/etc/x"]}
    assert content.role_variables("config", Variables()) == {}


paths = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map("/".__add__)


@given(st.lists(paths.filter(lambda path: ".." not in path.split("/")), min_size=1))
def test_paths_are_data(folders: list[str]) -> None:
    assert content.check_extra_vars("folders", {"folders": folders}).plain() == {"folders": folders}


@pytest.mark.parametrize("role", sorted((ROOT / "roles").iterdir()), ids=lambda path: path.name)
def test_defaults_are_those_of_the_specs(role: Path) -> None:
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    declared = {}
    for entry_point in entry_points.values():
        for name, option in entry_point.get("options", {}).items():
            assert option["description"], name
            assert name.startswith(f"{role.name}_")
            # Without a default it means something to be left out, or it is as the policy has it.
            if not option.get("required") and "default" in option:
                assert declared.setdefault(name, option["default"]) == option["default"], name
    # The machine's name is no option: the library fills it.
    assert {name: value for name, value in defaults.items() if name != content.MACHINE} == declared


def test_the_roles_own_excludes_are_well_formed() -> None:
    variables = yaml.safe_load((content.roles()["rootfs"] / "vars/main.yml").read_text())
    excludes = variables["policy_rootfs__always_excluded"]
    assert content.check_extra_vars("rootfs", {"exclude": excludes}).plain() == {"exclude": excludes}


def test_checkout_is_found_from_any_folder(tmp_path: Path) -> None:
    program = "from cyborglib import content; print(content.policy_types())"
    env = {**os.environ, "PYTHONPATH": str(Path(content.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(OURS)


def test_the_page_of_options_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts/policy-docs"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
