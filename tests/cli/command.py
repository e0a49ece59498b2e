"""Runs `python -m deeprec_tf` as a user does, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import deeprec_tf

ROOT = Path(deeprec_tf.__file__).parents[1]


def environment() -> dict[str, str]:
    """The environment with the package on the path, and nothing said about logging."""
    kept = {k: v for k, v in os.environ.items() if k not in ("TF_CPP_MIN_LOG_LEVEL", "MPLBACKEND")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def start(*arguments: str, cwd: Path, options: tuple[str, ...] = ()) -> subprocess.Popen:
    """The process; stdout and stderr are pipes of text."""
    return subprocess.Popen(
        [sys.executable, *options, "-m", "deeprec_tf", *arguments],
        cwd=cwd, env=environment(), encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


def run(*arguments: str, cwd: Path, options: tuple[str, ...] = (), timeout: int = 240):
    """Exit code, stdout and stderr of a command."""
    process = start(*arguments, cwd=cwd, options=options)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err
