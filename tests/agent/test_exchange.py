"""A job's plain life: started, followed, asked, forgotten; on the oldest and on this Python."""


def test_a_job_from_start_to_forget(any_target):
    reply = any_target.shell("echo out; echo line >&2; exit 3", job="7.1")
    assert reply["started"] is True
    assert reply["state"] == "ended"
    assert reply["lines"] == ["line"]
    result = reply["result"]
    assert (result["rc"], result["signal"], result["out"]) == (3, None, "out\n")
    assert result["lost"] is result["canceled"] is result["timed_out"] is False

    assert any_target.do("ask", "7.1") == {"state": "ended", "result": result}
    assert any_target.do("forget", "7.1") == {"state": "unknown", "forgotten": True}
    assert any_target.do("ask", "7.1") == {"state": "unknown"}
    assert not any_target.folder("7.1").exists()


def test_text_that_is_not_utf8_survives(any_target):
    reply = any_target.start(["sh", "-c", 'printf "%s|%s" "$1" "$X"; printf "%s\\n" "$1" >&2', "sh", "a\udcff\u00e9"],
                             env={"X": "\udcfe"})
    assert reply["result"]["out"] == "a\udcff\u00e9|\udcfe"
    assert reply["lines"] == ["a\udcff\u00e9"]


def test_start_happens_once(target, place):
    count = place / "count"
    for _ in range(3):
        reply = target.shell(f"echo run >> {count}", job="1.1")
    assert reply["started"] is False
    assert reply["state"] == "ended"
    target.do("forget", "1.1")
    reply = target.shell(f"echo run >> {count}", job="1.1")
    assert (reply["state"], reply["error"]["code"]) == ("refused", "already_forgotten")
    assert count.read_text() == "run\n"
    assert target.shell("true", job="1.2")["started"] is True
