"""Reads the arguments of `python -m deeprec_tf` and runs a command."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from deeprec_tf.cli.demo.tasks import TASKS
from deeprec_tf.cli.errors import one_line
from deeprec_tf.cli.interrupts import EXIT_CODE, Interrupts, say_interrupted

ERROR_CODE = 2
_BROKEN_PIPE_CODE = 128 + 13
_SETTINGS = ("models", "rows", "epochs", "seed", "out")  # of every task, each an option

_DEMO_TEXT = """\
From a table of ratings to trained, evaluated and exported models, on the MovieLens set that
ships with the package; no network is needed. Takes about two minutes on two cores.

It encodes the ratings, splits them, trains the models beside plain baselines, compares them on
ratings that no model has seen, exports one, and writes a report to open. Tasks:

"""


class _Parser(argparse.ArgumentParser):
    """Errors on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(ERROR_CODE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `arguments.run(arguments)` runs the one that was named."""
    parser = _Parser(
        prog="python -m deeprec_tf", description="Deep recommender models on Keras 3."
    )
    parser.add_argument("--version", action=_Version, help="print the version and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_list(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: the arguments; those of the process when None.

    Returns:
        The exit code: 0, 2 after an error, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # titles on a terminal that has no such letters
    with Interrupts() as interrupts:
        try:
            arguments = build_parser().parse_args(argv)
            arguments.run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has what it wanted, as in `... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return _BROKEN_PIPE_CODE
        except KeyboardInterrupt:
            say_interrupted()
            return EXIT_CODE
        except Exception as error:  # noqa: BLE001 - one line; `--traceback` shows the rest
            if interrupts.seen:
                say_interrupted()
                return EXIT_CODE
            if getattr(arguments, "traceback", False):
                raise
            sys.stdout.flush()
            sys.stderr.write(f"deeprec_tf: error: {one_line(error)}\n")
            return ERROR_CODE
    return 0


class _Version(argparse.Action):
    """`--version`, looked up when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        from deeprec_tf import __version__

        print(f"deeprec_tf {__version__}")
        parser.exit()


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="train, compare, export and explain models on MovieLens",
        description=_DEMO_TEXT + "\n".join(
            f"  {task.name:<10} {task.summary}" for task in TASKS.values()
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--task", choices=TASKS, default=next(iter(TASKS)),
        help="what the models learn (default: %(default)s)",
    )
    parser.add_argument(
        "--model", metavar="NAMES", dest="models", type=_names,
        help="models to train, joined by commas, of those that the list command names; the first "
        f"one is exported (default: {_defaults('models')})",
    )
    parser.add_argument(
        "--rows", metavar="N", type=_whole_number(0),
        help=f"keep the newest N ratings only; 0 keeps all (default: {_defaults('rows')})",
    )
    parser.add_argument(
        "--epochs", metavar="N", type=_whole_number(1),
        help="most passes over the training part; training stops earlier when the validation "
        f"metric no longer rises (default: {_defaults('epochs')})",
    )
    parser.add_argument(
        "--seed", metavar="N", type=_whole_number(0),
        help="seed of weights, row order and all that is drawn "
        f"(default: {_defaults('seed')})",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path,
        help=f"folder of report and exported models (default: {_defaults('out')})",
    )
    _add_traceback(parser)
    parser.set_defaults(run=_run_demo)


def _add_list(commands: Any) -> None:
    parser = commands.add_parser(
        "list", help="list the models", description="Lists the models and what they need."
    )
    parser.add_argument("--family", metavar="NAME", help="only this family, such as ranking")
    _add_traceback(parser)
    parser.set_defaults(run=_run_list)


def _add_traceback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error comes from"
    )


def _run_demo(arguments: argparse.Namespace) -> None:
    from deeprec_tf.cli.demo.run import run_demo

    task = TASKS[arguments.task]
    given = {name: getattr(arguments, name) for name in _SETTINGS}
    given = {name: value for name, value in given.items() if value is not None}
    run_demo(task, dataclasses.replace(task.settings, **given))


def _run_list(arguments: argparse.Namespace) -> None:
    from deeprec_tf.cli.listing import print_models

    print_models(arguments.family)


def _defaults(setting: str) -> str:
    """The tasks' own values of a setting, as help says them: one where all have the same."""
    values = {}
    for task in TASKS.values():
        value = getattr(task.settings, setting)
        values[task.name] = ",".join(value) if isinstance(value, tuple) else str(value)
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "; ".join(f"{value} for {name}" for name, value in values.items())


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("give the name of a model, such as DIEN")
    return names


def _whole_number(least: int) -> Any:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}, got {text!r}"
            )
        return number

    return parse
