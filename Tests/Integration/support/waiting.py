"""Waiting for a condition with a deadline; nothing here or in the tests takes time itself as a sign."""

import time

POLL_SECONDS = 0.02


def wait_for(condition, deadline=10.0, what="the condition"):
    """Calls `condition` until it returns something true, and returns that. Fails after `deadline` seconds, with the last value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            described = what() if callable(what) else what
            raise AssertionError(f"waited {deadline} s for {described}; last value: {value!r}")
        time.sleep(POLL_SECONDS)


def holds_for(condition, seconds, what="the condition"):
    """Fails if `condition` becomes false within `seconds`: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"{what} stopped holding"
        time.sleep(POLL_SECONDS)
