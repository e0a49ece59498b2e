"""The items' vectors, and the best of them for each user."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from deeprec_tf.data.tables import row_count
from deeprec_tf.export.catalogue import items_among, own_catalogue
from deeprec_tf.export.cuts import ITEM_VECTOR, item_encoder
from deeprec_tf.graph import inputs_of
from deeprec_tf.retrieval.backend import Backend
from deeprec_tf.retrieval.backends import backend_of, backend_saved
from deeprec_tf.retrieval.candidates import best_candidates
from deeprec_tf.retrieval.exact import ExactSearch
from deeprec_tf.retrieval.index_input import (
    check_one_each,
    checked_number,
    excluded_positions,
    item_ids,
    item_vectors,
    key_array,
    nobody,
    query_vectors,
)

_OWNER = "ItemIndex"
_DESCRIPTION, _VECTORS, _IDS = "index.json", "vectors.npy", "ids.npy"
_MODEL_IDS = "model_ids.npy"


class Found(NamedTuple):
    """Items by falling score; equal scores by ascending id.

    Attributes:
        ids: (N, k), int64 or text. Where fewer than k items are left: -1 or "".
        scores: (N, k) float32; there -inf.
    """

    ids: np.ndarray
    scores: np.ndarray


class ItemIndex:
    """Finds the items with the largest inner product with a user's vector.

    "exact" looks at every item, in chunks, so that memory stays bounded whatever the number of
    users and items. The other back-ends ask a library for candidates, which are then scored in
    float32 and filtered here: scores are exact, only an item may be missed.
    `recall_against_exact` says how many are.

    Args:
        backend: "exact", "faiss", "scann" or "tfrs"; or `Faiss(...)`, `Scann(...)`, `Tfrs(...)`
            with their options. The index searches by a back-end of its own with these options,
            so that one object may be given to several.

    Attributes:
        backend: what searches; None for "exact".
        ids: the items' ids, ascending, as int64 or text.
        vectors: their vectors, float32 (V, D).

    Raises:
        TypeError: a back-end of one's own that is no dataclass.
        ValueError: an unknown back-end.

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.8]])
        >>> index = ItemIndex().build(vectors, ids=[10, 20, 30])
        >>> index.search(np.array([[1.0, 0.1]]), k=2).ids.tolist()
        [[10, 30]]
        >>> index.search(np.array([[1.0, 0.1]]), k=2, exclude=[[10]]).ids.tolist()
        [[30, 20]]
    """

    def __init__(self, backend: str | Backend | None = "exact") -> None:
        self.backend = backend_of(backend)
        self._ids: Any = None
        self._vectors: Any = None
        self._exact: ExactSearch | None = None
        self._model_ids: np.ndarray | None = None

    def __repr__(self) -> str:
        backend = "'exact'" if self.backend is None else repr(self.backend)
        return f"ItemIndex({backend}, {0 if self._ids is None else len(self._ids)} items)"

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle needs: a compiled search is made anew."""
        return {**self.__dict__, "_exact": None}

    def __len__(self) -> int:
        return 0 if self._ids is None else len(self._ids)

    @property
    def ids(self) -> np.ndarray:
        """The items' ids, ascending."""
        self._require_items()
        return self._ids

    @property
    def vectors(self) -> np.ndarray:
        """The items' vectors, in the order of `ids`."""
        self._require_items()
        return self._vectors

    @property
    def model_ids(self) -> np.ndarray:
        """The ids by which histories name the items, in the order of `ids`.

        Those of the model that made the index (`of_model`); else, or where these are the same,
        `ids` themselves.
        """
        return self.ids if self._model_ids is None else self._model_ids

    # ---- making -------------------------------------------------------------------------

    def build(self, vectors: Any, ids: Any = None) -> ItemIndex:
        """Takes the items; what was there before is gone.

        Args:
            vectors: numbers (V, D), such as the output of `item_encoder`.
            ids: integers or text (V,), all different, not -1 and not ""; the row numbers
                0..V-1 when None.

        Returns:
            The index itself.

        Raises:
            ImportError: the back-end's library is not installed.
            TypeError: vectors are no numbers, or ids neither integers nor text.
            ValueError: shapes don't fit, a vector is not finite, or an id is there twice.
        """
        vectors = item_vectors(_OWNER, vectors)
        ids = item_ids(_OWNER, ids, len(vectors))
        order = np.argsort(ids, kind="stable")
        vectors = vectors[order]
        if self.backend is not None:
            self.backend.build(vectors)
        self._take(vectors, ids[order])
        return self

    @classmethod
    def of_model(
        cls,
        model: keras.Model,
        items: Mapping[str, Any] | None = None,
        ids: Any = None,
        *,
        backend: str | Backend = "exact",
        batch_size: int = 4096,
    ) -> ItemIndex:
        """An index of a catalogue by the item tower of a model.

        Args:
            model: a model with the joint `item_vector`, freshly trained or reloaded.
            items: arrays (V, ...) by input name of the item tower, or a DataFrame; more names
                may be given. Rows whose id in the tower is 0, padding, are left out, and their
                `ids` with them. When None every id from 1 on, where the tower reads the id alone
                or the model holds the other features (`item_table`). A `FeatureEncoder` has what
                it does not know at id 1: with one, give
                `{"item_id": encoder.vocabulary("item_id").ids}`.
            ids: the items' ids (V,), or the name of the column of `items` that holds them;
                the tower's own input when it has only one, and the model's first column of the
                item when items is None.
            backend: as for `ItemIndex`.
            batch_size: items at a time in the tower.

        Returns:
            The index.

        Raises:
            ValueError: the model has no such joint, an input or the catalogue is missing, columns
                differ in length, or the ids must be named; and what `build` raises.
        """
        tower = item_encoder(model)
        inputs = [tensor.name for tensor in inputs_of(keras.tree.flatten(tower.output))]
        columns = getattr(tower, "feature_columns", ())
        if items is None:
            first = columns[0].name if columns else inputs[0]
            items = own_catalogue(_OWNER, model, tower, first)
            ids = first if ids is None else ids
        missing = [name for name in inputs if name not in items]
        if missing:
            raise ValueError(
                f"{_OWNER}: the input {missing[0]!r} of {tower.name} is missing in items; it "
                f"takes {inputs}, given were {list(items)}."
            )
        if ids is None:
            if len(inputs) > 1:
                raise ValueError(
                    f"{_OWNER}: {tower.name} takes {inputs}; say which of them holds the items' "
                    "ids: ids='item_id', or give an array."
                )
            ids = inputs[0]
        arrays = {name: np.asarray(items[name]) for name in inputs}
        row_count(f"{_OWNER}: items", arrays)
        is_item = items_among(tower, arrays, ids if isinstance(ids, str) else None)
        is_own = isinstance(ids, str) and ids in inputs
        if isinstance(ids, str):
            if ids not in items:
                raise ValueError(
                    f"{_OWNER}: ids={ids!r} is no column of items, which has {list(items)}."
                )
            ids = items[ids]
        ids = np.asarray(ids)
        if is_item is not None:
            check_one_each(_OWNER, ids, len(is_item))
            arrays = {name: array[is_item] for name, array in arrays.items()}
            ids = ids[is_item]
        vectors = tower.predict(arrays, batch_size=batch_size, verbose=0)[ITEM_VECTOR]
        index = cls(backend).build(vectors, ids)
        first = columns[0].name if columns and not is_own else ""
        own = arrays.get(first, ids)
        if len(np.unique(own)) == len(own) and not np.array_equal(own, ids):
            own = key_array(_OWNER, first, own)
            index._model_ids = own[np.argsort(index.positions(ids))]
        return index

    # ---- searching ----------------------------------------------------------------------

    def search(self, queries: Any, k: int, *, exclude: Any = None) -> Found:
        """The k best items of each user.

        Args:
            queries: users' vectors (N, D). Or (N, K, D) for K interests a user: an item's score
                is the largest over the interests; an interest of zeros is an unused one.
            k: number of items, at most the size of the catalogue.
            exclude: ids that must not come back, such as what the user has already: a list a
                user, a `tf.RaggedTensor`, or an array (N, E) padded with 0 or -1 (text: "").
                Ids that are no items are passed over. The k best of the others are found.

        Returns:
            `Found(ids, scores)`, both (N, k).

        Raises:
            TypeError: queries are no numbers, or `exclude` has ids of another kind.
            ValueError: nothing was built, or a shape, a value or k is out of place.
        """
        queries, excluded = self._checked(queries, k, exclude)
        return self._found(*self.search_positions(queries, int(k), excluded))

    def recall_against_exact(self, queries: Any, k: int, *, exclude: Any = None) -> float:
        """Share of the exact k best items that `search` finds, in the mean over the users.

        Args:
            queries: as for `search`; a sample of users is enough.
            k: number of items.
            exclude: as for `search`.

        Returns:
            A number from 0 to 1.

        Raises:
            TypeError, ValueError: as for `search`, and where there is no query.
        """
        queries, excluded = self._checked(queries, k, exclude)
        if not len(queries):
            raise ValueError(f"{_OWNER}: recall_against_exact needs at least one query.")
        wanted = self._found(*self._exactly(queries, int(k), excluded)).ids
        found = self.search(queries, k, exclude=exclude).ids
        none = nobody(self.ids)
        shares = [
            len(np.intersect1d(row[row != none], others)) / max((row != none).sum(), 1)
            for row, others in zip(wanted, found, strict=True)
            if (row != none).any()
        ]
        return float(np.mean(shares)) if shares else 1.0

    # ---- saving -------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the index as a new folder; it appears whole or not at all.

        Args:
            path: the folder, which must not exist.

        Raises:
            ValueError: nothing was built, or the path exists.
        """
        self._require_items()
        path = Path(path)
        if path.exists():
            raise ValueError(f"{_OWNER}: {path} exists already. Give another folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
        try:
            np.save(partial / _VECTORS, self.vectors)
            np.save(partial / _IDS, self.ids)
            if self._model_ids is not None:
                np.save(partial / _MODEL_IDS, self._model_ids)
            name, options = "exact", {}
            if self.backend is not None:
                name, options = self.backend.name, self.backend.options()
                self.backend.save(partial)
            description = {"format": 1, "backend": name, "options": options}
            (partial / _DESCRIPTION).write_text(json.dumps(description, indent=2))
            partial.chmod(0o755)
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str], backend: Backend | None = None) -> ItemIndex:
        """Reads what `save` wrote.

        Args:
            path: the folder.
            backend: a back-end of one's own, with the options of the one that was saved; those
                of the package are found by their name.

        Returns:
            The index.

        Raises:
            ImportError: the back-end's library is not installed.
            ValueError: the folder holds no index, or one of a later version, or was saved with
                another back-end.
        """
        path = Path(path)
        if not (path / _DESCRIPTION).is_file():
            raise ValueError(f"{_OWNER}: there is no {_DESCRIPTION} in {path}.")
        description = json.loads((path / _DESCRIPTION).read_text())
        if description["format"] != 1:
            raise ValueError(
                f"{_OWNER}: {path} has format {description['format']}, this version reads 1."
            )
        index = cls(
            backend_saved(path, description["backend"], description["options"], backend)
        )
        vectors = np.load(path / _VECTORS, allow_pickle=False)
        if index.backend is not None:
            index.backend.load(path, vectors)
        index._take(vectors, np.load(path / _IDS, allow_pickle=False))
        if (path / _MODEL_IDS).is_file():
            index._model_ids = np.load(path / _MODEL_IDS, allow_pickle=False)
        return index

    # ---- parts --------------------------------------------------------------------------

    def positions(self, ids: Any) -> np.ndarray:
        """Rows of `vectors` that ids stand in, in the shape of `ids`; -1 for what is no item.

        Args:
            ids: integers or text of any shape.
        """
        keys = key_array(_OWNER, "ids", ids)
        places = np.minimum(np.searchsorted(self.ids, keys), len(self.ids) - 1)
        return np.where(self.ids[places] == keys, places, -1)

    def search_positions(
        self, queries: np.ndarray, k: int, excluded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`search` for what goes on to compute: rows of `vectors` instead of ids, nothing checked.

        Args:
            queries: float32 (N, D) or (N, K, D).
            k: number of items.
            excluded: int32 (N, E) rows of `vectors`, -1 for none.

        Returns:
            Scores and rows, both (N, k); -inf and -1 behind the last.
        """
        if self.backend is None:
            return self._exactly(queries, k, excluded)
        return best_candidates(self.backend, self.vectors, queries, k, excluded)

    def _take(self, vectors: np.ndarray, ids: np.ndarray) -> None:
        self._vectors, self._ids, self._exact = vectors, ids, None
        self._model_ids = None

    def _require_items(self) -> None:
        if self._ids is None:
            raise ValueError(f"{_OWNER}: there are no items yet. Call build(vectors, ids) first.")

    def _checked(self, queries: Any, k: int, exclude: Any) -> tuple[Any, np.ndarray | None]:
        checked_number(_OWNER, k, len(self.ids))
        queries = query_vectors(_OWNER, queries, self.vectors.shape[1])
        return queries, excluded_positions(_OWNER, exclude, self.ids, len(queries))

    def _exactly(
        self, queries: np.ndarray, k: int, excluded: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if self._exact is None:
            self._exact = ExactSearch(self.vectors)
        return self._exact(queries, k, excluded)

    def _found(self, scores: np.ndarray, places: np.ndarray) -> Found:
        ids = np.where(places < 0, nobody(self.ids), self.ids[places])
        return Found(ids, scores)
