"""What a job says reaches its follower: whole, in order, bounded, and in time."""

import json
import time

import pytest

from .conftest import agent_module

PROGRESS = '{"type": "archive_progress", "nfiles": %d, "path": "x", "finished": false}'


def fetch(target, job, **request):
    """All log lines of an ended job, as a follower gets them, and the answers they came in."""
    target.wait_for(job)
    lines, reader, answers, offset = [], agent_module.Lines(), [], 0
    while not answers or answers[-1]["more"]:
        answers.append(target.do("follow", job, offset=offset, **request))
        assert answers[-1]["offset"] > offset or not answers[-1]["more"]
        offset = answers[-1]["offset"]
        lines += reader.feed(answers[-1])
    return lines, answers


def test_progress_is_told_within_quiet_and_never_stored(target):
    script = f"sleep 0.2; for i in 1 2 3; do echo '{PROGRESS % 7}' >&2; done; echo line >&2; read never"
    began = time.monotonic()
    reply = target.shell(script, job="1.1", wait=20, quiet=0.5, stdin="", cwd="/")
    assert reply["state"] == "ended"  # read met the end of stdin at once

    script = f"echo '{PROGRESS % 1}' >&2; echo '{PROGRESS % 7}' >&2; echo line >&2; exec sleep 30"
    began = time.monotonic()
    reply = target.shell(script, job="1.2", wait=20, quiet=0.5)
    assert time.monotonic() - began < 10
    assert (reply["state"], reply["lines"]) == ("running", ["line"])
    assert reply["progress"]["nfiles"] == 7
    again = target.do("follow", "1.2", offset=reply["offset"], seen=reply["seen"], wait=0.3, quiet=0)
    assert (again["state"], again["lines"], again["progress"]) == ("running", [], None)
    ended = target.do("cancel", "1.2")
    assert "archive_progress" not in json.dumps(ended)


def test_a_silent_command_costs_no_exchange(target):
    reply = target.start(["sleep", "0.7"], wait=20, quiet=0)
    assert reply["state"] == "ended"
    assert reply["result"]["seconds"] > 0.6


def test_without_follow_the_answer_comes_at_once(target):
    reply = target.do("start", "1.1", argv=["sleep", "30"], follow=None)
    assert reply["started"] is True
    assert reply["state"] in ("starting", "running")
    assert target.do("cancel", "1.1")["result"]["canceled"] is True


def test_figures_are_not_pushed_out_by_later_words(target):
    script = f"""echo '{PROGRESS % 9}' >&2; echo '{{"type": "archive_progress", "finished": true}}' >&2
    echo '{{"type": "progress_message", "message": "Saving cache", "finished": false}}' >&2"""
    assert target.shell(script)["progress"]["nfiles"] == 9
    reply = target.shell("""echo '{"type": "progress_percent", "message": "3%", "current": 3, "total": 9}' >&2""")
    assert reply["progress"]["current"] == 3


@pytest.mark.parametrize("size", [1_000_000, 300_000, 262_144, 262_143])
def test_a_long_line_arrives_whole(target, size):
    script = f"echo before >&2; head -c {size} /dev/zero | tr '\\0' x >&2; echo >&2; echo after >&2"
    reply = target.shell(script, job="1.1")
    assert reply["offset"] > 0
    lines, answers = fetch(target, "1.1")
    assert lines == ["before", "x" * size, "after"]
    assert all(len(json.dumps(answer)) < 400_000 for answer in answers)
    assert "result" in answers[-1]
    assert not any("result" in answer for answer in answers[:-1])


def test_a_line_beyond_all_bounds_is_cut_with_a_mark(target):
    target.shell("head -c 5000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo after >&2", job="1.1")
    lines, _ = fetch(target, "1.1")
    assert lines == ["x" * 2 * 1024 * 1024 + f" [{5_000_000 - 2 * 1024 * 1024} bytes cut]", "after"]


def test_the_last_line_needs_no_end(target):
    assert target.shell("printf 'one\\ntwo' >&2")["lines"] == ["one", "two"]


def test_the_ring_keeps_the_newest_and_counts_the_rest(target):
    target.shell("seq 1 1000000 | sed 's/^/a line with number /' >&2", job="1.1")
    lines, answers = fetch(target, "1.1")
    kept = sum(path.stat().st_size for path in target.folder("1.1").glob("log.*"))
    assert 3 * 1024 * 1024 < kept <= 4 * 1024 * 1024
    numbers = [int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("a line with number ")]
    assert numbers[-1] == 1_000_000
    assert numbers == list(range(numbers[0], 1_000_001))
    result = answers[-1]["result"]
    total = sum(len(f"a line with number {number}\n") for number in range(1, 1_000_001))
    assert result["log_bytes"] == total
    assert result["log_dropped"] == answers[0]["dropped"] == total - kept
    assert result["tail"][-1] == "a line with number 1000000"


def test_a_million_warnings_are_counted_and_bounded(target):
    warning = json.dumps({"type": "log_message", "levelname": "WARNING", "name": "borg.archiver",
                          "message": "/x/N: open: [Errno 13] Permission denied: 'N'"})
    status = json.dumps({"type": "file_status", "status": "E", "path": "/x/N"})
    target.shell(f"""seq 1 100000 | sed 's#.*#{warning.replace("'", "'" + '"' + "'" + '"' + "'")}#' >&2
    seq 1 100000 | sed 's#.*#{status}#' >&2""", job="1.1", timeout=60)
    result = target.wait_for("1.1")["result"]
    assert result["warnings"] == {"total": 100_000, "kinds": {"Permission denied": 100_000}}
    assert result["files"]["unreadable"] == 100_000
    assert len(result["files"]["examples"]) == 20
    assert sum(path.stat().st_size for path in target.folder("1.1").iterdir()) < 5 * 1024 * 1024


def test_a_small_output_comes_with_the_result_a_large_one_in_pieces(target):
    reply = target.shell("head -c 131072 /dev/zero | tr '\\0' x")
    assert reply["result"]["out"] == "x" * 131072
    target.shell("head -c 131073 /dev/zero | tr '\\0' x", job="9.1")
    result = target.do("ask", "9.1")["result"]
    assert "out" not in result
    assert (result["out_bytes"], result["out_cut"]) == (131073, False)
    first = target.do("out", "9.1", offset=0, max=100_000)
    assert (first["offset"], first["size"], first["end"]) == (100_000, 131073, False)
    second = target.do("out", "9.1", offset=100_000, max=100_000)
    assert first["data"] + second["data"] == "x" * 131073
    assert second["end"] is True


def test_a_hundred_megabytes_of_output_arrive_whole(target):
    size = 100_000_000
    result = target.shell(f"yes 'a row of the listing' | head -c {size}", job="1.1")["result"]
    assert (result["out_bytes"], result["out_cut"]) == (size, False)
    offset, row, end = 0, "a row of the listing\n", False
    while not end:
        piece = target.do("out", "1.1", offset=offset)
        start = offset % len(row)
        assert (row[start:] + row * (len(piece["data"]) // len(row) + 1))[: len(piece["data"])] == piece["data"]
        assert piece["offset"] == offset + len(piece["data"])
        offset, end = piece["offset"], piece["end"]
    assert offset == size


def test_output_beyond_the_limit_is_counted_and_said_to_be_cut(target):
    result = target.shell("head -c 1000000 /dev/zero", job="1.1", out_limit=1000)["result"]
    assert (result["rc"], result["out_bytes"], result["out_cut"]) == (0, 1_000_000, True)
    assert target.do("out", "1.1")["size"] == 1000
    assert "out" not in result


def test_an_unknown_job(target):
    for op in ("follow", "ask", "out", "cancel"):
        assert target.do(op, "404.1") == {"state": "unknown"}
    assert target.do("forget", "404.1") == {"state": "unknown", "forgotten": False}
