"""Constrained beam search over the codes of a catalogue."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.numeric import check_whole_numbers


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ItemGenerator(keras.layers.Layer):
    """The items with the highest Σ_t log p(c_t | c_1 .. c_{t-1}, encoded) that the search finds.

    At each position the `beam_width` best prefixes go on, all with codes that some item has there:
    what comes out exists, and no item comes out twice. A beam as wide as the catalogue is exact.
    Keys and values of what was decoded are kept. As many prefixes go on as there are at a position
    if those are fewer, so every place is taken, and all shapes are constants but the batch's and
    the encoded sequence's.

    Args:
        decoder: the `CodeDecoder` that is asked, with its beam width and number of results.

    Call arguments:
        encoded: float tensor (B, S, D).
        encoded_mask: bool tensor (B, S), True = real.
        table: float tensor (1 + K_1 + ... + K_L, D), vectors of all tokens.
        seen: integer tensor (B, T) of ids that are left out, optional. The beam finds them first:
            it must be wider than the results by as many as there are.

    Returns:
        int32 tensor (B, k) of ids and float32 tensor (B, k) of log-probabilities, best first; -1
        and -inf where the beam has no more.

    Raises:
        ValueError: a beam width or a number of results that is no whole one from 1 on.
    """

    def __init__(self, decoder, **kwargs):
        super().__init__(**kwargs)
        self.decoder = decoder

    @property
    def widths(self):
        """Prefixes that go on behind each position."""
        return [min(self.decoder.beam_width, count) for count in self.decoder.tree.counts]

    def build(self, *args, **kwargs):
        """Builds the decoder, if it is not yet."""
        if not self.decoder.built:
            self.decoder.build(*args, **kwargs)

    def call(self, encoded, encoded_mask, table, seen=None):
        """Applies the layer."""
        decoder, rows = self.decoder, ops.shape(encoded)[0]
        check_whole_numbers(  # they may have been changed since the model was built
            decoder.name, beam_width=decoder.beam_width, num_results=decoder.num_results
        )
        table = ops.cast(table, encoded.dtype)
        memory, past = decoder.memory_of(encoded), None
        inputs = decoder.first_step(encoded)  # (B·W, 1, D), W = 1
        nodes = ops.ones((rows, 1), dtype="int32")
        scores = ops.zeros((rows, 1), dtype="float32")
        before, first = 1, 1
        for position, (size, width) in enumerate(zip(decoder.sizes, self.widths, strict=True)):
            states, past = decoder.decode(inputs, past, memory, encoded_mask)
            codes = decoder.log_probabilities(states[:, 0], table, position)  # (B·W, K)
            longer = ops.reshape(decoder.tree(nodes, position=position), (-1, before * size))
            totals = scores[:, :, None] + ops.reshape(codes, (-1, before, size))
            totals = ops.where(longer > 0, ops.reshape(totals, (-1, before * size)), -np.inf)
            scores, places = ops.top_k(totals, width)  # (B, W')
            nodes = _of_rows(longer, places, before * size)
            # What goes on takes along the past of the prefix it came from.
            code = ops.reshape(ops.mod(places, size), (-1, 1))
            inputs = decoder.vectors_of(first + code, table)  # (B·W', 1, D)
            parents = ops.floor_divide(places, size) + before * ops.arange(rows)[:, None]
            parents = ops.reshape(parents, (-1,))
            past = [tuple(ops.take(part, parents, axis=0) for part in pair) for pair in past]
            before, first = width, first + size
        return self._best(nodes, scores, seen)

    def _best(self, ids, scores, seen):
        number = min(self.decoder.num_results, self.widths[-1])
        if seen is not None:
            is_seen = ops.any(
                ops.equal(ids[:, :, None], ops.cast(seen, "int32")[:, None, :]), axis=-1
            )
            scores = ops.where(is_seen, -np.inf, scores)
            ids = ops.where(is_seen, -1, ids)
        scores, places = ops.top_k(scores, number)
        return _of_rows(ids, places, self.widths[-1]), scores

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, encoded, *args, **kwargs):
        """Ids and scores of the results."""
        shape = (encoded.shape[0], min(self.decoder.num_results, self.widths[-1]))
        return keras.KerasTensor(shape, dtype="int32"), keras.KerasTensor(shape, dtype="float32")

    def get_config(self):
        """Returns the decoder."""
        decoder = keras.saving.serialize_keras_object(self.decoder)
        return {**super().get_config(), "decoder": decoder}

    @classmethod
    def from_config(cls, config):
        """Rebuilds the decoder and the layer."""
        return cls(
            **{**config, "decoder": keras.saving.deserialize_keras_object(config["decoder"])}
        )


def _of_rows(values, places, size):
    """values[b, places[b, j]] of a tensor (B, size), in an operation that ONNX has."""
    flat = places + size * ops.arange(ops.shape(values)[0])[:, None]
    return ops.take(ops.reshape(values, (-1,)), flat, axis=0)
