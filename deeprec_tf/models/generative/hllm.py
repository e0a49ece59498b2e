"""HLLM: Hierarchical Large Language Model (Chen et al., 2024).

Departures from the paper and the authors' code:
- with known vectors of the items (`item_embeddings`) the loss is the softmax over all items, of
  cosines at a fixed temperature of .07; from texts it is the paper's InfoNCE with items drawn for
  the batch, 512 of them, and a learned scale;
- users are read without times, as published; a decoder from scratch is SASRec's pre-norm block,
  whose feed-forward network is as wide as the vectors;
- one set of negatives is drawn a batch, uniformly, while the authors' are the items of the batch's
  own negative sequences;
- a scale above its bound of 100 has a gradient nevertheless, so that it can come back;
- Adam at 1e-3 by default, and AdamW at 1e-4, as published, where a pre-trained model is trained;
- encoders such as BERT, which are not causal, are read as the mean over their tokens, without
  [ITEM]; small decoders can begin from scratch, for users and for items;
- items and users may have features beside the text and the history;
- ranking has both fusions of the paper; its generative loss, λ = `generative_weight`, leaves out
  the target item, which the user may not have wanted.
"""

import math

import keras

from deeprec_tf.candidates import AllItems, Sampled, candidate_sets
from deeprec_tf.engine import RecModel
from deeprec_tf.features import VarLenSparseFeat
from deeprec_tf.generative import known_of_all, parameters
from deeprec_tf.inputs import build_input_layers, embedding_lookup
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.retrieval.generative_loss import GenerativeLoss
from deeprec_tf.layers.retrieval.masked_items import OneMoreMask, OneMoreStep
from deeprec_tf.layers.retrieval.next_step import LastStep, NextStep
from deeprec_tf.layers.sequence.learned_vector import LearnedVector
from deeprec_tf.layers.sequence.with_context import WithContext
from deeprec_tf.numeric import check_whole_numbers
from deeprec_tf.optimizers import FineTuneAdamW
from deeprec_tf.recall import (
    cosine_temperature,
    is_softmax,
    item_tower,
    joint,
    next_item_columns,
    recall_model,
    row_losses,
    two_sided_tables,
    user_sequence,
)
from deeprec_tf.registry import register_model
from deeprec_tf.sequence_recall import UnitItems
from deeprec_tf.task_kinds import ROW_LOSS
from deeprec_tf.tasks import compiled, prediction
from deeprec_tf.text_items import (
    TextItems,
    checked_tokens,
    checked_vectors,
    item_encoder,
    known_as,
    user_decoder,
)

MODES = ("retrieval", "ranking")
FUSIONS = ("late", "concat", "early")  # "concat" is what Torch-RecHub calls the late one
MAXLEN = 50
TEMPERATURE = 0.07
FINE_TUNING_RATE = 1e-4
NEGATIVES, SAME_TEXT = 512, 0.99
LLM = {
    "model_name": None, "user_model_name": None, "hidden_size": None, "num_heads": 2,
    "num_layers": 2, "dropout": 0.1, "trainable_layers": "all", "lora_rank": None,
}  # fmt: skip
FUSION = {
    "fusion_type": "late", "fusion_dims": (512, 256, 128), "dropout": 0.1,
    "generative_weight": 0.0,
}  # fmt: skip


@register_model(
    family="generative",
    year=2024,
    url="https://arxiv.org/abs/2409.12740",
    paper="HLLM: Enhancing Sequential Recommendations via Hierarchical Large Language Models for "
    "Item and User Modeling",
    needs=("behaviors", "target_item"),
    optional=("context",),
    aliases=("HLLMModel",),
)
def HLLM(
    user_feature_columns=None,
    item_feature_columns=None,
    *,
    llm_params=None,
    fusion_params=None,
    item_embeddings=None,
    item_tokens=None,
    mode="retrieval",
    negatives=None,
    temperature=None,
    item_table=None,
    optimizer=None,
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="hllm",
):
    """A language model reads each item's text, another one the vectors of a user's items.

    Args:
        user_feature_columns: the history of the item's columns (`hist_item_id` for `item_id`), and
            any other columns of the user. When None, `hist_item_id` of up to 50 items.
        item_feature_columns: columns of the positive or target item, its id first; ids start at 1.
            When None, `item_id`. The id has no table of its own: the item is its text.
        llm_params: dict of `model_name` (the item LLM: a local folder, a keras-hub preset or a
            backbone; a small decoder from scratch when left out), `user_model_name` (the same for
            the user LLM, a decoder), `hidden_size` (width D of the users' vectors; that of the
            items' when left out), `num_heads` (2), `num_layers` (2) and `dropout` (0.1) of
            decoders from scratch, `trainable_layers` ("all", or how many last blocks of the item
            LLM) and `lora_rank` (of adapters in their place).
        fusion_params: ranking: dict of `fusion_type` ("late": a [USER] vector behind the history
            gives the user's vector, which meets the target's in an MLP; "early": the target's
            vector is the last step itself), `fusion_dims` ([512, 256, 128]), `dropout` (0.1) and
            `generative_weight` (λ of the retrieval loss beside; 0).
        item_embeddings: array (V, D0) of vectors that stay as they are, row i that of item i, row
            0 padding. See `deeprec_tf.training.item_vectors`.
        item_tokens: integer array (V, L) of token ids in place of vectors: both language models
            are trained. See `deeprec_tf.data.item_tokens`.
        mode: "retrieval", a vector for the user and one for the item, or "ranking", the
            probability that the target item is clicked.
        negatives: "all", "in_batch", or `Sampled(…)`, `InBatch(…)` of `deeprec_tf.candidates`.
            When None "all" with vectors, and with texts 512 items a batch, without those whose
            cosine with the positive is above .99.
        temperature: divides cosines in the loss, or "learned": they are multiplied by a learned
            scale, 1/.07 at the start, in 1..100. When None .07 for all items, else "learned".
        item_table: `{column: array}` of the features of all items, where they have some beside
            the id.
        optimizer: Keras optimizer or name. When None Adam, but AdamW at 1e-4, with weight decay .01
            on matrices, where a pre-trained language model is trained.
        loss: retrieval: a `deeprec_tf.losses.RankingLoss` or its name, the softmax when None;
            ranking: a Keras loss, the binary cross-entropy when None.
        metrics: ranking: the task's own when None; `RetrievalEvaluation` measures retrieval.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` whose prediction is `score` (B, 1), the cosine of user_vector and
        item_vector, or in ranking `probability` (B, 1).

    Raises:
        ImportError: a language model is named and keras-hub is not installed.
        TypeError: a dict of parameters or a backbone is none.
        ValueError: an unknown mode, key, fusion, loss or set of negatives; vectors and tokens
            both or neither, or not one row an item; parameters that nothing reads; widths that
            differ; the item's id without a history; features that `item_table` misses.

    Example:
        >>> import numpy as np
        >>> vectors = np.random.default_rng(0).normal(size=(101, 16))
        >>> HLLM(item_embeddings=vectors).name
        'hllm'

    References:
        Chen et al., HLLM: Enhancing Sequential Recommendations via Hierarchical Large Language
        Models for Item and User Modeling, 2024.
    """
    llm = parameters(llm_params, LLM, owner="HLLM", argument="llm_params")
    check_whole_numbers(
        "HLLM", **{key: llm[key] for key in ("num_layers", "num_heads", "hidden_size")}
    )
    fusion = parameters(fusion_params, FUSION, owner="HLLM", argument="fusion_params")
    ranks = _ranks(mode, fusion_params, fusion, negatives, temperature)
    users, columns = user_feature_columns, item_feature_columns
    vectors, tokens = _known_items(item_embeddings, item_tokens, llm, llm_params)
    size = len(tokens if vectors is None else vectors)
    if users is None and columns is None:
        users, columns = next_item_columns(size - 1, MAXLEN, embedding_dim=1)
    if users is None or columns is None:
        raise ValueError("HLLM: give user_feature_columns and item_feature_columns, or neither.")

    # Item LLM: an item is its vector, known beforehand or read off its text.
    encoder = None
    if vectors is None:
        encoder, width = item_encoder(llm, tokens, owner="HLLM")
    else:
        width = vectors.shape[1]
    users, columns = known_as(users, columns, width, vectors=vectors, size=size, owner="HLLM")
    inputs = build_input_layers([*users, *columns])
    tables = two_sided_tables(users, columns)
    known, alone = columns, []
    if ranks:
        known, alone = known_of_all(columns, users, item_table, owner="HLLM")
    user_llm = user_decoder(llm, _longest(users, columns) + ranks, owner="HLLM")
    hidden_size = _hidden_size(llm, user_llm)
    arguments = (known, inputs, tables, item_tower(known, hidden_size))
    options = {"item_table": item_table, "owner": "HLLM"}
    items = (
        UnitItems(*arguments, **options) if encoder is None
        else TextItems(*arguments, item_tokens=tokens, encoder=encoder, **options)
    )
    history = user_sequence(users, items)  # vectors (B, T, D)

    if optimizer is None:
        optimizer = _optimizer(llm)
    if negatives is None:
        negatives = "all" if encoder is None else Sampled(NEGATIVES, hide_similar=SAME_TEXT)
    temperature = _temperature(temperature, None if ranks else loss, negatives)
    if ranks:
        output = _ranked(
            inputs, tables, items, history, alone, user_llm, fusion, negatives, temperature
        )
        model = RecModel(inputs, output, feature_columns=[*users, *columns], name=name)
        _start_scale(model)
        return compiled(
            model, optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile
        )

    # User LLM: each state is to score the next item highest, and the last one is the user.
    states = user_llm(history.vectors, history.mask)  # (B, T, D)
    last = LastStep(name="last_state")(states, history.mask)  # (B, D)
    if history.context:
        join, context = WithContext(name="context"), embedding_lookup(
            inputs, tables, history.context
        )
        states, last = join(states, context), join(last, context)
    unit = UnitLength(name="user_unit")
    user_vector = joint(unit(last), "user_vector")
    item_vector = joint(items.positive(), "item_vector")  # (B, D)
    positive = item_vector if encoder is None else items.positive_in_loss()
    past = items.unit(history.vectors)
    model = recall_model(
        inputs, items, user_vector, item_vector, feature_columns=[*users, *columns],
        queries=unit(states),
        labels=NextStep(name="labels")(history.ids, items.ids, history.mask),
        positives=NextStep(name="positives")(past, positive, history.mask),
        seen=history.ids, loss=loss, negatives=negatives, temperature=temperature,
        optimizer=optimizer, metrics=metrics, jit_compile=jit_compile, name=name,
    )
    _start_scale(model)
    return model


def _ranked(inputs, tables, items, history, alone, user_llm, fusion, negatives, temperature):
    """The probability that the target is clicked: late or early fusion with the history."""
    mask, is_last = OneMoreMask(name="one_more")(history.mask)  # (B, T + 1)
    target = items.encode(inputs)  # (B, D)
    step = OneMoreStep(name="with_last")
    if fusion["fusion_type"] == "early":
        # The target's vector is the last step, so the user LLM sees both.
        states = user_llm(step(history.vectors, target, is_last), mask)
        known = [LastStep(name="target_state")(states, mask)]
    else:
        # A learned vector [USER] is the last step, and its state the user, whatever the target.
        user = LearnedVector(target.shape[-1], name="user_token")(history.ids)
        states = user_llm(step(history.vectors, user, is_last), mask)
        user_vector = joint(LastStep(name="user_state")(states, mask), "user_vector")
        known = [user_vector, joint(target, "item_vector")]
    rest = [*history.context, *alone]
    if rest:
        known.append(embedding_lookup(inputs, tables, rest))
    joined = keras.layers.Concatenate(name="fused")(known) if len(known) > 1 else known[0]
    tower = MLP(fusion["fusion_dims"], dropout=fusion["dropout"], name="fusion")(joined)
    output = prediction(tower)
    if not fusion["generative_weight"]:
        return output
    unit, past = UnitLength(name="user_unit"), items.unit(history.vectors)
    nothing = keras.ops.zeros_like
    losses = row_losses(
        items, candidate_sets(negatives, owner="HLLM"), None, temperature,
        unit(states[:, :-1]),  # what comes later has no influence on them
        NextStep(name="labels")(history.ids, nothing(items.ids), history.mask),
        NextStep(name="positives")(past, nothing(past[:, 0]), history.mask),
        history.ids,
    )
    return GenerativeLoss(fusion["generative_weight"], name="auxiliary_loss")(output, losses)


def _ranks(mode, fusion_params, fusion, negatives, temperature):
    """Whether the model ranks; refuses what its mode does not read."""
    if mode not in MODES:
        raise ValueError(f"HLLM: mode must be one of {MODES}, got {mode!r}.")
    if fusion["fusion_type"] not in FUSIONS:
        raise ValueError(
            f"HLLM: fusion_params['fusion_type'] must be one of {FUSIONS}, got "
            f"{fusion['fusion_type']!r}."
        )
    if mode == "retrieval" and fusion_params is not None:
        raise ValueError("HLLM: fusion_params belong to mode='ranking'; leave them out.")
    is_idle = mode == "ranking" and not fusion["generative_weight"]
    if is_idle and (negatives, temperature) != (None, None):
        raise ValueError(
            "HLLM: negatives and temperature belong to mode='retrieval', or to ranking with "
            "fusion_params={'generative_weight': …}; leave them out."
        )
    return mode == "ranking"


def _known_items(item_embeddings, item_tokens, llm, llm_params):
    """The items' vectors or their tokens, of which one is None."""
    if (item_embeddings is None) == (item_tokens is None):
        given = "neither" if item_tokens is None else "both"
        raise ValueError(
            f"HLLM: give item_embeddings, vectors that stay as they are, or item_tokens, texts "
            f"that a language model reads; got {given}."
        )
    of_texts = [key for key in ("model_name", "trainable_layers", "lora_rank")
                if key in (llm_params or {})]  # fmt: skip
    if item_tokens is None and of_texts:
        raise ValueError(
            f"HLLM: llm_params has {of_texts[0]!r}, which is of the item LLM, but item_embeddings "
            "need none. Leave it out, or give item_tokens."
        )
    if llm["model_name"] is None and of_texts:
        raise ValueError(
            f"HLLM: llm_params has {of_texts[-1]!r}, which is of a pre-trained item LLM. Give its "
            "'model_name' too, or leave it out."
        )
    of_scratch = [key for key in ("num_layers", "num_heads", "dropout")
                  if key in (llm_params or {})]  # fmt: skip
    reads_from_scratch = item_tokens is not None and llm["model_name"] is None
    if of_scratch and not reads_from_scratch and llm["user_model_name"] is not None:
        raise ValueError(
            f"HLLM: llm_params has {of_scratch[0]!r}, which is of decoders that begin from "
            "scratch, but there is none. Leave it out."
        )
    if item_tokens is None:
        return checked_vectors(item_embeddings, owner="HLLM"), None
    return None, checked_tokens(item_tokens, owner="HLLM")


def _hidden_size(llm, user_llm):
    """The width of the users' vectors, or None for that of the items'."""
    own = getattr(user_llm, "width", None)
    if own is not None and llm["hidden_size"] not in (None, own):
        raise ValueError(
            f"HLLM: llm_params has hidden_size {llm['hidden_size']}, but the user LLM is {own} "
            "wide. Leave hidden_size out."
        )
    return llm["hidden_size"] if own is None else own


def _longest(users, columns):
    """The longest history: of the columns that share the item's table."""
    table = columns[0].embedding_name
    return max(
        (c.maxlen for c in users
         if isinstance(c, VarLenSparseFeat) and c.embedding_name == table), default=MAXLEN,
    )  # fmt: skip


def _optimizer(llm):
    """Fine-tuning's where there is something to be tuned."""
    tunes_items = llm["model_name"] is not None and llm["trainable_layers"] != 0
    if tunes_items or llm["user_model_name"] is not None:
        return FineTuneAdamW(FINE_TUNING_RATE)
    return "adam"


def _temperature(temperature, loss, negatives):
    """The temperature of the loss, where none is given."""
    if temperature is not None:
        return temperature
    if not is_softmax(loss):
        return cosine_temperature(None, loss)
    whole = negatives == "all" or isinstance(negatives, AllItems)
    return TEMPERATURE if whole else "learned"


def _start_scale(model):
    """A learned scale begins at 1/.07."""
    for layer in model.layers:
        if layer.name == ROW_LOSS and getattr(layer, "log_scale", None) is not None:
            layer.log_scale.assign(math.log(1 / TEMPERATURE))
