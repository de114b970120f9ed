"""What was compiled is kept for the next exchange, and taken only where it can be root's own alone."""

import hashlib
import os
import stat
import subprocess
import sys

import pytest

from .conftest import agent_module

bundle = sys.modules["cyborg_agent.bundle"]
SOURCE = bundle._joined(tuple(agent_module.PIECES["ask"]))
#: A program that tells whether it was compiled by the exchange it runs in.
TOLD = SOURCE + 'print("kept" if "cyborg-agent" == main.__code__.co_filename else "other")\n'


@pytest.fixture
def run(place):
    """Runs scripts and exchanges in a mount namespace whose /run is empty; gives what the exchanges said."""

    def do(script, source=TOLD, interpreter=sys.executable, user="root"):
        request = {"op": "ask", "job": "1.1", "root": str(place / "jobs")}
        (place / "program").write_bytes(bundle._composed(source, request))
        place.chmod(0o755)
        once = f"setpriv --reuid={user} --clear-groups {interpreter} -I -S - < program"
        text = f"cd {place}; mount -t tmpfs -o mode=755 tmpfs /run; exchange() {{ {once}; }}\n{script}"
        done = subprocess.run(["unshare", "--mount", "sh", "-e", "-c", text], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert b"@@cyborg@@" in done.stdout
        return [line for line in done.stdout.decode().splitlines() if line and "@@cyborg@@" not in line]

    return do


CODE = 'mkdir -m 700 /run/cyborg; exchange; for code in /run/cyborg/.code/*; do stat -c "%a %U %n" $code; done'


def test_it_is_kept_where_jobs_live_and_used_again(run):
    mode, kept = run(CODE)[-1].rsplit(" ", 1)
    assert mode == "600 root"
    digest = hashlib.sha256(TOLD.encode()).hexdigest()[:32]
    assert kept.startswith(f"/run/cyborg/.code/{digest}-")
    # One that says something else shows that it is the kept one that runs.
    other = TOLD.replace('"other"', '"x"').replace('"kept"', '"changed"')
    code = (
        "import marshal, sys; c = compile(open('other').read(), 'cyborg-agent', 'exec'); "
        "open(sys.argv[1], 'wb').write(marshal.dumps(c))"
    )
    script = f"cat > other <<'X'\n{other}\nX\n{CODE}; {sys.executable} -c \"{code}\" /run/cyborg/.code/*; exchange"
    assert [line for line in run(script) if "/" not in line] == ["kept", "changed"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("truncate -s 100 $code", "kept"),
        ("echo rubbish > $code", "kept"),
        (": > $code", "kept"),
        ("chmod 644 $code", "kept"),
        ("chown 1:1 $code", "kept"),
        ("mv $code /run/x; ln -s /run/x $code", "kept"),
        ("rm $code; mkdir $code", "kept"),
        ("chmod 755 /run/cyborg", "kept"),
        ("chown 1 /run/cyborg", "kept"),
        ("mv /run/cyborg /run/y; ln -s /run/y /run/cyborg", "kept"),
        ("rm -r /run/cyborg/.code; : > /run/cyborg/.code", "kept"),
        ("mount -o remount,ro /run", "kept"),
        ("rm $code; dd if=/dev/zero of=/run/cyborg/full bs=64k 2>/dev/null || true", "kept"),
    ],
)
def test_what_is_not_as_it_must_be_costs_time_only(run, spoil, said):
    script = f"{CODE}; code=$(echo /run/cyborg/.code/*)\nmount -o remount,size=4m /run\n{spoil}\nexchange"
    assert [line for line in run(script) if "/" not in line] == ["kept", said]


def test_nothing_is_kept_without_the_folder_or_for_others(run):
    assert run("exchange; ls -A /run") == ["kept"]
    assert run("mkdir -m 777 /run/cyborg; exchange; ls -A /run/cyborg", user="nobody") == ["kept"]


def test_older_ones_go(run):
    script = "umask 077; mkdir -p /run/cyborg/.code; for i in $(seq 20); do touch /run/cyborg/.code/$i; done; exchange"
    assert run(f"{script}; ls /run/cyborg/.code")[1:] == [run(CODE)[-1].rpartition("/")[2]]


def test_modules_in_the_current_folder_are_not_asked(place):
    for name in ("posix", "sys", "marshal"):
        (place / f"{name}.py").write_text("open('canary', 'w')")
    program = agent_module.exchange({"op": "ask", "job": "1.1", "root": str(place / "jobs")})
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, check=True, cwd=place)
    assert agent_module.answer(done.stdout.decode()) == {"state": "unknown"}
    assert not (place / "canary").exists()


def test_the_folder_is_no_job_to_the_sweep(target, place):
    (target.root / ".code").mkdir(parents=True, mode=0o700)
    target.root.chmod(0o700)
    (target.root / ".code" / "x").touch()
    os.utime(target.root / ".code", (0, 0))
    assert target.do("sweep", "1.1")["swept"] == 0
    assert stat.S_ISDIR((target.root / ".code").stat().st_mode)
