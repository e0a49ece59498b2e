"""Errors that a user of the command line can mend."""


class CommandError(Exception):
    """Ends a command with one line on stderr and exit code 2."""


def one_line(error: BaseException) -> str:
    """An error's message on one line; the name of its type where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
