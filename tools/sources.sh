#!/bin/sh
# Lists the C++ files of the repository, also those not yet committed; with an argument only those that match.
git ls-files --cached --others --exclude-standard -- "${1:-*.cpp}" "${2:-*.h}" | while read -r file; do
    [ -e "$file" ] && echo "$file"
done
