"""What models of item codes share: presets, checks of what they are given, T5's weights."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from deeprec_tf.identifiers.item_codes import ItemCodes
from deeprec_tf.identifiers.prefix_tree import PrefixTree

__all__ = ["load_t5_weights"]

# Context items, tokens of an item's text, tokens of a sequence: the lengths of the released code
# (https://github.com/Junewang0614/ColaRec), which counts the atom among the tokens of a text.
PRESETS = {
    "short": (20, 29, 256), "micshort": (20, 34, 256), "mlshort": (40, 29, 256),
    "long": (40, 49, 500),
}  # fmt: skip


def sizes_of_preset(preset: str | Sequence[int], *, owner: str) -> tuple[int, int, int]:
    """Context items, tokens of a text and tokens of a sequence.

    Args:
        preset: a name of `PRESETS`, or the three numbers.
        owner: the model's name, for messages.

    Raises:
        ValueError: there is no such preset, or these are no three positive integers.
    """
    if isinstance(preset, str) and preset in PRESETS:
        return PRESETS[preset]
    is_sizes = isinstance(preset, list | tuple) and len(preset) == 3
    if not is_sizes or any(not isinstance(n, Integral) or n < 1 for n in preset):
        raise ValueError(
            f"{owner}: preset must be one of {tuple(PRESETS)}, or three positive integers: items "
            f"of the context, tokens of a text, tokens of a sequence; got {preset!r}."
        )
    items, tokens, steps = (int(number) for number in preset)
    return items, tokens, steps


def answer_tree(owner: str, codes: ItemCodes, hidden_items: Any) -> PrefixTree:
    """The prefixes of the items that a model may answer; errors in the model's name."""
    try:
        return PrefixTree.of(codes, without=hidden_items)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}: hidden_items: {error}") from error


def refuse_narrow_beam(
    owner: str, tree: PrefixTree, beam_width: int, num_results: int, seen: int
) -> None:
    """Raises ValueError for a beam that may not have as many items left as are asked for."""
    needed = num_results + seen
    if beam_width < min(needed, tree.num_items):
        besides = f", beside the {seen} of the history that are left out" if seen else ""
        raise ValueError(
            f"{owner}: beam_width must be at least {needed}, so that num_results={num_results} "
            f"items are left to answer with{besides}; got {beam_width!r}."
        )


def checked_tokens(
    item_tokens: Any, num_items: int, most: int, *, owner: str
) -> np.ndarray | None:
    """Token ids of all items' texts (V, W), cut to the first `most`; None for none.

    Raises:
        TypeError: no integers.
        ValueError: another shape, a negative id, or a text of id 0.
    """
    if item_tokens is None:
        return None
    tokens = np.asarray(item_tokens)
    if tokens.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: item_tokens must be integer token ids, got {tokens.dtype}. Tokenize the "
            "texts first, for example with deeprec_tf.data.tokenize_texts."
        )
    if tokens.ndim != 2 or len(tokens) != num_items or tokens.shape[1] < 1:
        raise ValueError(
            f"{owner}: item_tokens must have the shape ({num_items}, W), a row for each row of "
            f"item_codes, got {tokens.shape}."
        )
    if tokens.min() < 0 or tokens[0].any():
        raise ValueError(
            f"{owner}: item_tokens must be at least 0, and row 0, padding, zeros; got a smallest "
            f"of {tokens.min()} and a row 0 with {np.count_nonzero(tokens[0])} tokens."
        )
    return tokens[:, :most].astype("int32")


def load_t5_weights(model: Any, backbone: Any) -> int:
    """Gives the encoder-decoder of a model the weights of a keras-hub T5.

    Attention maps, norms, networks and relative positions come over by their place. Vectors of
    words come over as far as the tokens go, where the model has texts; atoms, codes, tasks and
    input positions stay as they are. T5 v1.0 and its like only: a gated network has another form.

    Args:
        model: a `TIGER` or `ColaRec` of the backbone's sizes.
        backbone: `keras_hub.models.T5Backbone`, such as `from_preset("t5_small_multi")`.

    Returns:
        How many weights came over.

    Raises:
        TypeError: the model has no encoder and decoder of this kind, or the backbone is no T5.
        ValueError: the sizes differ, or the network is gated.
    """
    if not all(hasattr(backbone, f"{part}_transformer_layers") for part in ("encoder", "decoder")):
        raise TypeError(
            "load_t5_weights: backbone must be a keras_hub.models.T5Backbone, got "
            f"{type(backbone).__name__}."
        )
    if not {"encoder", "decoder"} <= {layer.name for layer in getattr(model, "layers", ())}:
        raise TypeError(
            "load_t5_weights: model must be a TIGER or a ColaRec, got "
            f"{getattr(model, 'name', type(model).__name__)}."
        )
    if getattr(backbone, "use_gated_activation", False):
        raise ValueError(
            f"load_t5_weights: {backbone.name} has a gated network, which {model.name} has not. "
            "Take a T5 of the first version."
        )
    moves = []
    for part, layers, norm in (
        ("encoder", backbone.encoder_transformer_layers, backbone.encoder_layer_norm),
        ("decoder", backbone.decoder_transformer_layers, backbone.decoder_layer_norm),
    ):
        stack = model.get_layer(part)
        if len(stack.blocks) != len(layers):
            raise ValueError(
                f"load_t5_weights: {backbone.name} has {len(layers)} blocks a stack, the {part} of "
                f"{model.name} {len(stack.blocks)}. Build it with num_layers={len(layers)}."
            )
        moves += [(stack.positions.table, layers[0].self_attention.relative_attention_bias)]
        moves += [(stack.norm.scale, norm.weight)]
        for block, layer in zip(stack.blocks, layers, strict=True):
            moves += _block_moves(block, layer)
    for ours, theirs in moves:
        if tuple(ours.shape) != tuple(theirs.shape):
            raise ValueError(
                f"load_t5_weights: {ours.path} of {model.name} has the shape {tuple(ours.shape)}, "
                f"{theirs.path} of {backbone.name} {tuple(theirs.shape)}. Build the model with "
                f"hidden_size={backbone.hidden_dim} and num_heads={backbone.num_heads}."
            )
    for ours, theirs in moves:
        ours.assign(theirs)
    if any(layer.name == "embedding_tokens" for layer in model.layers):
        table = model.get_layer("embedding_tokens").embeddings
        words = np.array(backbone.token_embedding.embeddings)[: table.shape[0]]
        values = np.array(table)
        values[: len(words)] = words
        table.assign(values)
        return len(moves) + 1
    return len(moves)


def _block_moves(block: Any, layer: Any) -> list[tuple[Any, Any]]:
    theirs = [(layer.self_attention, layer.self_attention_layer_norm)]
    if block.cross:
        theirs.append((layer.cross_attention, layer.cross_attention_layer_norm))
    moves = []
    for ours, own_norm, (attention, norm) in zip(
        block.attentions, block.norms[:-1], theirs, strict=True
    ):
        for name in ("query", "key", "value", "output"):
            kernel = getattr(attention, f"{name}_projector").kernel
            moves.append((getattr(ours, f"{name}_kernel"), kernel))
        moves.append((own_norm.scale, norm.weight))
    return [
        *moves,
        (block.norms[-1].scale, layer.layer_norm.weight),
        (block.inner.kernel, layer.input_projector.kernel),
        (block.outer.kernel, layer.output_projector.kernel),
    ]
