"""What people install: the wheel is built from what git knows, and a backup is run from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

import cyborglib

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "cyborglib/ansible_collections/cyborg/backup/"
CONTENT = ("galaxy.yml", "meta/", "playbooks/", "plugins/", "roles/")

BACKUP = """
import sys
from pathlib import Path
import cyborglib as cy
from cyborglib import content

here, source = Path.cwd(), Path(sys.argv[1])
assert not list(here.iterdir())
for module in (cy, content):
    assert Path(module.__file__).is_relative_to(sys.prefix), module.__file__
assert content.collections_path().is_relative_to(sys.prefix), content.collections_path()

with cy.Cyborg("sqlite:///cyborg.db", state_dir=here / "state") as cyborg:
    client = cyborg.clients.add(cy.Client("localhost", connection="local"))
    vault = cyborg.repositories.add(cy.Repository("vault", str(here / "vault-{client}")))
    policy = cyborg.policies.add(
        cy.Policy("files", type="folders", repository=vault, clients=[client], extra_vars={"folders": [str(source)]})
    )
    [job] = cyborg.run(policy)
    assert job.status == "successful", (job.error, cyborg.output(job))
    [archive] = [cyborg.archives.get(id) for id in job.archives]
    assert archive.files == 1, archive
    restored = cyborg.restore(archive, [str(source / "a b")], to=client, destination=here / "back")
    cyborg.work()
    restored = cyborg.jobs.get(restored.id)
    assert restored.status == "successful", (restored.error, cyborg.output(restored))
print((here / "back" / str(source / "a b").lstrip("/")).read_text())
"""


def sources() -> list[str]:
    """What git has or would take (so that work in progress can be tested too), without links and what is deleted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip builds it, from a copy of the checkout in which Python has left its caches."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    (copy / ".ansible/ansible_collections/cyborg").mkdir(parents=True, exist_ok=True)
    (copy / ".ansible/ansible_collections/cyborg/backup").symlink_to("../../..")
    (copy / "plugins/__pycache__").mkdir()
    (copy / "plugins/__pycache__/x.cpython-311.pyc").write_bytes(b"stale")
    # Without --wheel: the source distribution first, and the wheel from that.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, what it depends on, and nothing of the checkout.

    The dependencies are lent by this environment: a path in a .pth file is added without the .pth files there,
    one of which would bring the checkout in. That all of them are declared is shown by `test_dependencies`.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_whole_collection_is_inside_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    expected = {INSIDE + name for name in sources() if name.startswith(CONTENT)}
    expected |= {name for name in sources() if name.startswith("cyborglib/")}
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == expected
    assert {name.rpartition("/")[2] for name in metadata} >= {"LICENSE", "METADATA", "RECORD"}


def test_the_collection_alone(tmp_path: Path) -> None:
    """`ansible-galaxy collection build` takes the Ansible side of the checkout, and does not run in circles."""
    command = [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", str(tmp_path)]
    subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "ANSIBLE_HOME": str(tmp_path)}
    )
    [built] = tmp_path.glob("cyborg-backup-*.tar.gz")
    with tarfile.open(built) as archive:
        files = {member.name for member in archive if not member.isdir()}
    made = {"FILES.json", "MANIFEST.json"}
    expected = {name for name in sources() if name.startswith(CONTENT[1:])}
    assert files - made == expected | {"CHANGELOG.md", "LICENSE", "README.md"}


def test_versions_agree() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == cyborglib.__version__


def test_dependencies(python: Path) -> None:
    [info] = python.parent.parent.glob("lib/python*/site-packages/cyborglib-*.dist-info")
    declared = {
        re.split(r"[^a-z0-9_-]", requirement.lower())[0]
        for requirement in Distribution.at(info).requires or []
        if "extra ==" not in requirement
    }
    imported = {"alembic", "ansible-core", "ansible-runner", "attrs", "croniter", "cryptography", "platformdirs"}
    assert imported | {"pyyaml", "sqlalchemy"} <= declared


def run(python: Path, *arguments: str, cwd: Path, **settings: str) -> Any:
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd.parent), "LANG": "C.UTF-8", **settings}
    return subprocess.run([str(python), *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def test_ansible_reads_the_collection_from_there(python: Path, tmp_path: Path) -> None:
    cwd = tmp_path / "empty"
    cwd.mkdir()
    asked = "from cyborglib import content; print(content.collections_path()); print(*content.policy_types())"
    done = run(python, "-c", asked, cwd=cwd)
    assert done.returncode == 0, done.stderr
    path, types = done.stdout.splitlines()
    assert types.split() == ["config", "folders", "mail", "mysql", "piped", "postgresql", "rootfs", "vm"]
    done = run(
        python,
        *("-m", "ansible", "playbook", "--syntax-check", "-i", "localhost,", "-e", "cyborg_role=policy_config"),
        "cyborg.backup.backup",
        cwd=cwd,
        ANSIBLE_COLLECTIONS_PATH=path,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_backup_and_restore_from_the_wheel(python: Path, tmp_path: Path) -> None:
    cwd, source = tmp_path / "empty", tmp_path / "source"
    cwd.mkdir()
    source.mkdir()
    (source / "a b").write_text("what was saved")
    done = run(python, "-W", "error", "-c", BACKUP, str(source), cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == "what was saved"
