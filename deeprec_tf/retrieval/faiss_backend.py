"""FAISS as a back-end of `ItemIndex`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from deeprec_tf.retrieval.backend import Backend, check_kind, check_positive

KINDS = ("flat", "ivf", "hnsw")
_FILE = "faiss.index"
_POINTS = 39  # items a list must have, or FAISS warns that its mean is badly known


@dataclass
class Faiss(Backend):
    """Search by FAISS: `pip install "deeprec-tf[faiss]"`.

    Which of the items with equal scores at place k it proposes is its own affair: with vectors that
    stand there twice, `recall_against_exact` is below 1 even for "flat".

    Args:
        kind: "flat": every item; "ivf": items in lists around centres, of which the nearest are
            looked through; "hnsw": a graph of neighbors.
        lists: "ivf": number of lists; None: 4 sqrt(V), if each then has 39 items.
        probes: "ivf": lists to look through; None: an eighth of them.
        links: "hnsw": neighbors an item has.
        ef_construction: "hnsw": candidates while building; more is slower and finds more.
        ef_search: "hnsw": candidates while searching, at least k.

    Raises:
        ValueError: an unknown kind, or a number below 1.

    References:
        Douze et al. 2024. The Faiss library.
        Malkov, Yashunin 2018. Efficient and robust approximate nearest neighbor search using
        Hierarchical Navigable Small World graphs.
    """

    kind: str = "flat"
    lists: int | None = None
    probes: int | None = None
    links: int = 32
    ef_construction: int = 200
    ef_search: int = 128
    _index: Any = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "faiss"

    def __post_init__(self) -> None:
        check_kind(self, KINDS)
        check_positive(self, ("lists", "probes", "links", "ef_construction", "ef_search"))

    def build(self, vectors: np.ndarray) -> None:
        """Takes the items' vectors, float32 (V, D).

        Raises:
            ImportError: FAISS is not installed.
        """
        faiss = _library()
        items, width = vectors.shape
        if self.kind == "flat":
            index = faiss.IndexFlatIP(width)
        elif self.kind == "hnsw":
            index = faiss.IndexHNSWFlat(width, self.links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = self.ef_construction
        else:
            lists = self.lists or max(min(int(4 * items**0.5), items // _POINTS), 1)
            index = faiss.IndexIVFFlat(
                faiss.IndexFlatIP(width), width, min(lists, items), faiss.METRIC_INNER_PRODUCT
            )
            index.train(vectors)
        index.add(vectors)
        self._index = index

    def candidates(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Positions (N, k) of the items nearest to queries (N, D); -1: none."""
        faiss = _library()
        options = None
        if self.kind == "hnsw":
            options = faiss.SearchParametersHNSW(efSearch=max(self.ef_search, k))
        elif self.kind == "ivf":
            lists = self._index.nlist
            options = faiss.SearchParametersIVF(nprobe=min(self.probes or -(-lists // 8), lists))
        return self._index.search(queries, k, params=options)[1]

    def save(self, folder: Path) -> None:
        """Writes FAISS's file."""
        _library().write_index(self._index, str(folder / _FILE))

    def load(self, folder: Path, vectors: np.ndarray) -> None:
        """Reads FAISS's file."""
        self._index = _library().read_index(str(folder / _FILE))


def _library() -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "ItemIndex: the back-end 'faiss' needs FAISS; install it with "
            "pip install 'deeprec-tf[faiss]'."
        ) from error
    return faiss
