"""The command line, `python -m deeprec_tf`.

`app` reads the arguments; every command is a module that is imported when it is called, so help
needs no TensorFlow.
"""
