"""Certificates made on the spot, with the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificate(chain: Path, key: Path, *names: str) -> None:
    """A certificate for these names that signs itself, and its key; both are replaced in one step each."""
    new_chain, new_key = (path.with_name(path.name + ".new") for path in (chain, key))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "3", "-subj", f"/CN={names[0]}", "-addext",
                    "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
                    "-out", str(new_chain), "-keyout", str(new_key)],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    new_key.chmod(0o600)
    new_chain.rename(chain)
    new_key.rename(key)
