"""Locks that are open in a forked child."""

import os
import threading
import weakref


class Lock:
    """A lock that no fork can leave closed; use it as `with lock:`.

    A child has none of its parent's threads but the one that forked. An ordinary lock that another
    thread held at that moment stays closed in the child for ever. What it guards must therefore be
    in order between any two lines of the guarded block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.Lock()


_all: "weakref.WeakSet[Lock]" = weakref.WeakSet()


def _renew_all() -> None:
    for lock in _all:
        lock._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
