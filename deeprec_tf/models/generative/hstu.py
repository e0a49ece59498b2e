"""HSTU: Hierarchical Sequential Transduction Units (Zhai et al., ICML 2024).

Departures from the paper and the authors' code:
- the loss of retrieval is the softmax over all items by default; the paper's 128 items drawn for
  every position are `negatives=Sampled(128, each=True)`;
- a biased pair is always one of a step and an earlier one, so the table of distances has one entry
  for each and not one for the future too;
- `hierarchical_params`, windows of the layers, is an extension;
- user features are a prefix of tokens without place or time, which all steps see and which see each
  other; it has no bias. The paper writes them into the sequence as well, without saying where;
- in ranking the last token is the target item, whose action is foretold; the actions of the
  history are foretold too, as a loss beside. Without a history of actions the tokens are items;
- stochastic length always keeps the newest step;
- tables start as the columns say;
- "adam" has Keras's second number, .999, where the authors' AdamW has .98 (and no decay);
- of the released code's options the other norms, a bias of the projections, scores over the root of
  the width and mixtures of logits are left out.
"""

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.generative import known_of_all, level_windows, parameters
from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.attention.hstu_block import HSTUBlock
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.row_numbers import RowPart
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.retrieval.masked_items import OneMoreMask, OneMoreStep
from deeprec_tf.layers.retrieval.next_step import LastStep, NextStep
from deeprec_tf.layers.sequence.action_loss import ActionLoss
from deeprec_tf.layers.sequence.interleaved import Interleaved
from deeprec_tf.layers.sequence.learned_positions import LearnedPositions
from deeprec_tf.layers.sequence.stochastic_length import StochasticLength, TakenSteps
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.recall import (
    cosine_temperature,
    item_tower,
    joint,
    recall_model,
    two_sided_tables,
    user_sequence,
    with_width,
)
from deeprec_tf.registry import register_model
from deeprec_tf.roles import HISTORY_PREFIX, split_off_steps
from deeprec_tf.sequence_recall import UnitItems
from deeprec_tf.tasks import compiled, prediction

MODES = ("retrieval", "ranking")
TRANSFORMER = {
    "num_layers": 2, "num_heads": 1, "hidden_size": None, "intermediate_size": None, "dropout": 0.2,
}  # fmt: skip


@register_model(
    family="generative",
    year=2024,
    url="https://arxiv.org/abs/2402.17152",
    paper="Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for "
    "Generative Recommendations",
    needs=("behaviors", "target_item"),
    optional=("context", "times", "actions"),
    aliases=("HSTUModel",),
)
def HSTU(
    user_feature_columns,
    item_feature_columns,
    *,
    transformer_params=None,
    hierarchical_params=None,
    mode="retrieval",
    query_time=None,
    stochastic_length=None,
    embedding_dim=None,
    negatives=None,
    temperature=None,
    item_table=None,
    optimizer="adam",
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="hstu",
):
    """Pointwise causal attention over the history, for the next item or for the target's click.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user. A `VarLenDenseFeat` of int64, such as `hist_time`, has
            the times of the history, the `DenseFeat` of its name without `hist_` the time of the
            request; a `VarLenDenseFeat` of floats 0 and 1 what the user did at each step.
        item_feature_columns: columns of the positive or target item, its id first; ids start at 1.
        transformer_params: dict of `num_layers` (2), `num_heads` (1), `hidden_size` (the width D;
            that of the item's embeddings when left out), `intermediate_size` (all heads' values
            side by side; `hidden_size`) and `dropout` (0.2).
        hierarchical_params: dict of `level1_window_size`, how many items the first half of the
            layers sees, and `level2_window_size`, how many such windows the others see (0 or None:
            all). All layers see all when None.
        mode: "retrieval", a vector for the user and one for the item, or "ranking", the
            probability that the target item is clicked.
        query_time: the time a step asks at: "next", that of what comes next, for the last step of
            the request, or "own". When None "next" where the time of the request is given.
        stochastic_length: alpha, 1.6 to 1.7; long histories are then cut at random in training.
        embedding_dim: width of every table; those of the columns when None.
        negatives: retrieval: "all" (when None), "in_batch", or `Sampled(…)`, `InBatch(…)` of
            `deeprec_tf.candidates`.
        temperature: retrieval: divides cosines in the loss, or "learned"; .05 for the softmax
            when None.
        item_table: `{column: array}` of the features of all items, where they have some beside
            the id.
        optimizer: Keras optimizer or name.
        loss: retrieval: a `deeprec_tf.losses.RankingLoss` or its name, the softmax when None;
            ranking: a Keras loss, the binary cross-entropy when None.
        metrics: ranking: the task's own when None; `RetrievalEvaluation` measures retrieval.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction is `score` (B, 1), the cosine of user_vector and
        item_vector, or in ranking `probability` (B, 1).

    Raises:
        TypeError: a dict of parameters is none.
        ValueError: an unknown mode, key, query_time, loss or set of negatives, heads that don't
            divide the intermediate size, a time of the request that is missing or that nothing
            reads, the item's id without a history, features that `item_table` misses.

    Example:
        >>> HSTU(*next_item_columns(100, maxlen=20, embedding_dim=16)).name
        'hstu'

    References:
        Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
        Generative Recommendations, ICML 2024.
    """
    if mode not in MODES:
        raise ValueError(f"HSTU: mode must be one of {MODES}, got {mode!r}.")
    ranks = mode == "ranking"
    if ranks and (negatives, temperature) != (None, None):
        raise ValueError(
            "HSTU: negatives and temperature belong to mode='retrieval'; leave them out."
        )
    sizes = parameters(
        transformer_params, TRANSFORMER, owner="HSTU", argument="transformer_params"
    )
    check_whole_numbers(
        "HSTU", **{key: sizes[key] for key in ("num_layers", "num_heads", "hidden_size")}
    )
    windows = level_windows(hierarchical_params, sizes["num_layers"], owner="HSTU")
    beside, users = split_off_steps(with_width(user_feature_columns, embedding_dim), owner="HSTU")
    asks_next = _asks_next(query_time, beside, ranks)
    columns = with_width(item_feature_columns, embedding_dim)
    feature_columns = [*users, *beside.values(), *columns]
    inputs = build_input_layers(feature_columns)
    tables = two_sided_tables(users, columns)
    known, alone = columns, []
    if ranks:
        known, alone = known_of_all(columns, users, item_table, owner="HSTU")
    items = UnitItems(
        known, inputs, tables, item_tower(known, sizes["hidden_size"]), item_table=item_table,
        owner="HSTU",
    )
    history = user_sequence(users, items)
    width, maxlen = history.vectors.shape[-1], history.maxlen
    for column in beside.values():
        if getattr(column, "maxlen", maxlen) != maxlen:
            raise ValueError(
                f"HSTU: {column.name!r} stands beside the steps of the history, but has maxlen "
                f"{column.maxlen}, the history {maxlen}. Give both one."
            )

    # What stands at each step of the history, or at those that stochastic length keeps.
    mask, taken = history.mask, lambda tensor: tensor
    if stochastic_length is not None:
        places, mask = StochasticLength(maxlen, stochastic_length, name="stochastic_length")(mask)
        take = TakenSteps(name="taken_steps")
        taken = lambda tensor: take(tensor, places, mask)  # noqa: E731
    vectors = taken(history.vectors)  # (B, T, D)
    times = taken(inputs[beside["times"].name]) if "times" in beside else None  # (B, T)
    asked = times
    request = _one_number(inputs, beside.get("request_time"))  # (B,)
    if asks_next and not ranks:
        ahead = NextStep(name="query_times")
        asked = taken(ahead(inputs[beside["times"].name], request, history.mask))
    actions = of_actions = None
    if "actions" in beside:
        actions = taken(embedding_lookup(inputs, tables, [beside["actions"]]))  # (B, T, A)
        start = keras.initializers.RandomNormal(stddev=0.02)
        of_actions = keras.layers.Dense(width, kernel_initializer=start, name="actions")(actions)

    # Tokens: items, with the actions added (retrieval) or between them (ranking); last the target.
    pairs = 2 if ranks and actions is not None else 1
    item_mask = mask
    if pairs == 2:
        between = Interleaved(name="items_and_actions")
        vectors, mask = between(vectors, of_actions), between(mask, mask)  # (B, 2T, D)
        times = None if times is None else between(times, times)
    elif actions is not None:
        vectors = keras.layers.Add(name="items_with_actions")([vectors, of_actions])
    positions = LearnedPositions(
        pairs * maxlen + ranks, scale=width**0.5, name="positions",
        initializer=keras.initializers.TruncatedNormal(stddev=width**-0.5),
    )
    tokens = positions(vectors, mask)  # (B, S, D)
    if ranks:
        length = keras.ops.sum(keras.ops.cast(mask, "int32"), axis=1)  # (B,)
        target = _target(items, alone, inputs, tables, width)
        target = positions(
            keras.ops.expand_dims(target, 1), keras.ops.ones_like(mask[:, :1]), length
        )
        target = keras.layers.Reshape((width,), name="target_token")(target)  # (B, D)
        mask, is_target = OneMoreMask(name="one_more")(mask)  # (B, S + 1)
        tokens = OneMoreStep(name="tokens")(tokens, target, is_target)
        if times is not None:
            times = OneMoreStep(name="times")(times, request, is_target)
            asked = NextStep(name="query_times")(times, request, mask) if asks_next else times
    tokens = Dropout(sizes["dropout"], name="embedding_dropout")(tokens)

    # The user's features go before them.
    prefix = _prefix(inputs, tables, history.context, width)
    tokens, *beside_tokens = _with_prefix(prefix, tokens, mask, times, asked)  # (B, P + S, D)

    # Sequential transduction.
    states = tokens
    for i, window in enumerate(windows):
        states = HSTUBlock(
            sizes["num_heads"], _head_size(sizes, width), places=pairs * maxlen + ranks,
            normalizer=maxlen if window is None else min(maxlen, window),
            window=None if window is None else pairs * window, prefix=len(prefix),
            dropout=sizes["dropout"], name=f"block_{i}",
        )(states, *beside_tokens)
    states = states[:, len(prefix) :] if prefix else states  # (B, S, D)

    if not ranks:
        # The user is the last state; each state is to score the next item highest.
        unit = UnitLength(name="user_unit")
        user_vector = joint(unit(LastStep(name="last_state")(states, mask)), "user_vector")
        item_vector = joint(items.positive(), "item_vector")  # (B, D)
        past = items.unit(history.vectors)
        return recall_model(
            inputs, items, user_vector, item_vector, feature_columns=feature_columns,
            queries=unit(states),
            labels=taken(NextStep(name="labels")(history.ids, items.ids, history.mask)),
            positives=taken(NextStep(name="positives")(past, item_vector, history.mask)),
            seen=history.ids, loss=loss, negatives="all" if negatives is None else negatives,
            temperature=cosine_temperature(temperature, loss), optimizer=optimizer,
            metrics=metrics, jit_compile=jit_compile, name=name,
        )

    output = _answer(states, mask, actions, item_mask)
    model = RecModel(inputs, output, feature_columns=feature_columns, name=name)
    return compiled(model, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile)


def _head_size(sizes, width):
    """The width of a head's values, and of its queries and keys."""
    inner, heads = sizes["intermediate_size"] or width, sizes["num_heads"]
    if heads < 1 or inner % heads:
        raise ValueError(
            f"HSTU: transformer_params has intermediate_size {inner} and {heads} heads; give a "
            "multiple of num_heads."
        )
    return inner // heads


def _asks_next(query_time, beside, ranks):
    """Whether a step asks at the time of what comes next."""
    has_request, has_times = "request_time" in beside, "times" in beside
    if query_time not in (None, "next", "own"):
        raise ValueError(f"HSTU: query_time must be 'next', 'own' or None, got {query_time!r}.")
    if query_time is not None and not has_times:
        raise ValueError(
            f"HSTU: query_time={query_time!r} needs the times of the history. Add "
            f"VarLenDenseFeat({HISTORY_PREFIX + 'time'!r}, …, dtype='int64')."
        )
    asks_next = has_request if query_time is None else query_time == "next"
    if has_times and not has_request and (asks_next or ranks):
        past = beside["times"]
        now = past.name.removeprefix(HISTORY_PREFIX)
        raise ValueError(
            f"HSTU: {past.name!r} was given, but not the time of the request, which "
            f"{'the target item' if ranks else 'query_time=' + repr('next')} needs. Add "
            f"DenseFeat({now!r}, dtype={past.dtype!r}) to the user's columns."
        )
    if has_request and not asks_next and not ranks:
        raise ValueError(
            f"HSTU: with query_time='own' nothing reads {beside['request_time'].name!r}. Drop it."
        )
    return asks_next


def _one_number(inputs, column):
    """A column of one number a row: (B,)."""
    return None if column is None else keras.ops.squeeze(inputs[column.name], axis=-1)


def _target(items, alone, inputs, tables, width):
    """The target item's vector (B, D), with what is known of it alone."""
    target = items.encode(inputs)
    if not alone:
        return target
    more = keras.layers.Dense(width, use_bias=False, name="target_projection")(
        embedding_lookup(inputs, tables, alone)
    )
    return keras.layers.Add(name="target")([target, more])


def _prefix(inputs, tables, context, width):
    """A token (B, 1, D) for each of the user's features."""
    tokens = []
    for column in context:
        token = keras.layers.Dense(width, name=f"{column.name}_token")(
            embedding_lookup(inputs, tables, [column])
        )
        tokens.append(keras.layers.Reshape((1, width), name=f"{column.name}_place")(token))
    return tokens


def _with_prefix(prefix, tokens, mask, times, asked):
    """Tokens, their mask and, where there are some, their times, behind a prefix without times."""
    beside = [mask] if times is None else [mask, times, asked]
    if prefix:
        tokens = keras.layers.Concatenate(axis=1, name="with_prefix")([*prefix, tokens])
        ahead = ((0, 0), (len(prefix), 0))
        real = keras.ops.pad(keras.ops.cast(mask, "int32"), ahead, constant_values=1)
        beside[0] = keras.ops.greater(real, 0)
        beside[1:] = [keras.ops.pad(one, ahead) for one in beside[1:]]
    return tokens, *beside


def _answer(states, mask, actions, item_mask):
    """The target's state tells whether it is clicked, an item's what was done with it."""
    state = LastStep(name="target_state")(states, mask)  # (B, D)
    if actions is None:
        return prediction(state)
    heads = keras.layers.Dense(actions.shape[-1], use_bias=False, name="heads", dtype="float32")
    logit = RowPart(0, 1, name="logit", dtype="float32")(heads(state))
    of_items = heads(states[:, :-1:2])  # (B, T, A)
    return ActionLoss(name="auxiliary_loss")(
        prediction(logit, is_logit=True), of_items, actions, item_mask
    )
