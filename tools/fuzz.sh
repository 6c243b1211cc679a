#!/bin/bash
# Builds the fuzz targets and lets each run for a while on its corpus: tools/fuzz.sh SECONDS JOBS
# New inputs are kept in the build folder, not in the repository.

set -euo pipefail
seconds=$1 jobs=$2
targets=()
for source in tests/fuzz/*.cpp; do
    [ -e "$source" ] && targets+=("$(basename "$source" .cpp)")
done
[ ${#targets[@]} -gt 0 ] || exit 0

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "$jobs" --target "${targets[@]}"

one() {
    # Absolute names: a target may change its working folder.
    local target=$1 seconds=$2 found=$PWD/build/fuzz/found/$1
    mkdir -p "$found"
    local corpora=("$found")
    [ -d "tests/fuzz/corpus/$target" ] && corpora+=("$PWD/tests/fuzz/corpus/$target")
    if ! "build/fuzz/bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$PWD/build/fuzz/$target-" "${corpora[@]}" >"$found.log" 2>&1; then
        tail -50 "$found.log"
        return 1
    fi
    echo "$target: $(grep -o 'Done [0-9]* runs' "$found.log" || echo 'done')"
}
export -f one
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -c 'one "$@"' one {} "$seconds"
