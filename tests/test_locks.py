"""Locks: one thread at a time, and open in a forked child."""

import os
import threading
import time

import pytest

from synthdetect.locks import Lock


def test_one_thread_at_a_time():
    lock, inside, most = Lock(), 0, 0

    def enter():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_an_error_opens_it():
    lock = Lock()
    with pytest.raises(ValueError, match="x"), lock:
        raise ValueError("x")
    with lock:
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("make", "status"), [(Lock, 0), (threading.Lock, 1)])
def test_a_lock_that_another_thread_held_is_open_in_a_forked_child(make, status):
    lock, held, done = make(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        entered = threading.Event()

        def enter():
            with lock:
                entered.set()

        threading.Thread(target=enter, daemon=True).start()
        os._exit(not entered.wait(0.5))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    done.set()
    thread.join()
    assert code == status
