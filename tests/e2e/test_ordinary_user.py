#!/usr/bin/python3
"""The whole suite as an ordinary user: the same dialogues on the loopback, with every daemon under one account.

When root runs this test, it becomes an account that owns nothing. The checkout is then seen under /mnt, in a
mount namespace of its own, so that it is reached even from below a private folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from program import ROOT, Program

UID = 64400
DIALOGUES = ("T01_seed_dialogue", "T02_open_relay", "T03_local_client", "T24_user_in_alias", "T37_unknown_user",
             "router_stopped")
AS_NOBODY = """
set -e
mount -t tmpfs -o mode=0755 none /mnt
mkdir /mnt/checkout /mnt/bin
mount --bind "$1" /mnt/checkout
mount --bind "$2" /mnt/bin
shift 2
exec setpriv --reuid={uid} --regid={uid} --clear-groups --inh-caps=-all --bounding-set=-all -- "$@"
"""


def main() -> int:
    with Program(__doc__) as program:
        scripts = [f"tests/dialogues/{name}.dialogue" for name in DIALOGUES]
        checkout, binaries, prefix = ROOT, program.binaries, []
        if os.geteuid() == 0:
            prefix = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", AS_NOBODY.format(uid=UID), "sh",
                      str(ROOT), str(program.binaries)]
            checkout, binaries = Path("/mnt/checkout"), Path("/mnt/bin")
        environment = {**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
        for test in (["test_dialogues.py", *[str(checkout / script) for script in scripts]], ["test_separation.py"]):
            command = [*prefix, "/usr/bin/python3", str(checkout / "tests/e2e" / test[0]), "--bin", str(binaries),
                       "--stage", "loopback", *test[1:]]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, env=environment, cwd="/")
            program.judge(f"{test[0]} as an ordinary user", done.returncode == 0, f"exit {done.returncode}")
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
