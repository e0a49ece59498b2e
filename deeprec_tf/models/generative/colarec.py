"""ColaRec (Wang et al., CIKM 2024).

Departures from the paper:
- the user's atom stands in the user's own sequence, too;
- the encoder-decoder has T5's shape and starts from scratch;
- dot products of encoded sequences are divided by the root of their width;
- buyers stand in the sequences of all three items; the released code has them in one alone;
- codes are scored by products with the vectors that read them, as the paper has it; the released
  code's linear maps are `tie_codes=False`;
- input positions always have vectors; the released code has them for `item_position=True` alone;
- generation keeps to the prefixes of existing items and leaves out the context's: those that a user
  has beside it are for `rank_in_lists` to take out;
- any item codes will do, not those of LightGCN's clusters alone;
- "adam" is 1e-3 without more, where the authors have AdamW at 5e-4 and clip gradients to length 1.
"""

import keras

from deeprec_tf.code_models import (
    answer_tree,
    checked_tokens,
    refuse_narrow_beam,
    sizes_of_preset,
)
from deeprec_tf.engine import ROW_LOSS, RecModel
from deeprec_tf.features import SparseFeat, VarLenSparseFeat
from deeprec_tf.identifiers.item_codes import item_codes_of
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.layers.core.masking import PaddingMask
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.generative.alignment_loss import AlignmentLoss
from deeprec_tf.layers.generative.code_decoder import CodeDecoder
from deeprec_tf.layers.generative.code_tokens import CodeTokens
from deeprec_tf.layers.generative.content_sequence import ContentSequence
from deeprec_tf.layers.generative.t5_encoder import T5Encoder
from deeprec_tf.layers.retrieval.all_items import ItemFeatures
from deeprec_tf.layers.retrieval.next_step import LastStep
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.registry import register_model


@register_model(
    family="generative",
    year=2024,
    url="https://arxiv.org/abs/2403.18480",
    paper="Content-Based Collaborative Generation for Recommender Systems",
    needs=("item_codes", "item_tokens"),
)
def ColaRec(
    item_codes,
    item_tokens,
    hidden_items=(),
    *,
    num_users,
    preset="short",
    hidden_size=128,
    num_layers=4,
    num_heads=4,
    dropout=0.1,
    generation_weight=0.08,
    contrast_weight=0.1,
    tasks=AlignmentLoss.ALL_TASKS,
    tie_codes=True,
    beam_width=100,
    num_results=20,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="colarec",
):
    """One encoder-decoder spells items from what a user has, and from what an item is.

    General recommendation: a row is a user, some of the user's other items (`hist_item_id`), one
    item of the user's (`item_id`), one that is not (`neg_item_id`), one that shares the item's
    prefix (`near_item_id`), and some users of each of the three (`item_users`, `neg_item_users`,
    `near_item_users`); `deeprec_tf.data.ColaRecRows` draws them. Users and items count from 1.
    The exported model takes `user_id` and `hist_item_id` and answers with `ids` and `scores`. Items
    of the context stand oldest first where their order is known, and are read newest first: what
    does not fit into a sequence is cut off at its end, the oldest items whole, with their atoms,
    and the text of the one that fits in part.

    Args:
        item_codes: identifiers of all items, `ItemCodes` or an array (V, L) with row 0 zeros; see
            `deeprec_tf.identifiers`.
        item_tokens: token ids of the items' texts (V, W), 0 for padding, row 0 zeros; None to do
            without content.
        hidden_items: ids that no answer holds, such as 1, an encoder's unknown items. They are
            read, learned and scored as all others.
        num_users: highest id of a user.
        preset: context items, tokens of a text beside the atom, and tokens of a sequence, three
            numbers or a name of the released code: "short" (20, 29, 256), which the authors train
            with, "micshort" (20, 34, 256), "mlshort" (40, 29, 256) or "long" (40, 49, 500). With
            texts of full length not all items fit.
        hidden_size: width D; the network of a block has four times that.
        num_layers: blocks of the encoder, and of the decoder.
        num_heads: attention heads, of D/H each.
        dropout: share dropped throughout.
        generation_weight: λ_g of the codes' cross-entropies.
        contrast_weight: λ_c of the contrast between items.
        tasks: losses beside that of the recommendation: some of "index", "bpr" and "contrast".
        tie_codes: whether codes are scored by their vectors, or by a linear map of each position.
        beam_width: prefixes that generation keeps: at least the results and the context's items.
        num_results: items of an answer.
        optimizer: Keras optimizer or name.
        loss: none; it is the paper's, of `AlignmentLoss`.
        metrics: none; generated items are measured by `retrieval_metrics`.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction `score` (B, 1) is the log-probability of the item.

    Raises:
        TypeError: codes, tokens or hidden ids are no integers.
        ValueError: two items with the same codes, tokens of another catalogue, a hidden id that is
            no item, no item left to answer, an unknown preset or task, or a beam that is too
            narrow.

    Example:
        >>> from deeprec_tf.identifiers import random_codes
        >>> ColaRec(random_codes(50), None, num_users=9, hidden_size=8, num_layers=1).name
        'colarec'

    References:
        Wang et al., Content-Based Collaborative Generation for Recommender Systems, CIKM 2024.
    """
    check_whole_numbers(
        "ColaRec", num_users=num_users, hidden_size=hidden_size, num_layers=num_layers,
        num_heads=num_heads, num_results=num_results, beam_width=beam_width,
    )  # fmt: skip
    codes = item_codes_of(item_codes, owner="ColaRec")
    maxlen, most_tokens, most_steps = sizes_of_preset(preset, owner="ColaRec")
    if hidden_size % num_heads:
        raise ValueError(
            f"ColaRec: hidden_size={hidden_size} cannot be split into {num_heads} heads."
        )
    tree = answer_tree("ColaRec", codes, hidden_items)
    refuse_narrow_beam("ColaRec", tree, beam_width, num_results, maxlen)
    size = len(codes.codes)
    columns = [
        SparseFeat("user_id", num_users + 1),
        VarLenSparseFeat(
            SparseFeat("hist_item_id", size, embedding_name="item_id"), maxlen, combiner="none"
        ),
    ]
    items = ("item", "neg_item", "near_item")
    for item in items:
        users = SparseFeat(f"{item}_users", num_users + 1, embedding_name="user_id")
        columns.append(SparseFeat(f"{item}_id", size, embedding_name="item_id"))
        columns.append(VarLenSparseFeat(users, maxlen, combiner="none"))
    inputs = build_input_layers(columns)

    # Atoms of items and users, vectors of texts and of codes.
    start = {"embeddings_initializer": keras.initializers.RandomNormal(stddev=1.0)}
    item_atoms = TableEmbedding(size, hidden_size, name="embedding_item_id", **start)
    user_atoms = TableEmbedding(num_users + 1, hidden_size, name="embedding_user_id", **start)
    codebooks = TableEmbedding(
        1 + sum(codes.sizes), hidden_size, name="embedding_item_codes", **start
    )
    texts = checked_tokens(item_tokens, size, most_tokens, owner="ColaRec")  # (V, W)
    if texts is not None:
        text_of = ItemFeatures(
            texts.shape, values=texts, feature_dtype="int32", name="item_tokens"
        )
        words = TableEmbedding(
            int(texts.max()) + 1, hidden_size, name="embedding_tokens", **start
        )
    content = ContentSequence(0 if texts is None else texts.shape[1], most_steps, name="content")
    encoder = T5Encoder(
        num_layers, num_heads, hidden_size // num_heads, 4 * hidden_size, most_steps,
        dropout=dropout, name="encoder",
    )

    def encoded(items, users, task):
        """Items (B, T) and users (B, U) to states (B, S, D), their mask, and the end's (B, D)."""
        mask = PaddingMask()(items)
        arguments = [item_atoms(items), mask, user_atoms(users), PaddingMask()(users)]
        if texts is not None:
            tokens = text_of(items)  # (B, T, W)
            arguments += [words(tokens), keras.ops.not_equal(tokens, 0)]
        sequence, mask = content(*arguments, task=task)
        states = encoder(sequence, mask)
        return states, mask, LastStep()(states, mask)

    # User-item recommendation: the item's codes from what the user has.
    one = keras.layers.Reshape((1,), name="one_step")
    tokens_of = CodeTokens(size, codes.sizes, codes=codes.codes, name="codes")
    decoder = CodeDecoder(
        [table.shape for table in tree.tables], tree.num_items, num_layers, num_heads,
        hidden_size // num_heads, 4 * hidden_size, beam_width=beam_width, num_results=num_results,
        tie_codes=tie_codes, dropout=dropout, tables=tree.tables, name="decoder",
    )
    history = inputs["hist_item_id"]
    table = codebooks(tokens_of(history), whole=True)
    newest_first = keras.ops.flip(history, axis=1)
    states, mask, user = encoded(newest_first, one(inputs["user_id"]), "user")
    recommended = decoder(
        states, mask, table, tokens_of(inputs["item_id"]), seen=history
    )  # (B, L)

    # Item-item indexing: an item's codes from its text and its users, and its end state. The three
    # items of a row are encoded as three rows.
    ids = keras.ops.concatenate([one(inputs[f"{item}_id"]) for item in items], axis=0)
    users = keras.ops.concatenate([inputs[f"{item}_users"] for item in items], axis=0)
    states, mask, ends = encoded(ids, users, "item")  # (3B, S, D), (3B, S), (3B, D)
    vectors = [user, *keras.ops.split(ends, 3, axis=0)]
    states, mask, tokens = (
        keras.ops.concatenate(keras.ops.split(x, 3, axis=0)[:2], axis=0)
        for x in (states, mask, tokens_of(ids))
    )  # those of the near item are not spelled
    indexed = keras.ops.split(decoder(states, mask, table, tokens), 2, axis=0)

    score = PredictionLayer("regression", use_bias=False, name="score")(
        keras.ops.sum(recommended, axis=-1, keepdims=True)
    )  # (B, 1)
    row_loss = AlignmentLoss(
        generation_weight, contrast_weight, tasks=tasks, name=ROW_LOSS
    )(recommended, indexed, vectors)
    model = RecModel(
        inputs, {"score": score, ROW_LOSS: row_loss}, feature_columns=columns,
        positive_item="item_id", name=name,
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile)
    return model
