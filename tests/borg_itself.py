"""The Borg that is installed here, asked what it would make of something."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any


def ask_borg(program: str, data: Any) -> Any:
    """Run a Python program among Borg's own modules; JSON goes to its stdin and comes from its stdout."""
    borg = shutil.which("borg")
    assert borg, "these tests need Borg: apt-get install borgbackup"
    with open(borg, "rb") as file:
        first = file.readline().decode()
    assert first.startswith("#!/"), "Borg here is no Python program"
    argv = [*first[2:].split(), "-c", program]
    done = subprocess.run(argv, input=json.dumps(data), capture_output=True, text=True, check=True, cwd="/")
    return json.loads(done.stdout)
