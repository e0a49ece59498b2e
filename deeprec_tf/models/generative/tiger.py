"""TIGER (Rajput et al., NeurIPS 2023).

Departures from the paper:
- the codes of a position compete with each other alone, not with those of other positions;
- the decoder starts with a vector of its own, and codes share their vectors with the encoder;
- generation keeps to the prefixes of existing items, so no answer is invalid;
- items of the history are not answered: `hide_seen`;
- identifiers are any of `deeprec_tf.identifiers`, not the RQ-VAE's alone;
- "adam" is 1e-3 all along, where the paper's rate is .01 and falls by the inverse root after 10,000
  steps.
"""

import keras

from deeprec_tf.code_models import answer_tree, refuse_narrow_beam
from deeprec_tf.engine import ROW_LOSS, RecModel
from deeprec_tf.features import SparseFeat, VarLenSparseFeat
from deeprec_tf.identifiers.item_codes import item_codes_of
from deeprec_tf.inputs import build_embedding_layers, build_input_layers, embedding_lookup
from deeprec_tf.layers.core.masking import PaddingMask
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.generative.code_decoder import CodeDecoder
from deeprec_tf.layers.generative.code_tokens import CodeTokens
from deeprec_tf.layers.generative.prepend_step import PrependStep
from deeprec_tf.layers.generative.t5_encoder import T5Encoder
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.registry import register_model


@register_model(
    family="generative",
    year=2023,
    url="https://arxiv.org/abs/2305.05065",
    paper="Recommender Systems with Generative Retrieval",
    needs=("item_codes",),
)
def TIGER(
    item_codes,
    hidden_items=(),
    *,
    num_users,
    maxlen=20,
    user_buckets=2000,
    hidden_size=128,
    num_layers=4,
    num_heads=6,
    head_size=64,
    feed_forward_units=1024,
    dropout=0.1,
    beam_width=50,
    num_results=10,
    hide_seen=True,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="tiger",
):
    """A Transformer reads the codes of a user's items and spells the next item, code by code.

    A row is one moment: `user_id`, the history `hist_item_id` before it, and the item `item_id`
    that came next. All prefixes of a user's sequence are rows, not the last one alone. The exported
    model takes `user_id` and `hist_item_id` and answers with `ids` and `scores` of items.

    Args:
        item_codes: identifiers of all items, `ItemCodes` or an array (V, L) with row 0 zeros; see
            `deeprec_tf.identifiers`.
        hidden_items: ids that no answer holds, such as 1, an encoder's unknown items. They are
            read, learned and scored as all others.
        num_users: highest id of a user.
        maxlen: longest history, in items.
        user_buckets: vectors of users; more users share them by hashing.
        hidden_size: width D of all vectors.
        num_layers: blocks of the encoder, and of the decoder.
        num_heads: attention heads.
        head_size: width of a head; heads together need not have that of the vectors.
        feed_forward_units: inner width of the network of a block.
        dropout: share dropped throughout.
        beam_width: prefixes that generation keeps: at least the results, and the seen items
            besides where those are hidden.
        num_results: items of an answer.
        hide_seen: whether items of the history are left out of the answer.
        optimizer: Keras optimizer or name.
        loss: none; it is the codes' cross-entropy.
        metrics: none; generated items are measured by `retrieval_metrics`.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is the log-probability of the item.

    Raises:
        TypeError: codes or hidden ids are no integers.
        ValueError: two items with the same codes, a hidden id that is no item, no item left to
            answer, or a beam that is too narrow.

    Example:
        >>> from deeprec_tf.identifiers import random_codes
        >>> TIGER(random_codes(50), num_users=9, hidden_size=8, num_layers=1).name
        'tiger'

    References:
        Rajput et al., Recommender Systems with Generative Retrieval, NeurIPS 2023.
    """
    check_whole_numbers(
        "TIGER", hidden_size=hidden_size, num_layers=num_layers, num_heads=num_heads,
        head_size=head_size, feed_forward_units=feed_forward_units, num_users=num_users,
        num_results=num_results, maxlen=maxlen, beam_width=beam_width,
    )  # fmt: skip
    if not isinstance(hide_seen, bool):
        raise ValueError(f"TIGER: hide_seen must be True or False, got {hide_seen!r}.")
    codes = item_codes_of(item_codes, owner="TIGER")
    tree = answer_tree("TIGER", codes, hidden_items)
    refuse_narrow_beam("TIGER", tree, beam_width, num_results, maxlen * hide_seen)
    size = len(codes.codes)
    history = SparseFeat("hist_item_id", size, embedding_name="item_id")
    user = SparseFeat(
        "user_id", min(num_users, user_buckets) + 1, embedding_dim=hidden_size,
        use_hash=num_users > user_buckets,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
    )
    columns = [
        user, VarLenSparseFeat(history, maxlen, combiner="none"), SparseFeat("item_id", size),
    ]  # fmt: skip
    inputs = build_input_layers(columns)
    tables = build_embedding_layers([user])

    # Semantic ids: L tokens an item, a codebook of vectors for each position.
    tokens_of = CodeTokens(size, codes.sizes, codes=codes.codes, name="codes")
    codebooks = TableEmbedding(
        1 + sum(codes.sizes), hidden_size, name="embedding_item_codes",
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
    )
    tokens = tokens_of(inputs["hist_item_id"])  # (B, T·L)
    sequence = codebooks(tokens)  # (B, T·L, D)

    # Encoder: the user's token, then the codes of the items, oldest first.
    sequence, mask = PrependStep(name="user_first")(
        embedding_lookup(inputs, tables, [user]), sequence, PaddingMask()(tokens)
    )  # (B, 1 + T·L, D), (B, 1 + T·L)
    encoded = T5Encoder(
        num_layers, num_heads, head_size, feed_forward_units, 1 + maxlen * codes.num_positions,
        dropout=dropout, name="encoder",
    )(sequence, mask)

    # Decoder: the log-probability of each code of the item, given those before it.
    of_codes = CodeDecoder(
        [table.shape for table in tree.tables], tree.num_items, num_layers, num_heads, head_size,
        feed_forward_units, beam_width=beam_width, num_results=num_results, dropout=dropout,
        tables=tree.tables, name="decoder",
    )(
        encoded, mask, codebooks(tokens, whole=True), tokens_of(inputs["item_id"]),
        seen=inputs["hist_item_id"] if hide_seen else None,
    )  # (B, L)
    score = PredictionLayer("regression", use_bias=False, name="score")(
        keras.ops.sum(of_codes, axis=-1, keepdims=True)
    )  # (B, 1)
    row_loss = keras.ops.negative(keras.ops.mean(of_codes, axis=-1, keepdims=True))

    model = RecModel(
        inputs, {"score": score, ROW_LOSS: row_loss}, feature_columns=columns,
        positive_item="item_id", name=name,
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile)
    return model
