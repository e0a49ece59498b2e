import os
import platform
import subprocess
import sys

import pytest

from deeprec_tf.training import freed_memory, keep_freed_memory

# Page faults of touching 64 MB, freeing it, and touching as much again.
RUN = """
import ctypes
import resource
import numpy as np
{call}
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: no huge pages, which are few

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""
CALL = "from deeprec_tf.training import keep_freed_memory\nassert keep_freed_memory() is True"


def faults(call=""):
    run = subprocess.run(
        [sys.executable, "-c", RUN.format(call=call)], capture_output=True, text=True, check=True,
        env={name: os.environ[name] for name in os.environ if not name.startswith("MALLOC_")},
    )  # fmt: skip
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_buffer_that_was_freed_is_there_for_the_next():
    pages = 2**26 // os.sysconf("SC_PAGE_SIZE")
    assert faults() > 0.9 * pages
    assert faults(CALL) < 0.1 * pages


def test_without_glibc_nothing_is_changed_and_it_says_so(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", None)
    assert keep_freed_memory() is False
