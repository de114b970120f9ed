"""docs/policy-types.md is true: its role is written as printed, and backs up and brings back a real Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet

pytestmark = pytest.mark.hosts

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/policy-types.md").read_text(), re.DOTALL | re.MULTILINE)
PASSWORD = "correct horse"
START = f"""
export REDISCLI_AUTH='{PASSWORD}'
mkdir -p /var/lib/redis
redis-server --daemonize yes --dir /var/lib/redis --bind 127.0.0.1 --port $1 --requirepass "$REDISCLI_AUTH" \\
    --dbfilename "$2" --save ''
for n in $(seq 100); do redis-cli -p $1 ping 2>/dev/null | grep -q PONG && exit 0; sleep 0.1; done
exit 1
"""


def redis(fleet: Fleet, port: int, *command: str) -> str:
    shown = fleet.hosts["web1"].run(["redis-cli", "-p", str(port), *command], env={"REDISCLI_AUTH": PASSWORD})
    return str(shown.stdout).strip()


def test_the_redis_role_as_printed(fleet: Fleet) -> None:
    for language, text in BLOCKS:
        if language == "yaml":
            name = re.match("# (.+)\n", text)
            assert name
            path = fleet.folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    cyborg = fleet.reopen(roles_path=[fleet.folder / "my-roles"])
    web1, vault = fleet.client("web1", servers="databases"), fleet.repository()
    # Hosts of the lab share the loopback: a port of its own for each lab.
    port = 20000 + 2 * fleet.hosts["web1"].lab.block
    host = fleet.hosts["web1"]
    host.run(["sh", "-c", START, "sh", str(port), "dump.rdb"])
    for n in range(50):
        redis(fleet, port, "set", f"key {n}", "{{ 7*7 }} " + "x" * n)
    with pytest.raises(cy.Invalid, match="did you mean 'password'"):
        cyborg.policies.add(cy.Policy("x", type="redis", repository=vault, clients=[web1], extra_vars={"pasword": "x"}))
    [code] = [text for language, text in BLOCKS if language == "python"]
    given = {"cy": cy, "cyborg": cyborg, "vault": vault, "web1": web1, "port": port}
    exec(code.replace('extra_vars={"password"', 'extra_vars={"port": port, "password"'), given)
    assert [job.status for job in cyborg.jobs] == ["successful"] * len(cyborg.jobs), fleet.said()
    redis(fleet, port, "shutdown", "nosave")
    host.run(["sh", "-c", START, "sh", str(port + 1), "restored.rdb"])
    assert redis(fleet, port + 1, "dbsize") == "50"
    assert redis(fleet, port + 1, "get", "key 49") == "{{ 7*7 }} " + "x" * 49
    redis(fleet, port + 1, "shutdown", "nosave")
    # A server that is not there is no backup.
    [job] = cyborg.run(cyborg.policies.get("cache"))
    assert job.error is not None
    assert (job.status, job.error.code) == ("failed", "dump_failed"), fleet.said()
    assert "refused" in str(job.error)
