#!/usr/bin/python3
"""What the compiler is given: translation_units.py BUILD-FOLDER [FILE]

Lists the translation units of a build, each a source file or several compiled together, without generated
code. With FILE, prints the command that compiles it, without its output."""

import json
import shlex
import sys
from pathlib import Path


def command_of(entry: dict) -> str:
    words = shlex.split(entry["command"])
    if Path(words[0]).name == "ccache":
        words.pop(0)
    for option in ("-c", "-o"):
        at = words.index(option)
        del words[at:at + (2 if option == "-o" else 1)]
    return shlex.join(words)


def main() -> int:
    build = Path(sys.argv[1])
    entries = json.loads((build / "compile_commands.json").read_text())
    units = {Path(entry["directory"], entry["file"]).resolve(): entry for entry in entries}
    if len(sys.argv) > 2:
        print(command_of(units[Path(sys.argv[2]).resolve()]))
        return 0
    for unit in sorted(units):
        if not unit.name.endswith(".pb.cc"):
            print(unit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
