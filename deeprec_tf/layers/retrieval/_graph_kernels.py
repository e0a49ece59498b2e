"""Sums over the neighbors of a graph's nodes, in plain TensorFlow."""

import tensorflow as tf


def neighbor_sum(values, neighbors, nodes, count):
    """Σ over the edges of a node of its neighbor's row: a gather and a sum in one pass.

    The same as `ops.segment_sum(ops.take(values, neighbors, axis=0), nodes, count)`, which is the
    form that XLA has, without the rows of all edges in between.

    Args:
        values: float tensor (N, D), rows of the other side of the graph.
        neighbors: int32 tensor (E,), a row of `values` for each edge.
        nodes: int32 tensor (E,), the edge's node, ascending.
        count: number of nodes, M.

    Returns:
        Float tensor (M, D), zeros for a node without an edge. It is not differentiable.
    """
    if tf.__internal__.get_enclosing_xla_context() is not None:
        return tf.math.unsorted_segment_sum(tf.gather(values, neighbors), nodes, count)
    return tf.raw_ops.SparseSegmentSumWithNumSegments(
        data=values, indices=neighbors, segment_ids=nodes, num_segments=count
    )
