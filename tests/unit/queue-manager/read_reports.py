#!/usr/bin/python3
"""Reads every report in a folder as programs of others do; says what is wrong, and exits with 1 then. A file's name
begins with the action that its report tells of."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e"))
from reports import read_report


def problems_of(file: Path) -> list[str]:
    report = read_report(file.read_bytes())
    problems = list(report.problems)
    action = file.name.split("-")[0]
    if {one["Action"] for one in report.recipients} != {action}:
        problems.append(f"it tells of {report.told()}")
    known = [one.get("Original-Recipient", one["Final-Recipient"]).split(";", 1) for one in report.recipients]
    addresses = {address.strip() for kind, address in known if kind == "rfc822"}
    wanted = (addresses if action == "delayed" else set(), addresses if action == "failed" else set())
    # flufl.bounce does not know RFC 6533.
    if report.status_type == "message/delivery-status" and report.failures() != wanted:
        problems.append(f"flufl.bounce sees {report.failures()} and not {wanted}")
    return problems


def main() -> int:
    files = sorted(Path(sys.argv[1]).glob("*.eml"))
    wrong = {file.name: problems_of(file) for file in files}
    for name, problems in wrong.items():
        print(name, "; ".join(problems) or "is well formed")
    return int(not files or any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
