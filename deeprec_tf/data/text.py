"""From texts to token ids: pairs of user and item text for a language model that ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from deeprec_tf.data.tables import row_count
from deeprec_tf.features import VarLenSparseFeat
from deeprec_tf.text import (
    FORMS,
    SEGMENTS,
    TOKENS,
    has_segments,
    load_tokenizer,
    text_columns,
    token_offset,
)

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 1024  # rows that `transform` tokenizes together


class TextPairs:
    """Tokenizes user and item texts for `TextRanker`.

    A cross-encoder reads [CLS] user [SEP] item [SEP] (decoders: user, separator, item, with
    their own start and end), a bi-encoder each text by itself. Where a pair is too long, the
    longer side loses tokens first, from its end, until both are equally long; so the item keeps
    at least half of the place, and all of it if it needs no more. Put what counts most first.

    Id 0 is padding. Ids of tokenizers that have a word there are moved up by one, and
    `TextRanker` moves them back.

    Args:
        tokenizer: `keras_hub` tokenizer, or a local folder in Hugging Face form, or a keras-hub
            preset.
        form: "cross_encoder" or "bi_encoder", as in `TextRanker`.
        maxlen: most tokens of a row, special ones counted.
        user: name of the column of user texts.
        item: name of the column of item texts.
        separator: text between user and item where the tokenizer has no token for it.

    Raises:
        ImportError: a folder or preset is named and keras-hub is not installed.
        TypeError: the tokenizer is none.
        ValueError: the form is unknown, or `maxlen` leaves no room for two tokens.

    Example:
        >>> import keras_hub
        >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heat", "alien", "likes"]
        >>> bert = keras_hub.models.BertTokenizer(vocabulary=words)
        >>> pairs = TextPairs(bert, maxlen=16)
        >>> batch = pairs({"user_text": ["likes heat"], "item_text": ["alien"]})
        >>> batch["token_ids"].numpy().tolist()
        [[2, 7, 5, 3, 6, 3]]
        >>> batch["segment_ids"].numpy().tolist()
        [[0, 0, 0, 0, 1, 1]]
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        form: str = "cross_encoder",
        maxlen: int = 128,
        user: str = "user_text",
        item: str = "item_text",
        separator: str = "\n",
    ) -> None:
        import tensorflow as tf  # Keras has no operations on strings

        if isinstance(tokenizer, str | Path):
            tokenizer = load_tokenizer(tokenizer)
        if not hasattr(tokenizer, "vocabulary_size") or not hasattr(tokenizer, "backbone_cls"):
            raise TypeError(
                "TextPairs: tokenizer must be a tokenizer of a keras_hub model, a folder or a "
                f"preset's name, got {type(tokenizer).__name__}."
            )
        if form not in FORMS:
            raise ValueError(f"TextPairs: form must be one of {FORMS}, got {form!r}.")
        self.tokenizer = tokenizer
        self.form = form
        self.maxlen = maxlen
        self.user, self.item = user, item
        self.separator = separator
        self.token_offset = token_offset(tokenizer.backbone_cls)
        self._has_segments = form == "cross_encoder" and has_segments(tokenizer.backbone_cls)
        self._start, self._middle, self._end = _specials(tokenizer, separator)
        specials = len(self._start) + len(self._end)
        needed = 2 + specials + len(self._middle) if form == "cross_encoder" else 1 + specials
        if maxlen < needed:
            raise ValueError(
                f"TextPairs: maxlen={maxlen} leaves no room for text between the special tokens. "
                f"Give at least {needed}."
            )
        strings = tf.TensorSpec((None,), tf.string)
        self._traced = tf.function(self._tokenized, input_signature=[strings, strings])

    # ---- strings to ids -----------------------------------------------------------------

    def __call__(self, texts: Mapping[str, Any], *rest: Any) -> Any:
        """A batch of texts as token ids; made for `tf.data.Dataset.map`, after `batch`.

        Args:
            texts: string tensors (B,) by name, or lists of strings.
            *rest: labels and weights, handed on.

        Returns:
            int32 tensors (B, T) by input name, padded to the longest row; with labels, a tuple.
        """
        batch = self._traced(texts[self.user], texts[self.item])
        return (batch, *rest) if rest else batch

    def transform(self, texts: pd.DataFrame | Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """Whole columns of texts as int32 arrays (N, T), padded to the longest row.

        Raises:
            KeyError: a column is missing.
            TypeError: a value is no string.
            ValueError: the columns are not equally long.
        """
        columns = {name: np.asarray(texts[name], object) for name in (self.user, self.item)}
        row_count("TextPairs", columns)
        for name, values in columns.items():
            wrong = [row for row, value in enumerate(values) if not isinstance(value, str)]
            if wrong:
                raise TypeError(
                    f"TextPairs: {name!r} holds {values[wrong[0]]!r} in row {wrong[0]}. Texts "
                    "must be strings; use '' where there is none."
                )
        parts = []
        for first in range(0, max(len(columns[self.user]), 1), _AT_ONCE):
            chunk = {n: list(v[first : first + _AT_ONCE]) for n, v in columns.items()}
            parts.append({name: ids.numpy() for name, ids in self(chunk).items()})
        return {name: _stacked([part[name] for part in parts]) for name in parts[0]}

    def feature_columns(self) -> list[VarLenSparseFeat]:
        """The columns of the token ids."""
        return text_columns(
            self.form,
            self.tokenizer.vocabulary_size() + self.token_offset,
            self.maxlen,
            segments=self._has_segments,
        )

    def as_layer(self) -> keras.Model:
        """The same as a Keras model from strings to token ids, for export.

        Serving it needs TensorFlow Text's operations: TensorFlow Serving has them, Python gets
        them by `import tensorflow_text`.
        """
        inputs = {
            name: keras.Input(shape=(), dtype="string", name=name)
            for name in (self.user, self.item)
        }
        tokens = _Tokens(self, name="tokens")(*inputs.values())
        return keras.Model(inputs, tokens, name="text_pairs")

    def _tokenized(self, user: Any, item: Any) -> dict[str, Any]:
        users, items = self._ids(user), self._ids(item)
        if self.form == "bi_encoder":
            room = self.maxlen - len(self._start) - len(self._end)
            return {
                f"{who}_{TOKENS}": _joined([self._start, _cut(ids, room), self._end], [0] * 3)[0]
                for who, ids in (("user", users), ("item", items))
            }
        room = self.maxlen - len(self._start) - len(self._middle) - len(self._end)
        users, items = _longer_side_first(users, items, room)
        parts = [self._start, users, self._middle, items, self._end]
        ids, segments = _joined(parts, [0, 0, 0, 1, 1])
        return {TOKENS: ids, SEGMENTS: segments} if self._has_segments else {TOKENS: ids}

    def _ids(self, texts: Any) -> Any:
        """Ragged int32 ids above the offset."""
        import tensorflow as tf

        return tf.cast(self.tokenizer.tokenize(texts), tf.int32) + self.token_offset


def _specials(tokenizer: Any, separator: str) -> tuple[list[int], list[int], list[int]]:
    """Ids before, between and behind the texts, as the model was trained with, above the offset."""

    def ids(*names: str) -> list[int]:
        found = [getattr(tokenizer, f"{name}_token_id", None) for name in names]
        offset = token_offset(tokenizer.backbone_cls)
        return [int(number) + offset for number in found if number is not None]

    if ids("cls", "sep"):
        return ids("cls"), ids("sep"), ids("sep")
    if ids("mask"):  # RoBERTa: two ends stand between two texts
        return ids("start"), ids("end", "end"), ids("end")
    offset = token_offset(tokenizer.backbone_cls)
    between = [int(number) + offset for number in np.ravel(tokenizer.tokenize(separator))]
    return ids("start"), between, ids("end")


def _cut(ids: Any, most: Any) -> Any:
    """The first ids of each row, `most` being a number or one a row."""
    import tensorflow as tf

    positions = tf.ragged.range(ids.row_lengths())
    limit = tf.broadcast_to(tf.cast(most, tf.int64), [ids.nrows()])
    within = positions.flat_values < tf.gather(limit, positions.value_rowids())
    return tf.ragged.boolean_mask(ids, positions.with_flat_values(within))


def _longer_side_first(users: Any, items: Any, room: int) -> tuple[Any, Any]:
    """Both cut to `room` ids together; of two equal sides, the user's loses the odd one."""
    import tensorflow as tf

    of_user, of_item = users.row_lengths(), items.row_lengths()
    item = tf.minimum(of_item, tf.maximum(room - of_user, (room + 1) // 2))
    return _cut(users, room - item), _cut(items, item)


def _joined(parts: Sequence[Any], segments: Sequence[int]) -> tuple[Any, Any]:
    """Constant and ragged parts side by side, padded with 0: ids and segment ids."""
    import tensorflow as tf

    rows = next(part.nrows() for part in parts if not isinstance(part, list))
    rugged = [
        tf.RaggedTensor.from_tensor(tf.tile(tf.constant([part], tf.int32), [rows, 1]))
        if isinstance(part, list) else part
        for part in parts if not isinstance(part, list) or part
    ]  # fmt: skip
    kept = [s for s, p in zip(segments, parts, strict=True) if not isinstance(p, list) or p]
    marks = [ids.with_flat_values(tf.fill(tf.shape(ids.flat_values), s))
             for ids, s in zip(rugged, kept, strict=True)]  # fmt: skip
    return tf.concat(rugged, axis=1).to_tensor(), tf.concat(marks, axis=1).to_tensor()


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    longest = max(array.shape[1] for array in arrays)
    return np.concatenate(
        [np.pad(array, [(0, 0), (0, longest - array.shape[1])]) for array in arrays]
    )


class _Tokens(keras.layers.Layer):
    """`TextPairs` in a graph; it is exported, never saved as a Keras file."""

    def __init__(self, pairs: TextPairs, **kwargs: Any):
        super().__init__(**{"dtype": "string", **kwargs})
        self.tokenizer = pairs.tokenizer
        self._pairs = pairs

    def build(self, user_shape: Any, item_shape: Any) -> None:
        """Nothing to make: the tokenizer has its vocabulary."""

    def call(self, user: Any, item: Any) -> dict[str, Any]:
        """Applies the layer."""
        import tensorflow as tf

        pairs = self._pairs
        return (pairs._traced if tf.executing_eagerly() else pairs._tokenized)(user, item)

    def compute_output_spec(self, user: Any, item: Any) -> dict[str, keras.KerasTensor]:
        """Shapes and dtypes of the result; strings can't be traced."""
        return {
            column.name: keras.KerasTensor((user.shape[0], None), dtype="int32")
            for column in self._pairs.feature_columns()
        }


def item_tokens(
    tokenizer: Any, texts: Sequence[str], *, maxlen: int = 64, prompt: str = ""
) -> np.ndarray:
    """The token ids of a catalogue's texts, as the table `item_tokens` of `HLLM`.

    Args:
        tokenizer: `keras_hub` tokenizer, or a local folder in Hugging Face form, or a keras-hub
            preset: that of the model which reads the ids.
        texts: text i is that of item i; the first one, of padding, is left out whatever it is.
        maxlen: most tokens of a text, special ones counted; the end of longer ones is cut off.
        prompt: put before every text. HLLM's authors take "Compress the following sentence into
            embedding: " for language models that are used to instructions.

    Returns:
        int32 array (V, L), L at most `maxlen`; row 0 and what is behind a text are 0.

    Raises:
        ImportError, TypeError, ValueError: as `TextPairs`.

    Example:
        >>> import keras_hub
        >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heat", "alien", "likes"]
        >>> bert = keras_hub.models.BertTokenizer(vocabulary=words)
        >>> item_tokens(bert, ["", "heat", "alien heat"], maxlen=8).tolist()
        [[0, 0, 0, 0], [2, 5, 3, 0], [2, 6, 5, 3]]
    """
    pairs = TextPairs(tokenizer, form="bi_encoder", maxlen=maxlen)
    texts = list(texts)
    wrong = next((i for i, text in enumerate(texts) if i and not isinstance(text, str)), None)
    if wrong is not None or len(texts) < 2:
        raise TypeError(
            f"item_tokens: texts must be strings, one an item behind that of padding, got "
            f"{'none' if wrong is None else repr(texts[wrong])}"
            f"{'' if wrong is None else f' for item {wrong}'}."
        )
    written = [f"{prompt}{text}" for text in texts[1:]]
    rows = pairs.transform({pairs.user: [""] * len(written), pairs.item: written})
    return np.pad(rows[f"item_{TOKENS}"], [(1, 0), (0, 0)])
