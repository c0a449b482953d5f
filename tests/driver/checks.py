# SPDX-License-Identifier: MIT
"""Shared by the Python tests of this directory: checks that print a line each, and the exit status."""

failed = False


def check(name, is_good, *details):
    """Print "ok: NAME", or "FAILED: NAME" with the details."""
    global failed
    failed = failed or not is_good
    print("ok:" if is_good else "FAILED:", name, *(details if not is_good else []), flush=True)


def exit_status():
    return 1 if failed else 0
