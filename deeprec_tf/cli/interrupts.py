"""Ctrl-C at any moment: one line, exit code 130, no traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

EXIT_CODE = 128 + signal.SIGINT


class Interrupts:
    """A context in which Ctrl-C ends the command cleanly.

    The first Ctrl-C raises `KeyboardInterrupt`, so that files and folders in work are put away.
    Code that turns it into another error or swallows it is not rare (extension modules while
    they load, finalizers), hence `seen`, the hook for errors that Python can't raise, and a
    second Ctrl-C that ends the process at once. Afterwards, while Python shuts down, Ctrl-C
    ends the process without a word.

    Attributes:
        seen: whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.seen = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._on_signal)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            sys.unraisablehook = self._hook

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            end_now()
        self.seen = True
        raise KeyboardInterrupt

    def _on_unraisable(self, unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            end_now()
        self._hook(unraisable)


def say_interrupted() -> None:
    """Writes the one line; the cursor may stand behind a progress bar."""
    sys.stdout.flush()
    on_bar = sys.stdout.isatty()
    sys.stderr.write(("\n" if on_bar else "") + "deeprec_tf: interrupted\n")
    sys.stderr.flush()


def end_now() -> None:
    """Ends the process without unwinding."""
    say_interrupted()
    os._exit(EXIT_CODE)
