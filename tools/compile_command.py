#!/usr/bin/python3
"""Prints the command that compiles a file, without its output: compile_command.py BUILD-FOLDER FILE"""

import json
import shlex
import sys
from pathlib import Path


def main() -> int:
    build, wanted = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if Path(entry["directory"], entry["file"]).resolve() == wanted:
            words = shlex.split(entry["command"])
            if Path(words[0]).name == "ccache":
                words.pop(0)
            for option in ("-c", "-o"):
                at = words.index(option)
                del words[at:at + (2 if option == "-o" else 1)]
            print(shlex.join(words))
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
