"""Standard output of any length: what lies on the host is bounded, the command waits, and nothing of it is lost."""

import time

import pytest

#: Lines that differ, so that a piece in a wrong place is seen.
NUMBERS = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); echo $i; done"
WINDOW = 1 << 20


def there(target, job):
    return sum(file.stat().st_size for file in target.folder(job).glob("out*"))


def fetched(target, job, **asked):
    """All that an output brings, and the most that lay on the host meanwhile."""
    text, offset, most = [], 0, 0
    while True:
        most = max(most, there(target, job))
        reply = target.do("out", job, offset=offset, max=300_000, wait=20, **asked)
        assert reply["end"] or reply["data"]
        text.append(reply["data"])
        offset = reply["offset"]
        if reply["end"]:
            return "".join(text), most


def test_much_output_passes_through_a_small_window(any_target):
    any_target.start(["sh", "-c", NUMBERS], job="1.1", window=WINDOW, wait=0)
    text, most = fetched(any_target, "1.1")
    assert text.split() == [str(n + 1) for n in range(400_000)]
    # The command may have been read from once more.
    assert most <= WINDOW + 65536
    result = any_target.do("follow", "1.1", wait=20)["result"]
    assert (result["rc"], result["out_cut"], result["out_bytes"]) == (0, False, len(text))
    assert "out" not in result


def test_a_piece_may_be_asked_for_again(target):
    target.start(["sh", "-c", "echo abc; exit 3"], job="1.1", window=WINDOW, wait=20)
    for _ in range(2):
        reply = target.do("out", "1.1", offset=0, wait=5)
        assert (reply["data"], reply["end"]) == ("abc\n", True)
    assert target.do("follow", "1.1")["result"]["rc"] == 3


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_command_that_waits_for_room_can_be_ended(target, how):
    more = {"timeout": 1, "grace": 1} if how == "timeout" else {}
    target.start(["sh", "-c", "yes"], job="1.1", window=WINDOW, wait=0, **more)
    target.wait_for("1.1", "running")
    time.sleep(0.5)
    assert there(target, "1.1") <= WINDOW + 65536
    if how == "cancel":
        assert target.do("cancel", "1.1", grace=1)["result"]["canceled"] is True
        return
    # Its last words are waited for, as of one that came to a good end.
    fetched(target, "1.1")
    assert target.do("follow", "1.1", wait=20)["result"]["timed_out"] is True


def test_a_window_is_a_number_of_bytes(target):
    for wrong in ("1", 0, True, -5, 2**40):
        if wrong == 0:
            continue  # none
        assert target.start(["true"], window=wrong)["error"]["code"] == "invalid"


def test_a_command_whose_reader_is_gone_is_ended(target):
    """Else a listing whose engine was killed would keep its vault locked for as long as the job may take."""
    patch = ("OUT_PATIENCE = 300", "OUT_PATIENCE = 1")
    follow = {"offset": 0, "seen": 0, "wait": 0, "quiet": 0}
    target.feed(target.program("start", "1.1", patch, argv=["yes"], window=WINDOW, grace=1, follow=follow))
    result = target.do("follow", "1.1", wait=30, quiet=30)["result"]
    assert result["timed_out"] is True
    assert result["rc"] != 0
