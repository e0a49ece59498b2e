"""ScaNN as a back-end of `ItemIndex`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from deeprec_tf.retrieval.backend import Backend, check_positive

_FOLDER = "scann"
_SMALL = 2000  # so few items are looked at one by one: too few to learn a quantization from
_SAMPLE = 250_000


@dataclass
class Scann(Backend):
    """Search by ScaNN: `pip install "deeprec-tf[scann]"`, which needs TensorFlow 2.20 on Linux.

    Items stand in the leaves of a tree and are compared by quantized vectors; the best are
    compared by their own. Below 2,000 items every item is compared.

    Args:
        leaves: number of leaves; None: 2 sqrt(V).
        leaves_to_search: leaves to look through; None: an eighth of them.
        reorder: items that are compared by their own vectors, at least k; None: 4 k.

    Raises:
        ValueError: a number below 1.

    References:
        Guo et al. 2020. Accelerating Large-Scale Inference with Anisotropic Vector Quantization.
    """

    leaves: int | None = None
    leaves_to_search: int | None = None
    reorder: int | None = None
    _searcher: Any = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "scann"

    def __post_init__(self) -> None:
        check_positive(self, ("leaves", "leaves_to_search", "reorder"))

    def build(self, vectors: np.ndarray) -> None:
        """Takes the items' vectors, float32 (V, D).

        Raises:
            ImportError: ScaNN is not installed, or not made for this TensorFlow.
        """
        items = len(vectors)
        builder = _library().builder(vectors, 10, "dot_product")
        if items < _SMALL:
            self._searcher = builder.score_brute_force().build()
            return
        leaves = min(self.leaves or int(2 * items**0.5), items)
        self._searcher = (
            builder.tree(
                num_leaves=leaves,
                num_leaves_to_search=min(self.leaves_to_search or -(-leaves // 8), leaves),
                training_sample_size=min(items, _SAMPLE),
            )
            .score_ah(2, anisotropic_quantization_threshold=0.2)
            .reorder(self.reorder or 100)
            .build()
        )

    def candidates(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Positions (N, k) of the items nearest to queries (N, D); -1: none."""
        places, products = self._searcher.search_batched(
            queries,
            final_num_neighbors=k,
            pre_reorder_num_neighbors=max(self.reorder or 4 * k, k),
        )
        found = np.full((len(queries), k), -1, np.int64)
        # Where too few are found, ScaNN gives the largest uint32, or NaN as a product.
        places = places.astype(np.int32)
        found[:, : places.shape[1]] = np.where(np.isfinite(products), places, -1)
        return found

    def save(self, folder: Path) -> None:
        """Writes ScaNN's own folder."""
        (folder / _FOLDER).mkdir()
        self._searcher.serialize(str(folder / _FOLDER), relative_path=True)

    def load(self, folder: Path, vectors: np.ndarray) -> None:
        """Reads ScaNN's own folder."""
        self._searcher = _library().load_searcher(str(folder / _FOLDER))


def _library() -> Any:
    try:
        from scann.scann_ops.py import scann_ops_pybind
    except ImportError as error:
        raise ImportError(
            "ItemIndex: the back-end 'scann' needs ScaNN; install it with "
            "pip install 'deeprec-tf[scann]'."
        ) from error
    except tf.errors.NotFoundError as error:
        raise ImportError(
            "ItemIndex: the installed ScaNN was made for another TensorFlow than "
            f"{tf.__version__}; ScaNN 1.4.2 needs TensorFlow 2.20."
        ) from error
    return scann_ops_pybind
