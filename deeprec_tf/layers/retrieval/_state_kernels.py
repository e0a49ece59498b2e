"""Rows of a state that a layer keeps between steps, in plain TensorFlow: read and written in place.

A state with a row an item is as long as the catalogue. Read whole and assigned whole it is copied
in every step, and a variable that was read by rows once is copied whenever it is read whole.
"""

import keras
import tensorflow as tf
from keras import ops


def take_rows(state, places):
    """`ops.take(state, places, axis=0)`, which reads no other rows.

    Args:
        state: a layer's weight (V, ...), or what `put_rows` gave.
        places: integer tensor (...).

    Returns:
        Tensor (..., ...).
    """
    return tf.gather(state.value if isinstance(state, keras.Variable) else state, places)


def put_rows(state, places, rows):
    """Writes rows of a state: `state.assign(ops.scatter_update(state, places[:, None], rows))`.

    That is the form under XLA, whose compiled step takes the state in and gives it out. Elsewhere
    the rows are written where they stand. Under a strategy the variable's aggregation says which
    replica's rows are written; every replica then holds those.

    Args:
        state: a layer's weight (V, ...).
        places: integer tensor (N,). Of a place that is there twice the rows must be equal.
        rows: tensor (N, ...) of the state's dtype.

    Returns:
        What `take_rows` reads to see the rows written.
    """
    if tf.__internal__.get_enclosing_xla_context() is not None:
        written = ops.scatter_update(state, places[:, None], rows)
        state.assign(written)
        return written
    # int64: a GPU has no kernel for rows of int64 at places of int32.
    state.value.scatter_update(tf.IndexedSlices(rows, tf.cast(places, tf.int64)))
    return state
