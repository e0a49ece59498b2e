"""The decoder that reads an encoded user and spells items by their codes."""

import keras
from keras import ops

from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.generative.item_generator import ItemGenerator
from deeprec_tf.layers.generative.prefix_tables import PrefixTables
from deeprec_tf.layers.generative.relative_position_bias import RelativePositionBias
from deeprec_tf.layers.generative.t5_block import T5Block


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CodeDecoder(keras.layers.Layer):
    """log p(c_t | c_1 .. c_{t-1}, encoded) at each position, T5's decoder below it.

    Step 1 is given a learned start vector, step t the vector of the code before. The scores of a
    position's codes are D^-½ <state, vector>, with the very table that reads them (`tie_codes`), or
    those of a linear map of each position's own.

    Args:
        shapes: shape (N_t, K_t) of each position's table of prefixes.
        num_items: items in the tables.
        num_layers: blocks.
        num_heads: heads H.
        head_size: width d of a head.
        feed_forward_units: inner width of the network of a block.
        beam_width: prefixes that generation keeps.
        num_results: items that generation answers with, at most.
        tie_codes: whether the scores are products with the codes' vectors.
        dropout: share dropped of the input, the output and in the blocks.
        tables: the tables of a `PrefixTree`. Not part of the configuration: a saved model has the
            tables themselves.

    Call arguments:
        encoded: float tensor (B, S, D).
        encoded_mask: bool tensor (B, S), True = real.
        table: float tensor (1 + K_1 + ... + K_L, D), vectors of all tokens, as `CodeTokens`
            numbers them.
        tokens: int32 tensor (B, L), tokens of one item a row.
        seen: integer tensor (B, T) of ids that generation leaves out, optional; log-probabilities
            do not depend on it.
        training: whether dropout is on.

    Returns:
        float32 tensor (B, L).

    References:
        Rajput et al., Recommender Systems with Generative Retrieval, NeurIPS 2023.
    """

    def __init__(
        self, shapes, num_items, num_layers, num_heads, head_size, feed_forward_units, *,
        beam_width=50, num_results=10, tie_codes=True, dropout=0.0, tables=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.arguments = {
            "num_layers": int(num_layers), "num_heads": int(num_heads),
            "head_size": int(head_size), "feed_forward_units": int(feed_forward_units),
        }  # fmt: skip
        self.beam_width = int(beam_width)
        self.num_results = int(num_results)
        self.tie_codes = bool(tie_codes)
        self.dropout = dropout
        policy = self.dtype_policy
        self.tree = PrefixTables(shapes, num_items, tables=tables, name="tree")
        self.sizes = self.tree.sizes
        self.positions = RelativePositionBias(
            num_heads, len(self.sizes), bidirectional=False, name="positions"
        )
        self.blocks = [
            T5Block(
                num_heads, head_size, feed_forward_units, cross=True, dropout=dropout,
                name=f"block_{number}", dtype=policy,
            )
            for number in range(int(num_layers))
        ]
        self.norm = keras.layers.RMSNormalization(epsilon=1e-6, name="norm", dtype=policy)
        self.drop = Dropout(dropout, dtype=policy)

    def build(self, encoded_shape, *args, **kwargs):
        """Builds the parts, the start vector and heads that are not tied."""
        width = encoded_shape[-1]
        self.start = self.add_weight(
            shape=(width,), name="start", initializer=keras.initializers.RandomNormal()
        )
        if not self.tie_codes:
            self.heads = [
                keras.layers.Dense(size, name=f"head_{position}", dtype=self.dtype_policy)
                for position, size in enumerate(self.sizes)
            ]
            for head in self.heads:
                head.build((None, width))
        self.tree.build()
        for part in (self.positions, *self.blocks, self.norm):
            part.build((None, None, width))

    def call(self, encoded, encoded_mask, table, tokens, seen=None, training=False):
        """Applies the layer."""
        start = self.first_step(encoded)  # (B, 1, D)
        inputs = ops.concatenate([start, self.vectors_of(tokens[:, :-1], table)], axis=1)
        memory = self.memory_of(encoded)
        states, _ = self.decode(inputs, None, memory, encoded_mask, training=training)
        found, first = [], 1
        for position, size in enumerate(self.sizes):
            of_codes = self.log_probabilities(states[:, position], table, position)  # (B, K)
            is_code = ops.one_hot(tokens[:, position] - first, size, dtype="float32")
            found.append(ops.sum(of_codes * is_code, axis=-1))
            first += size
        return ops.stack(found, axis=-1)

    def first_step(self, encoded):
        """The start vector of each row (B, 1, D)."""
        return (ops.zeros_like(encoded[:, 0]) + ops.cast(self.start, encoded.dtype))[:, None]

    def vectors_of(self, tokens, table):
        """Vectors (..., D) of tokens."""
        return ops.take(table, tokens, axis=0)

    def memory_of(self, encoded):
        """Each block's keys and values of the encoder's output."""
        return [block.memory_of(encoded) for block in self.blocks]

    def decode(self, inputs, past, memory, memory_mask, training=False):
        """States (N, Q, D) of further steps, and what the next ones need of them.

        Args:
            inputs: float tensor (N, Q, D).
            past: what this method has returned for the steps before; None at the first.
            memory: what `memory_of` gives of B rows; N/B consecutive rows share one.
            memory_mask: bool tensor (B, S).
            training: whether dropout is on.
        """
        steps = inputs.shape[1]
        before = 0 if past is None else past[0][0].shape[2]
        bias = self.positions.of_length(before + steps)[:, before:]
        places = ops.arange(before + steps)
        may_look = places[None, :] <= places[before:, None]
        x, now = self.drop(inputs, training=training), []
        for number, block in enumerate(self.blocks):
            x, keys_values = block(
                x, bias, may_look, past=None if past is None else past[number],
                memory=memory[number], memory_mask=memory_mask, training=training,
            )
            now.append(keys_values)
        return self.drop(self.norm(x), training=training), now

    def log_probabilities(self, states, table, position):
        """float32 tensor (..., K) of one position's codes, from states (..., D)."""
        if self.tie_codes:
            first = 1 + sum(self.sizes[:position])
            vectors = table[first : first + self.sizes[position]]
            scaled = states * (states.shape[-1] ** -0.5)
            logits = ops.matmul(scaled, ops.transpose(ops.cast(vectors, states.dtype)))
        else:
            logits = self.heads[position](states)
        logits = ops.cast(logits, "float32")
        return logits - ops.logsumexp(logits, axis=-1, keepdims=True)

    def serve(self, encoded, encoded_mask, table, tokens, seen=None):
        """What a model answers with in place of log-probabilities: items, from symbolic tensors."""
        ids, scores = ItemGenerator(self, name="generated")(encoded, encoded_mask, table, seen)
        return {"ids": ids, "scores": scores}

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, encoded, *args, **kwargs):
        """One number a position."""
        return keras.KerasTensor((encoded.shape[0], len(self.sizes)), dtype="float32")

    def get_config(self):
        """The arguments, without the tables."""
        return {
            **super().get_config(),
            **self.arguments,
            "shapes": self.tree.shapes,
            "num_items": self.tree.num_items,
            "beam_width": self.beam_width,
            "num_results": self.num_results,
            "tie_codes": self.tie_codes,
            "dropout": self.dropout,
        }
