"""Reads the arguments of `python -m deeprec_tf` and runs a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from deeprec_tf.cli.demo_settings import DemoSettings
from deeprec_tf.cli.errors import CommandError, one_line
from deeprec_tf.cli.interrupts import EXIT_CODE, Interrupts, say_interrupted

ERROR_CODE = 2
_BROKEN_PIPE_CODE = 128 + 13

_DEMO_TEXT = """\
From a table of ratings to a trained, evaluated and exported model, on the MovieLens set that
ships with the package; no network is needed. Takes about two minutes on two cores.

It encodes the ratings, builds each user's behavior sequence, splits by time, samples negatives,
trains the models beside a popularity baseline, compares them on the newest ratings, recommends
titles to three users, exports a SavedModel and an ONNX file, and writes a report to open."""


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
        except (CommandError, ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
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
        description=_DEMO_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = DemoSettings()
    parser.add_argument(
        "--model", metavar="NAMES", default=",".join(default.models), type=_names,
        help="models to train, joined by commas: any that read behaviors (see the list command); "
        "the first one recommends and is exported (default: %(default)s)",
    )
    parser.add_argument(
        "--rows", metavar="N", default=default.rows, type=_whole_number(0),
        help="keep the newest N ratings only; 0 keeps all (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs", metavar="N", default=default.epochs, type=_whole_number(1),
        help="most passes over the training part; training stops earlier when the validation "
        "AUC no longer rises (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="N", default=default.seed, type=_whole_number(0),
        help="seed of weights, negatives and row order (default: %(default)s)",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", default=default.out, type=Path,
        help="folder of report and exported models (default: %(default)s)",
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
    from deeprec_tf.cli.demo import run_demo

    run_demo(
        DemoSettings(
            models=arguments.model,
            rows=arguments.rows,
            epochs=arguments.epochs,
            seed=arguments.seed,
            out=arguments.out,
        )
    )


def _run_list(arguments: argparse.Namespace) -> None:
    from deeprec_tf.cli.listing import print_models

    print_models(arguments.family)


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
