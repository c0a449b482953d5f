# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Shared by the shell tests of this directory: a work directory, removed at exit, and checks. Each check
# prints "ok: NAME" or "FAILED: NAME" and sets $failed; a test ends with "exit $failed".

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0

# report NAME RESULT [LOG]: RESULT is "ok", or says what was wrong; then LOG is shown.
report() {
    if [ "$2" = ok ]; then
        echo "ok: $1"
        return
    fi
    echo "FAILED: $1: $2"
    [ -z "${3-}" ] || sed 's/^/  | /' "$3"
    failed=1
}

# check NAME COMMAND...: the command has to succeed. If it does not, $check_log is shown, if set.
check() {
    check_name=$1
    shift
    if "$@"; then
        report "$check_name" ok
    else
        report "$check_name" "'$*' failed" "${check_log-}"
    fi
}

# run_expecting STATUS WORDS COMMAND...: sets $result, for report(): whether the command ends with that
# status, and whether its output, in $work/log, contains each of WORDS (each ended by ';').
run_expecting() {
    wanted=$1 words=$2
    shift 2
    status=0
    "$@" >"$work/log" 2>&1 || status=$?
    result=ok
    [ "$status" -eq "$wanted" ] || result="status $status, expected $wanted"
    while [ -n "$words" ]; do
        word=${words%%;*} words=${words#*;}
        grep -qF -- "$word" "$work/log" || result="no '$word' in the output"
    done
}

# expect NAME STATUS WORDS COMMAND...: check by run_expecting().
expect() {
    expect_name=$1
    shift
    run_expecting "$@"
    report "$expect_name" "$result" "$work/log"
}
