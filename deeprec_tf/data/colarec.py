"""Data of ColaRec: its authors' files, texts as tokens, and the rows of an epoch."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deeprec_tf.data.ragged import padded_windows
from deeprec_tf.numeric import check_whole_numbers

_WORD = re.compile(r"\w+")
_PARTS = {"train": "train_time_inter.csv", "valid": "valid_inter.csv", "test": "test_inter.csv"}


@dataclass(frozen=True, eq=False)
class ColaRecData:
    """What the authors' files of one data set hold.

    Attributes:
        codes: the identifiers (V, L), row 0 zeros.
        texts: the texts by item id, "" for id 0.
        train: interactions `user_id, item_id, time`; users and items count from 1.
        valid: those of the validation.
        test: those of the test.
        users: the files' users, entry i - 1 that of id i.
    """

    codes: np.ndarray
    texts: list[str]
    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame
    users: pd.Index


def read_colarec(folder: str | Path) -> ColaRecData:
    """Reads a data set in the layout of ColaRec's authors.

    A corpus, JSON from the item's id to `cid` (its codes) and `content` (its text), and
    `train_time_inter.csv`, `valid_inter.csv` and `test_inter.csv` with `user_id, item_id, time`.
    The corpus is the JSON file whose entries have `cid`. What else the authors publish says
    nothing more and is not read: `atom_id`, by which they find an item's vector, is its id
    again, and `cid_neg_dict.json` lists items of the same prefix, which the codes tell
    (`ColaRecRows` draws them).

    Args:
        folder: folder of the files.

    Returns:
        `ColaRecData`.

    Raises:
        TypeError: a content that is no text.
        ValueError: a file is missing or no JSON, ids of the corpus are not 1, 2, ..., an entry
            without codes or content, a missing column, user or item, or an item that is not in the
            corpus.
    """
    folder, corpus = Path(folder), None
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"read_colarec: {path} is no JSON: {error}") from error
        first = next(iter(content.values()), None) if isinstance(content, dict) else None
        if isinstance(first, dict) and "cid" in first:
            corpus, name = content, path
    missing = [name for name in _PARTS.values() if not (folder / name).is_file()]
    if corpus is None or missing:
        what = missing[0] if missing else "JSON file whose entries have 'cid'"
        raise ValueError(f"read_colarec: there is no {what} in {folder}.")
    wanted = [str(item) for item in range(1, len(corpus) + 1)]
    strange = sorted(set(corpus) - set(wanted))
    if strange:
        raise ValueError(
            f"read_colarec: ids of the corpus {name} must be 1..{len(corpus)}, got {strange[0]!r}."
        )
    entries = [corpus[item] for item in wanted]
    levels = len(entries[0]["cid"])
    for item, entry in zip(wanted, entries, strict=True):
        if len(entry.get("cid", ())) != levels or "content" not in entry:
            raise ValueError(
                f"read_colarec: item {item} of {name} must have 'cid', {levels} codes as the "
                f"first item, and 'content', got {entry!r}."
            )
    codes = np.array([[0] * levels, *(entry["cid"] for entry in entries)], "int32")
    parts = {part: _log(folder / file, len(entries)) for part, file in _PARTS.items()}
    users = pd.Index(pd.unique(pd.concat([log["user_id"] for log in parts.values()])))
    for part, log in parts.items():
        parts[part] = log.assign(user_id=users.get_indexer(log["user_id"]) + 1)
    contents = [entry["content"] for entry in entries]
    texts = _texts(f"read_colarec: {name}: 'content' of item", [None, *contents])
    return ColaRecData(codes, texts, **parts, users=users)


def _log(path: Path, num_items: int) -> pd.DataFrame:
    """Interactions of a file, checked."""
    log = pd.read_csv(path)
    lacking = [name for name in ("user_id", "item_id", "time") if name not in log]
    if lacking:
        raise ValueError(
            f"read_colarec: {path} has no column {lacking[0]!r}, only {list(log.columns)}."
        )
    for name in ("user_id", "item_id"):
        if log[name].isna().any():
            row = int(np.argmax(log[name].isna()))
            raise ValueError(f"read_colarec: {name!r} is missing in row {row} of {path}.")
    items = log["item_id"]
    bad = ~items.isin(range(1, num_items + 1)).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"read_colarec: 'item_id' must be an item of the corpus, 1..{num_items}, got "
            f"{items[row]} in row {row} of {path}."
        )
    return log.assign(item_id=items.astype("int64"))


def tokenize_texts(
    texts: Iterable[str], *, num_tokens: int = 29, vocabulary_size: int = 20_000
) -> tuple[np.ndarray, list[str]]:
    """Texts as rows of word ids, for models that learn the words' vectors themselves.

    Words are runs of letters and digits, in lower case; the most frequent ones get ids, from 2 on
    and by falling frequency, 1 stands for all others and 0 is padding.

    Args:
        texts: one text a row, such as a DataFrame's column with "" put before it for id 0. A
            missing one (None, NaN, pandas.NA) is an empty one.
        num_tokens: W, words kept of each text, the first ones.
        vocabulary_size: ids there are at most, 0 and 1 among them; at least 2.

    Returns:
        int32 array (V, W), and the words, entry i that of id i.

    Raises:
        TypeError: one text instead of many, or something that is no text.
        ValueError: sizes that are no whole numbers, or too small.

    Example:
        >>> tokenize_texts(["", "Red lip stick", "red, RED!"], num_tokens=2)[0].tolist()
        [[0, 0], [2, 3], [2, 2]]
    """
    check_whole_numbers("tokenize_texts", num_tokens=num_tokens, vocabulary_size=vocabulary_size)
    if vocabulary_size < 2:
        raise ValueError(
            f"tokenize_texts: vocabulary_size must be at least 2, for padding and for words that "
            f"have no id, got {vocabulary_size!r}."
        )
    if isinstance(texts, str | bytes):
        raise TypeError("tokenize_texts: texts must be many texts, got one. Put it into a list.")
    rows = [_WORD.findall(text.lower()) for text in _texts("tokenize_texts: text", texts)]
    counts = collections.Counter(word for row in rows for word in row)
    frequent = sorted(counts, key=lambda word: -counts[word])[: vocabulary_size - 2]
    words = ["", "[other]", *frequent]
    ids = {word: number for number, word in enumerate(words) if number > 1}
    tokens = np.zeros((len(rows), num_tokens), "int32")
    for row, found in enumerate(rows):
        kept = [ids.get(word, 1) for word in found[:num_tokens]]
        tokens[row, : len(kept)] = kept
    return tokens, words


def _texts(what: str, texts: Iterable[Any]) -> list[str]:
    """The texts, "" for missing ones."""
    found = ["" if pd.api.types.is_scalar(text) and pd.isna(text) else text for text in texts]
    wrong = next((i for i, text in enumerate(found) if not isinstance(text, str)), None)
    if wrong is not None:
        raise TypeError(f"{what} {wrong} must be a text, got {found[wrong]!r}.")
    return found


class ColaRecRows:
    """Training rows of ColaRec: one an interaction, what is beside it drawn anew every epoch.

    The context is some of the user's other items, never the one to be found; the negative an item
    that the user has not, and that does not share the positive's prefix; the near one shares all
    codes but the last with the positive, and is the positive itself where none does; the users of
    an item are some that have it, never the row's own.

    What is drawn for training has no order. The contexts of the trained model hold the newest
    items, oldest first, where the times are known.

    Args:
        interactions: pairs of user and item of the training part (N, 2), or a DataFrame with
            `user_id` and `item_id`; both count from 1.
        item_codes: `ItemCodes` or an array (V, L), row 0 zeros.
        context: items of the context at most; 0 for none.
        num_users_of_item: users of each item; 0 for none.
        time: the DataFrame's column of times; None for `time` if it has such a column, and for no
            times otherwise.
        seed: seed of the draws.

    Raises:
        TypeError: ids that are no integers.
        ValueError: no pairs, an id that is no item or user, two items with the same codes, a user
            who has all items, a missing column, or a number that is no whole one.

    Example:
        >>> rows = ColaRecRows([[1, 1], [1, 2], [2, 1]], [[0, 0], [1, 1], [1, 2], [2, 1]])
        >>> x = rows(0)
        >>> x["hist_item_id"][:, 0].tolist(), x["item_users"][:, 0].tolist()
        ([2, 1, 0], [2, 0, 1])
    """

    def __init__(
        self, interactions: Any, item_codes: Any, *, context: int = 10, num_users_of_item: int = 1,
        time: str | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        times = _times(interactions, time)
        for name, number in (("context", context), ("num_users_of_item", num_users_of_item)):
            if number != 0:  # none is drawn
                check_whole_numbers("ColaRecRows", **{name: number})
        if hasattr(interactions, "columns"):
            lacking = [n for n in ("user_id", "item_id") if n not in interactions.columns]
            if lacking:
                raise ValueError(
                    f"ColaRecRows: interactions have no column {lacking[0]!r}, only "
                    f"{list(map(str, interactions.columns))}."
                )
            interactions = interactions[["user_id", "item_id"]]
        pairs = np.asarray(interactions)
        codes = np.asarray(getattr(item_codes, "codes", item_codes))
        if codes.ndim != 2 or len(np.unique(codes[1:], axis=0)) < len(codes) - 1:
            raise ValueError(
                "ColaRecRows: item_codes must be a table (V, L), row 0 padding, in which no two "
                f"items have the same codes, got the shape {codes.shape}"
                + ("." if codes.ndim != 2 else " with codes that come twice.")
            )
        if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) == 0:
            raise ValueError(
                "ColaRecRows: interactions must hold a user and an item a row, (N, 2), got the "
                f"shape {pairs.shape}."
            )
        if pairs.dtype.kind not in "iu":
            raise TypeError(
                f"ColaRecRows: users and items must be integers, got {pairs.dtype}. Fill missing "
                "ones and convert with .astype('int64')."
            )
        if pairs.min() < 1 or pairs[:, 1].max() >= len(codes):
            raise ValueError(
                f"ColaRecRows: users must count from 1 and items lie in 1..{len(codes) - 1}, got a "
                f"smallest id of {pairs.min()} and items up to {pairs[:, 1].max()}."
            )
        if pairs[:, 0].max() > np.iinfo("int32").max:
            raise ValueError(
                f"ColaRecRows: users must count from 1 and fit into int32, got an id of "
                f"{pairs[:, 0].max()}. Number them, for example with pd.factorize."
            )
        distinct, place = np.unique(pairs, axis=0, return_inverse=True)
        self.users, self.items = distinct.astype("int64").T
        users, counts = np.unique(self.users, return_counts=True)
        if counts.max() >= len(codes) - 1:
            raise ValueError(
                f"ColaRecRows: user {users[counts.argmax()]} has all {len(codes) - 1} items, so "
                "nothing is left for a negative. Leave the user out."
            )
        self._times = np.zeros(len(distinct), "int64")
        np.maximum.at(self._times, place.reshape(-1), times)
        self.context, self.num_users_of_item = int(context), int(num_users_of_item)
        self.seed, self.size = seed, len(codes)
        _, prefix = np.unique(codes[:, :-1], axis=0, return_inverse=True)
        self._prefix = prefix.reshape(-1)
        self._known = self.users * self.size + self.items  # ascending
        self._items_of_user = _Runs(self.users, self.items)
        self._users_of_item = _Runs(self.items, self.users)
        self._items_of_prefix = _Runs(self._prefix[1:], np.arange(1, self.size))

    def __call__(self, epoch: int) -> dict[str, np.ndarray]:
        """The rows of an epoch, for `fit` and, as a function of the epoch, for its `redraw`."""
        generator = np.random.default_rng((self.seed, epoch))
        negative = self._negatives(generator)
        near = self._items_of_prefix.drawn(generator, self._prefix[self.items], self.items, 1)[:, 0]
        near = np.where(near > 0, near, self.items)  # itself where there is no other
        context = self._items_of_user.drawn(generator, self.users, self.items, self.context)
        x = {"user_id": self.users, "hist_item_id": context}
        for name, items in (("item", self.items), ("neg_item", negative), ("near_item", near)):
            x[f"{name}_id"] = items
            x[f"{name}_users"] = self._users_of_item.drawn(
                generator, items, self.users, self.num_users_of_item
            )
        return {name: values.astype("int32") for name, values in x.items()}

    def contexts(self, users: Any, maxlen: int) -> dict[str, np.ndarray]:
        """What the trained model is asked with: users and up to `maxlen` of their items.

        The newest ones, oldest first, where times are known, those of one time in random order;
        else some at random, always the same.

        Args:
            users: ids of users (N,).
            maxlen: most items of a user.
        """
        users = np.asarray(users, "int64")
        by_chance = np.random.default_rng((self.seed, 2**31)).random(len(self.items))
        by_time = self.items[np.lexsort((by_chance, self._times, self.users))]
        end = np.searchsorted(self.users, users, side="right")
        counts = np.minimum(end - np.searchsorted(self.users, users), maxlen)
        history = padded_windows(by_time, end - counts, counts, maxlen)
        return {"user_id": users.astype("int32"), "hist_item_id": history.astype("int32")}

    def _negatives(self, generator):
        """An item that the user has not, of another prefix if one is found.

        Users who have nearly all items are few, and get theirs one by one.
        """
        drawn = generator.integers(1, self.size, len(self.items))
        for attempt in range(64):
            is_bad = self._has(drawn)
            if attempt < 32:  # in a tiny catalogue all others may be of the prefix
                is_bad |= self._prefix[drawn] == self._prefix[self.items]
            if not is_bad.any():
                break
            drawn[is_bad] = generator.integers(1, self.size, int(is_bad.sum()))
        else:
            has = self._has(drawn)
            for user in np.unique(self.users[has]):
                rows = has & (self.users == user)
                left = np.setdiff1d(np.arange(1, self.size), self.items[self.users == user])
                drawn[rows] = generator.choice(left, int(rows.sum()))
        return drawn

    def _has(self, items):
        """Whether the user of each row has an item."""
        key = self.users * self.size + items
        place = np.minimum(np.searchsorted(self._known, key), len(self._known) - 1)
        return self._known[place] == key


class _Runs:
    """The values that stand beside each key, sorted, so that those of a key are one run.

    Args:
        keys: keys (M,), from 0.
        values: a value beside each, from 1; no pair twice.
    """

    def __init__(self, keys: np.ndarray, values: np.ndarray) -> None:
        self._width = int(values.max()) + 1
        self._pairs = np.sort(keys.astype("int64") * self._width + values)

    def drawn(
        self, generator: np.random.Generator, wanted: np.ndarray, without: np.ndarray, number: int
    ) -> np.ndarray:
        """For each wanted key up to `number` of its values, one value left out: (N, number)."""
        key = wanted.astype("int64") * self._width
        start = np.searchsorted(self._pairs, key)
        counts = np.searchsorted(self._pairs, key + self._width) - start
        left_out = np.searchsorted(self._pairs, key + without)
        is_there = self._pairs[np.minimum(left_out, len(self._pairs) - 1)] == key + without
        places = _distinct_places(generator, counts - is_there, number)
        is_real = places >= 0
        places += start[:, None]
        places += is_there[:, None] & (places >= left_out[:, None])
        return np.where(is_real, self._pairs[np.where(is_real, places, 0)] % self._width, 0)


def _distinct_places(generator: np.random.Generator, counts: np.ndarray, number: int) -> np.ndarray:
    """Up to `number` different places in 0..count-1 a row, in random order, -1 behind them.

    Floyd's way, for all rows at once: the step that may reach one place further takes that place
    where what it draws is taken. So a row costs what it gets, not what it draws from.
    """
    found = np.minimum(counts, number)
    places = np.full((len(counts), number), -1)
    for step in range(int(found.max(initial=0))):
        last = counts - found + step
        place = generator.integers(0, last + 1)
        is_taken = (places[:, :step] == place[:, None]).any(axis=1)
        places[:, step] = np.where(step < found, np.where(is_taken, last, place), -1)
    order = np.argsort(generator.random(places.shape) + (places < 0), axis=1)
    return np.take_along_axis(places, order, axis=1)


def _times(interactions: Any, time: str | None) -> np.ndarray | int:
    """Running numbers of the times, from 1, of each interaction; 0 where there are none."""
    columns = getattr(interactions, "columns", ())
    if time is None and "time" in columns:
        time = "time"
    if time is None:
        return 0
    if time not in columns:
        raise ValueError(
            f"ColaRecRows: interactions have no column {time!r} of times. Give a DataFrame that "
            "has it, or time=None."
        )
    return pd.factorize(interactions[time], sort=True)[0] + 1
