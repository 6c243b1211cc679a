#!/bin/bash
# clang-tidy over all that the build compiles but the tests: tools/tidy.sh BUILD-FOLDER JOBS [full]
#
# Without `full` the path-sensitive checks (clang-analyzer-*) are left out: they take as long as all others
# together, which is too long for every run of ./check. All other checks of .clang-tidy apply.
#
# A translation unit that was clean is not looked at again until it, a file it includes, or the settings
# change; the stamps are kept in the build folder under the hash of the preprocessed text.

set -euo pipefail
build=$1 jobs=$2 mode=${3-fast}
checks='-clang-analyzer-*'
[ "$mode" = full ] && checks=
export checks
stamps=$build/tidy
mkdir -p "$stamps"

one() {
    local file=$1 build=$2 stamps=$3 hash command
    command=$(/usr/bin/python3 tools/translation_units.py "$build" "$file")
    hash=$( (cat .clang-tidy; echo "$checks"; eval "$command -E -C -P" 2>/dev/null) | sha256sum | cut -d' ' -f1)
    [ -e "$stamps/$hash" ] && return 0
    if clang-tidy-16 --quiet --checks="$checks" -p "$build" "$file" >"$stamps/out.$$" 2>/dev/null; then
        touch "$stamps/$hash"
        rm "$stamps/out.$$"
    else
        cat "$stamps/out.$$"
        rm "$stamps/out.$$"
        return 1
    fi
}
export -f one

/usr/bin/python3 tools/translation_units.py "$build" | grep -v '/tests/' |
    xargs -P "$jobs" -I{} bash -c 'one "$@"' one {} "$build" "$stamps"
