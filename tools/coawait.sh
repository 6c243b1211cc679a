#!/bin/bash
# Finds co_await where compilers are known to get it wrong: tools/coawait.sh BUILD-FOLDER JOBS
# Each match of tools/coawait.query is a note that begins with "R" and the number of the rule.

set -euo pipefail
build=$1 jobs=$2
# Units of several files (unity_*) are all looked at; it costs little.
found=$(/usr/bin/python3 tools/translation_units.py "$build" | xargs grep -l -E 'co_await|unity_' |
    xargs -r -P "$jobs" -I{} clang-query-16 -p "$build" -f tools/coawait.query {} 2>&1 |
    grep -E 'note: "R|error:' || true)
if [ -n "$found" ]; then
    echo "$found"
    echo "coawait: see the rules for co_await in tools/coawait.query" >&2
    exit 1
fi
