"""The order of the house: who may import whom, where a foreign library lives, what nobody does."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cyborglib"

#: A room imports from those above it only (and from itself, if it is a package). A new one gets a place here.
ROOMS = (
    {"errors", "version"},
    {"secret", "cronfields", "parts", "timezones"},
    {"crontab"},
    {"model"},
    {"events", "executor", "optionvalues", "planning", "retention", "scheduling", "sealing"},
    {"content", "keys", "proving", "sanity"},
    {"newkey"},
    {"ansible", "kinds", "store"},
    {"adopting", "given", "invitations", "kit", "machines"},
    {"launching", "upkeep"},
    {"checking", "drilling", "engine", "expiring", "measuring", "restoring", "testing", "timetable", "watch"},
    {"facade"},
    {"console", "cyborg"},
    {"__init__"},
    {"celery", "cli", "contrib"},
)
LEVEL = {name: level for level, names in enumerate(ROOMS) for name in names}

#: Below in the order, and still none of their business.
STRANGERS = {("store", "content"), ("kinds", "content"), ("engine", "content")}

#: The place of each foreign library. attrs is everywhere.
PLACES = {
    "alembic": {"store"},
    "ansible": {"content"},
    "ansible_runner": {"ansible"},
    "croniter": {"crontab"},
    "cryptography": {"sealing"},
    "platformdirs": {"facade", "keys"},
    "psycopg": {"store"},
    "sqlalchemy": {"store"},
    "yaml": {"content"},
}
#: Except for a name in a signature: a host application's Engine is given to the facade.
SIGNATURES = {("facade", "sqlalchemy.Engine")}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of what a module imports, wherever in it that is."""
    package = ("cyborglib", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def rooms_imported(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] == "cyborglib":
            known = len(parts) > 1 and ((PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file())
            yield line, parts[1] if known else "__init__"


def test_every_room_has_a_place() -> None:
    assert {room(path) for path in sources()} <= LEVEL.keys()


def test_imports_run_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}"
        for path in sources()
        for line, other in rooms_imported(path)
        if other != room(path) and (LEVEL[other] >= LEVEL[room(path)] or (room(path), other) in STRANGERS)
    ]
    assert not wrong


def test_only_the_facade_knows_the_ansible_executor() -> None:
    assert {room(p) for p in sources() for _, other in rooms_imported(p) if other == "ansible"} <= {"ansible", "facade"}


def test_one_foreign_library_per_room() -> None:
    ours = {"attr", "attrs", "cyborglib", "typing_extensions"} | sys.stdlib_module_names
    foreign = [
        (path.relative_to(ROOT), line, name.split(".")[0], room(path))
        for path in sources()
        for line, name in imported(path)
        if name.split(".")[0] not in ours
        and LEVEL[room(path)] <= LEVEL["__init__"]
        and (room(path), name) not in SIGNATURES
    ]
    assert foreign
    assert not [where for where in foreign if where[3] not in PLACES.get(where[2], ())]


@pytest.mark.parametrize(
    ("called", "where"),
    [
        ("os.environ", {"ansible", "facade"}),
        ("os.getenv", {"ansible", "facade"}),
        ("signal.signal", {"cli"}),
        ("logging.basicConfig", set()),
        ("os.system", set()),
        ("pickle.loads", set()),
    ],
)
def test_what_nobody_does(called: str, where: set[str]) -> None:
    users = {
        room(path)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == called
    }
    assert users <= where


def test_files_are_short() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in sources()}
    assert statistics.median(lines.values()) <= 150
    assert not {path.name: count for path, count in lines.items() if count > 500}


def test_every_module_says_what_it_is() -> None:
    texts = {path: path.read_text() for path in sources()}
    assert not [path for path, text in texts.items() if len(text) > 100 and not ast.get_docstring(ast.parse(text))]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def test_nothing_names_the_place_it_was_written_at() -> None:
    names = ["/" + "work/", "../" + "shared", "/tmp/" + "team", "issue" + " #", "opt/" + "pypi"]
    pattern = re.compile("|".join(map(re.escape, names)))
    named = []
    for path in tracked():
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes().decode(errors="replace")
            named += [f"{path.relative_to(ROOT)}: {found[0]}" for found in pattern.finditer(text)]
    assert not named


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in tracked() if path.suffix == ".md" and path.is_file()]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in link
    ]
    assert links
    assert not [f"{page.relative_to(ROOT)}: {link}" for page, link in links if not (page.parent / link).exists()]


def test_import_is_light() -> None:
    heavy = ["alembic", "ansible", "ansible_runner", "celery", "flask", "psycopg", "yaml"]
    program = f"import cyborglib, sys; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_content_is_light_until_it_is_asked() -> None:
    program = "import cyborglib.content, sys; print([n for n in ('ansible', 'yaml') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_plugins_carry_their_licence() -> None:
    unmarked = [
        path
        for path in tracked()
        if path.is_relative_to(ROOT / "plugins")
        and path.suffix == ".py"
        and path.is_file()
        and "SPDX-License-Identifier: GPL-3.0-or-later" not in path.read_text()[:200]
    ]
    assert not unmarked
