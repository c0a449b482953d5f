# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Sourced by every step of the image build. Provides an environment that does not depend on who builds, so that
# the same input gives the same bytes, and the directory $work, which is removed when the step ends.
set -eu
# 2025-01-01 00:00:00 UTC, the time of everything in the image.
export LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH=1735689600
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Runs COMMAND..., whose output is shown only if it fails.
run_quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        return 1
    }
}

# Prints the entries of LIST, without comments and empty lines.
read_list() {
    sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$1"
}

# Removes from PROGRAM the debugging information, which names the build directory, and the build ID, which depends on it.
strip_program() {
    strip --strip-debug --remove-section=.note.gnu.build-id "$1"
}

# Says why the step fails, and ends it.
die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}
