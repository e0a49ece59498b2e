"""TensorFlow Recommenders' retrieval layers as a back-end of `ItemIndex`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from deeprec_tf.retrieval.backend import Backend, check_kind, check_positive

KINDS = ("brute_force", "streaming", "scann")
_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
_BATCH = 4096


@dataclass
class Tfrs(Backend):
    """Search by `tfrs.layers.factorized_top_k`: `pip install "deeprec-tf[tfrs]"`.

    TensorFlow Recommenders is made for Keras 2. It is imported when the index is built, and from
    then on `tf.keras` of this process is Keras 2; Keras 3, `import keras`, stays as it is.

    Args:
        kind: "brute_force", "streaming" (items in batches, for long catalogues), or "scann",
            which needs ScaNN and so TensorFlow 2.20.
        leaves: "scann": number of leaves.
        leaves_to_search: "scann": leaves to look through.
        reorder: "scann": items that are compared by their own vectors, at least k.

    Raises:
        ValueError: an unknown kind, or a number below 1.
    """

    kind: str = "brute_force"
    leaves: int = 100
    leaves_to_search: int = 10
    reorder: int = 500
    _layer: Any = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "tfrs"

    def __post_init__(self) -> None:
        check_kind(self, KINDS)
        check_positive(self, ("leaves", "leaves_to_search", "reorder"))

    def build(self, vectors: np.ndarray) -> None:
        """Takes the items' vectors, float32 (V, D).

        Raises:
            ImportError: TensorFlow Recommenders is not installed, or `tf.keras` was used before.
        """
        layers = _library().layers.factorized_top_k
        if self.kind == "streaming":
            batches = tf.data.Dataset.from_tensor_slices(vectors).batch(_BATCH)
            self._layer = layers.Streaming().index_from_dataset(batches)
        elif self.kind == "brute_force":
            self._layer = layers.BruteForce().index(vectors)
        else:
            leaves = min(self.leaves, len(vectors))
            self._layer = layers.ScaNN(
                num_leaves=leaves,
                num_leaves_to_search=min(self.leaves_to_search, leaves),
                num_reordering_candidates=min(self.reorder, len(vectors)),
            ).index(vectors)

    def candidates(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Positions (N, k) of the items nearest to queries (N, D)."""
        return self._layer(tf.constant(queries), k=k)[1].numpy()


def _library() -> ModuleType:
    before = os.environ.get(_LEGACY_KERAS)
    os.environ[_LEGACY_KERAS] = "1"  # read once, where tf.keras is first resolved
    try:
        import tensorflow_recommenders
    except ImportError as error:
        if error.name == "tensorflow_recommenders":
            text = "install it with pip install 'deeprec-tf[tfrs]'"
        else:
            text = (
                "but tf.keras of this process is Keras 3 already, since something used it before. "
                "Use `import keras` instead, or build this index first"
            )
        raise ImportError(
            f"ItemIndex: the back-end 'tfrs' needs TensorFlow Recommenders; {text}."
        ) from error
    except tf.errors.NotFoundError as error:
        raise ImportError(
            "ItemIndex: TensorFlow Recommenders imports the installed ScaNN, which was made for "
            f"another TensorFlow than {tf.__version__}. Remove it, or use TensorFlow 2.20."
        ) from error
    finally:
        if before is None:
            del os.environ[_LEGACY_KERAS]
        else:
            os.environ[_LEGACY_KERAS] = before
    return tensorflow_recommenders
