"""Memory that a step frees, kept for the next step."""

from __future__ import annotations

import ctypes
import platform

# glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = -1


def keep_freed_memory() -> bool:
    """Lets the process keep the memory that it frees, and not give it back to the system.

    A training step asks for the same large buffers as the step before. glibc fetches each from the
    system and gives it back, so the system clears their pages in every step. After this call they
    stay in the process. How much that is worth depends on the model and, on a virtual machine, on
    what a page costs there: see docs/speed.md.

    The price: the process's memory does not shrink any more below the most that it has held, and
    the setting holds for everything that runs in it. It is meant for programs that train; call it
    once, at their start. Memory of a GPU is not touched.

    Returns:
        Whether the C library took the settings; False without glibc (Alpine, macOS, Windows),
        where nothing is changed.

    Example:
        >>> from deeprec_tf.training import keep_freed_memory
        >>> is_kept = keep_freed_memory()
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
