"""`python -m deeprec_tf`: see `deeprec_tf.cli`."""

import sys

from deeprec_tf.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
