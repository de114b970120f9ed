"""A job runs once and never "for ever", wherever the agent, its supervisor, the command or the engine are cut off."""

import fcntl
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .test_cancel import lives, wait_until


def begin(target, argv=("sleep", "300"), job="1.1", **request):
    target.do("start", job, argv=list(argv), follow=None, **request)
    target.wait_for(job, "running")
    return [int(pid) for pid in (target.folder(job) / "pid").read_text().split()]


def test_a_command_without_its_supervisor_still_runs(target):
    supervisor, command = begin(target)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not lives(supervisor))
    assert target.do("ask", "1.1") == {"state": "running"}
    assert target.do("follow", "1.1", wait=0.2)["state"] == "running"
    assert target.do("start", "1.1", argv=["true"])["started"] is False
    assert target.do("forget", "1.1")["error"]["code"] == "not_ended"
    os.kill(command, signal.SIGKILL)
    result = target.wait_for("1.1")["result"]
    assert (result["lost"], result["rc"], result["canceled"]) == (True, None, False)
    assert result["started_at"] == pytest.approx(time.time(), abs=120)
    assert target.do("ask", "1.1")["result"] == result
    assert target.do("forget", "1.1")["forgotten"] is True


def test_a_killed_command_is_a_result(target):
    _, command = begin(target)
    os.kill(command, signal.SIGKILL)
    result = target.wait_for("1.1")["result"]
    assert (result["signal"], result["rc"], result["lost"]) == (9, 137, False)


def test_the_job_outlives_the_exchange_that_started_it(target):
    process = target.popen("start", "1.1", argv=["sh", "-c", "sleep 1; echo done"], follow={"wait": 60, "quiet": 60})
    wait_until(lambda: (target.folder("1.1") / "pid").exists())
    process.kill()
    process.communicate()
    result = target.wait_for("1.1")["result"]
    assert (result["rc"], result["out"], result["lost"]) == (0, "done\n", False)


KILL = "os.kill(os.getpid(), 9)\n"


def killed_before(step):
    return step, step[: len(step) - len(step.lstrip())] + KILL + step


@pytest.mark.parametrize("moment", ["files", "rename", "launch", "supervise"])
def test_an_agent_killed_at_any_step_of_a_start(target, place, moment):
    """It dies by SIGKILL before the step; then either nothing is known of the job, or that it was lost."""
    ran, step = place / "ran", {
        "files": "        write_files(request, job, place)\n",
        "rename": "        os.rename(name, request[\"job\"], src_dir_fd=root, dst_dir_fd=root)\n",
        "launch": "        return job, launch(request, job, lock)\n",
        "supervise": "            supervise(request, job, lock, ring)\n",
    }[moment]
    process = target.popen("start", "1.1", patch=killed_before(step), argv=["touch", str(ran)], follow=None)
    process.communicate()
    assert process.returncode == (0 if moment == "supervise" else -9)
    if moment in ("files", "rename"):
        assert target.do("ask", "1.1") == {"state": "unknown"}
        assert target.start(["touch", str(ran)], job="1.1")["result"]["rc"] == 0
        leftover = [path for path in target.root.iterdir() if path.name.startswith(".new-")]
        assert len(leftover) == 1
        os.utime(leftover[0], (time.time() - 7200,) * 2)
        target.start(["true"], job="2.1")
        assert not leftover[0].exists()
    else:
        assert target.wait_for("1.1")["result"]["lost"] is True
        assert target.start(["touch", str(ran)], job="1.1")["started"] is False
        assert not ran.exists()


def test_a_supervisor_killed_before_it_tells_the_pid(target):
    """The command lives and nobody wrote its pid: running or starting, never lost; and cancel finds it by its lock."""
    patch = killed_before("        write_new(self.job, \"pid\", ")
    target.do("start", "1.1", patch=patch, argv=["sleep", "300"], follow=None)
    time.sleep(0.5)
    assert target.do("ask", "1.1") == {"state": "starting"}
    reply = target.do("cancel", "1.1", grace=1)
    assert (reply["state"], reply["result"]["lost"]) == ("ended", True)


def test_a_supervisor_killed_before_the_result(target):
    patch = killed_before("        remove_files(self.job)\n")
    reply = target.do("start", "1.1", patch=patch, argv=["true"], follow={"wait": 20, "quiet": 20})
    assert (reply["state"], reply["result"]["lost"]) == ("ended", True)


def test_a_supervisor_that_fails_leaves_a_reason(target):
    patch = ("        remove_files(self.job)\n", "        raise KeyError(\"canary\")\n")
    result = target.do("start", "1.1", patch=patch, argv=["true"], follow={"wait": 20, "quiet": 20})["result"]
    assert result["lost"] is True
    assert "KeyError in finish" in result["agent_error"]
    assert "canary" not in result["agent_error"]


def test_two_starts_at_once_are_one_run(target, place):
    count = place / "count"
    for round_ in range(5):
        job = f"{round_}.1"

        def start(_, job=job):
            return target.start(["sh", "-c", f"echo run >> {count}"], job=job, files={"a": "b"})

        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(start, range(4)))
        assert sorted(reply["started"] for reply in replies) == [False, False, False, True]
        assert {reply["result"]["rc"] for reply in replies} == {0}
    assert count.read_text() == "run\n" * 5
    assert not [path for path in target.root.iterdir() if path.name.startswith(".")]


def test_two_starts_at_once_with_a_new_folder(target, place):
    def start(_):
        return target.start(["pwd"], job="1.1", cwd={"new": str(place / "new")})

    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(start, range(3)))
    assert {reply["result"]["out"] for reply in replies} == {f"{place}/new\n"}


def test_a_restarted_host_knows_nothing(target):
    target.start(["true"], job="1.1")
    for path in sorted(target.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert target.do("ask", "1.1") == {"state": "unknown"}


def test_an_older_engine_is_turned_away(target):
    begin(target, fence=7)
    for op in ("cancel", "forget"):
        assert target.do(op, "1.1", fence=6) == {"state": "fenced", "fence": 7}
    assert target.do("start", "1.1", fence=6, argv=["true"]) == {"state": "fenced", "fence": 7}
    assert target.do("ask", "1.1", fence=6) == {"state": "running"}
    assert target.do("cancel", "1.1", fence=8)["state"] == "ended"
    assert target.do("forget", "1.1", fence=7) == {"state": "fenced", "fence": 8}
    assert target.do("forget", "1.1", fence=8)["forgotten"] is True


def test_forget_cut_in_half_can_be_said_again(target):
    target.start(["true"], job="1.1")
    target.popen("forget", "1.1", patch=killed_before("        remove(root, job_name(request))\n")).communicate()
    assert target.do("ask", "1.1")["state"] == "ended"
    assert target.do("forget", "1.1")["forgotten"] is True
    target.start(["true"], job="2.1")
    target.popen("forget", "2.1", patch=killed_before("    remove_tree(root, old)\n")).communicate()
    assert target.do("ask", "2.1") == {"state": "unknown"}
    assert target.start(["true"], job="2.1")["error"]["code"] == "already_forgotten"
    target.do("sweep", "0")
    assert [path.name for path in target.root.iterdir()] == [".forgotten"]


def test_a_start_that_was_slow_does_not_run_after_the_forget(target, place):
    """Two exchanges of one start: the second had looked for the job before the first ran, and was acknowledged."""
    argv = ["sh", "-c", f"echo run >> {place}/count"]
    step = "        os.rename(name, request[\"job\"], src_dir_fd=root, dst_dir_fd=root)\n"
    waits = f"        open('{place}/ready', 'w').close()\n        while not os.path.exists('{place}/go'): pass\n"
    slow = target.popen("start", "1.1", patch=(step, waits + step), argv=argv, follow=None)
    wait_until((place / "ready").exists)
    assert target.do("start", "1.1", argv=argv, follow=None)["started"] is True
    target.wait_for("1.1")
    assert target.do("forget", "1.1")["forgotten"] is True
    (place / "go").touch()
    reply = target.read(slow)
    assert reply["error"]["code"] == "already_forgotten"
    assert (place / "count").read_text() == "run\n"
    assert target.do("ask", "1.1") == {"state": "unknown"}


def test_the_sweep_takes_old_dead_jobs_of_ours_only(target):
    target.start(["true"], job="1.1")
    target.start(["true"], job="2.1")
    begin(target, job="3.1")
    foreign = target.root / "4.1"
    foreign.mkdir(mode=0o700)
    (foreign / "file").touch()
    for job in ("1.1", "3.1", "4.1"):
        os.utime(target.folder(job), (time.time() - 8 * 86400,) * 2)
    target.start(["true"], job="5.1")
    assert sorted(path.name for path in target.root.iterdir()) == [".forgotten", "2.1", "3.1", "4.1", "5.1"]
    assert target.start(["true"], job="1.1")["error"]["code"] == "already_forgotten"
    assert target.do("cancel", "3.1")["state"] == "ended"
    os.utime(target.root / ".forgotten" / "1.1", (time.time() - 31 * 86400,) * 2)
    target.do("sweep", "0")
    assert not list((target.root / ".forgotten").iterdir())


def test_a_folder_without_its_lock_is_dead(target):
    target.start(["true"], job="1.1")
    (target.folder("1.1") / "lock").unlink()
    (target.folder("1.1") / "result").unlink()
    assert target.do("ask", "1.1")["result"]["lost"] is True


def test_who_looks_does_not_take_another_who_looks_for_the_job(target):
    target.start(["true"], job="1.1")
    (target.folder("1.1") / "result").unlink()
    with open(target.folder("1.1") / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert target.do("ask", "1.1")["result"]["lost"] is True
