"""`python -m deeprec_tf`: see `deeprec_tf.cli`."""

import os
import sys

from deeprec_tf.cli.app import main
from deeprec_tf.cli.interrupts import EXIT_CODE

if __name__ == "__main__":
    code = main()
    if code == EXIT_CODE:
        # Everything is put away. Python itself would die of SIGINT if Ctrl-C had hit an `exec`,
        # as dataclasses and named tuples use it while modules load.
        os._exit(code)
    sys.exit(code)
