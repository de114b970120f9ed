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


def test_a_job_that_nobody_else_asks_for_goes_with_its_answer(any_target):
    reply = any_target.shell("echo x; echo y >&2", job="1.1", keep=False)
    assert (reply["result"]["out"], reply["lines"]) == ("x\n", ["y"])
    assert any_target.do("ask", "1.1") == {"state": "unknown"}
    assert any_target.shell("true", job="1.1")["error"]["code"] == "already_forgotten"
    # One that goes on stays, and goes with the answer that has its result.
    reply = any_target.start(["sleep", "0.5"], job="2.1", keep=False, wait=0)
    assert "result" not in reply
    assert "result" in any_target.do("follow", "2.1", wait=30, quiet=30, keep=False)
    assert any_target.do("ask", "2.1") == {"state": "unknown"}
    # So does one whose output is still to be fetched.
    any_target.shell("head -c 200000 /dev/zero", job="3.1", keep=False)
    assert any_target.do("ask", "3.1")["state"] == "ended"


def test_an_exchange_whose_connection_is_gone_does_not_stay(target):
    process = target.popen("start", "1.1", argv=["sleep", "300"], follow={"wait": 100, "quiet": 100})
    target.wait_for("1.1", "running")
    process.stdout.close()
    process.wait(timeout=20)
    process.stderr.close()
    assert target.do("ask", "1.1") == {"state": "running"}
    assert target.do("cancel", "1.1")["state"] == "ended"


def test_working_folders(target, place):
    assert target.start(["pwd"])["result"]["out"] == "/\n"
    assert target.start(["pwd"], cwd=str(place))["result"]["out"] == f"{place}\n"
    new = place / "new"
    assert target.start(["pwd"], cwd={"new": str(new)})["result"]["out"] == f"{new}\n"
    assert new.stat().st_mode & 0o7777 == 0o700
    for cwd, code in ((str(place / "none"), "cwd_missing"), ({"new": str(new)}, "cwd_exists"),
                      ({"new": str(place / "none" / "new")}, "cwd_missing")):
        reply = target.start(["pwd"], job="99.1", cwd=cwd)
        assert (reply["state"], reply["error"]["code"]) == ("refused", code)
        assert target.do("ask", "99.1") == {"state": "unknown"}


def test_a_refused_start_takes_its_new_folder_away(target, place):
    """Here another exchange of the same start had run and was acknowledged meanwhile."""
    step = "        name = request[\"job\"]\n        if forgotten(root, name):\n"
    patch = (step, "        remember(root, request[\"job\"])\n" + step)
    reply = target.do("start", "1.1", patch=patch, argv=["true"], cwd={"new": str(place / "new")}, follow=None)
    assert reply["error"]["code"] == "already_forgotten"
    assert not (place / "new").exists()


def test_a_start_that_happened_is_never_called_refused(target):
    step = "    wakers = select.poll()\n"
    reply = target.do("start", "1.1", patch=(step, step + "    raise OSError(5, 'x')\n"), argv=["sleep", "1"],
                      follow={"wait": 9})
    assert (reply["state"], reply["started"]) == ("starting", True)
    assert "Input/output error" in reply["agent_error"]
    assert target.wait_for("1.1")["result"]["rc"] == 0
