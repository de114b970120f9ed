# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a job, once. Its folder is made under another name with the lock held, and then renamed: who sees a job sees
its lock held by somebody, or a job that is dead."""

import fcntl
import os
import sys
import time

from .borg_locks import clear_locks
from .checking import check
from .follow import TOLD, about, follow
from .forget import let_go
from .forgotten import forgotten
from .frame import Refused, dumps, failure, to_bytes, to_text
from .memory import files_place, write_files
from .places import DIRECTORY, FILE, job_name, open_folder, open_job, root_path, unsafe
from .room import limits, reserve
from .scope import launch_in_scope, scope_command
from .sources import examine
from .state import MARK, Guard, exists, remove_files, write_file
from .supervise import supervise
from .sweep import remove, sweep

NO_NEWS = {
    "state": "starting", "offset": 0, "seen": 0, "lines": [], "part": "", "dropped": 0, "more": False, "progress": None,
}


def op_start(request):
    check(request)
    job_name(request)
    path = root_path(request)
    root = open_folder(path, True)
    for name, fence in request.get("forget") or ():
        let_go({"job": name, "fence": fence, "root": request.get("root")})
    job, bell = open_job(request, root), None
    if job is None:
        if forgotten(root, request["job"]):
            raise already_forgotten()
        job, bell = begin(request, root, path)
    elif not exists(job, "mark"):
        raise unsafe(path + b"/" + to_bytes(request["job"]), "it is there, and not made by us")
    with Guard(job, request):
        pass  # a start is a write: an older engine is turned away
    try:
        reply = follow(job, request.get("follow") or {}, bell)
    except Exception as error:
        if bell is None:
            raise
        # It runs, so this is no refusal, whatever keeps us from looking.
        reply = dict(NO_NEWS, agent_error=failure(error))
    reply["started"] = bell is not None
    reply.update(about(job))
    return reply


def already_forgotten():
    return Refused("already_forgotten", "This attempt has ended and was acknowledged: a new start needs a new attempt.")


def begin(request, root, path):
    """(job's fd, bell) of a job just started; the bell is None if another exchange was faster."""
    import resource

    # Nothing that handles a secret leaves its memory on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = examine(request["sources"]) if request.get("sources") else {}
    sweep(root, 7)
    request.update(limits(root, request))
    request.update(found, started_at=time.time())
    name = ".new-%s-%d-%d" % (request["job"], os.getpid(), time.monotonic() * 1e6)
    os.mkdir(name, 0o700, dir_fd=root)
    job, new_cwd = os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=root), None
    try:
        lock = os.open("lock", os.O_RDWR | os.O_CREAT | FILE, 0o600, dir_fd=job)
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = files_place(request, root, path)
        if place is not None:
            write_file(job, "files_place", place)
        write_file(job, "fence", b"%-20d" % int(request.get("fence") or 0))
        write_file(job, "mark", MARK + b"%r\n" % request["started_at"])
        if found:
            write_file(job, "about", "\n".join([dumps(found[key]) for key in TOLD]).encode("ascii"))
        reserve(job)
        write_files(request, job, place)
        new_cwd = prepare(request, place or b"%s/%s/files" % (path, to_bytes(request["job"])))
        fcntl.flock(root, fcntl.LOCK_SH)
        os.rename(name, request["job"], src_dir_fd=root, dst_dir_fd=root)
        name = request["job"]
        if forgotten(root, name):
            # It ran and was acknowledged between our two looks; or somebody found that it was not here, and barred it.
            raise already_forgotten()
        fcntl.flock(root, fcntl.LOCK_UN)
        clear_locks(request)
        return job, launch(request, job, lock)
    except BaseException:
        undo(root, name, job, new_cwd)
        winner = open_job(request, root)
        if winner is None:
            raise
        return winner, None  # another exchange was faster; what stood in our way may be its work


def undo(root, name, job, new_cwd):
    if new_cwd is not None:
        os.rmdir(new_cwd)
    remove_files(job)
    remove(root, name)


def prepare(request, folder):
    """Fills in templates and sources, and makes a new working folder; returns its path, or None."""
    for where in request.get("templates") or ():
        holder = request["env"] if isinstance(where, str) else request["argv"]
        holder[where] = holder[where].replace("{job}", to_text(folder)).replace("{python}", sys.executable)
    request["folder"] = to_text(folder)
    sources, argv = request.get("sources") or {}, request["argv"]
    argv.extend(root["real"] for root in request.get("roots", ()))
    if sources.get("options_at") is not None:
        options = [item for place in request["excludes"] for item in ("--exclude", "pp:" + place)]
        argv[sources["options_at"]:sources["options_at"]] = options
    cwd = request.get("cwd")
    if not isinstance(cwd, dict):
        if cwd is not None and not os.path.isdir(to_bytes(cwd)):
            raise Refused("cwd_missing", "%s is no folder." % cwd, path=cwd)
        return None
    request["cwd"] = cwd["new"]
    try:
        os.mkdir(to_bytes(cwd["new"]), 0o700)
    except FileExistsError:
        raise Refused("cwd_exists", "%s exists already: name a new folder." % cwd["new"], path=cwd["new"]) from None
    except OSError as error:
        message = "%s cannot be made: %s." % (cwd["new"], os.strerror(error.errno))
        raise Refused("cwd_missing", message, path=cwd["new"]) from None
    return to_bytes(cwd["new"])


def launch(request, job, lock):
    """Leaves the job to a process of its own. Returns the bell: an fd that tells news, and the end by its end."""
    argv = scope_command(request)
    bell, ring = os.pipe()
    if argv is None or not launch_in_scope(argv, request, job, lock, bell, ring):
        if argv is not None:
            os.close(bell)
            bell, ring = os.pipe()
        launch_alone(request, job, lock, bell, ring)
    os.close(lock)
    for field in ("secrets", "stdin", "env", "argv", "fifos"):
        request.pop(field, None)  # they are handed over
    return bell


def launch_alone(request, job, lock, bell, ring):
    if os.fork() == 0:
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.close(bell)
        finally:
            supervise(request, job, lock, ring)
    os.close(ring)
