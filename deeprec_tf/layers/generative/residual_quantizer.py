"""Vectors as sums of codebook vectors, level by level."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ResidualQuantizer(keras.layers.Layer):
    """ẑ = Σ_t e_{c_t}, c_t the code nearest to what the levels before t have left of z.

    r_0 = z, c_t = argmin_c ‖r_{t-1} - e_c‖, r_t = r_{t-1} - e_{c_t}. The gradient of ẑ passes
    straight through to z; the codebooks learn by the loss that the layer adds, the batch's mean of
    Σ_t (‖sg(r_{t-1}) - e‖² + β ‖r_{t-1} - sg(e)‖²).

    Args:
        num_levels: codebooks.
        codebook_size: K, vectors of each.
        commitment: β.

    Call arguments:
        vectors: float tensor (B, D).

    Returns:
        Float tensor (B, D).

    Raises:
        ValueError: a size below 1.

    References:
        Zeghidour et al., SoundStream: An End-to-End Neural Audio Codec, 2021.
    """

    def __init__(self, num_levels, codebook_size, *, commitment=0.25, **kwargs):
        super().__init__(**kwargs)
        if num_levels < 1 or codebook_size < 1:
            raise ValueError(
                f"{self.name}: num_levels and codebook_size must be at least 1, got "
                f"{num_levels!r} and {codebook_size!r}."
            )
        self.num_levels = int(num_levels)
        self.codebook_size = int(codebook_size)
        self.commitment = float(commitment)

    def build(self, vectors_shape):
        """Creates the codebooks."""
        self.codebooks = self.add_weight(
            shape=(self.num_levels, self.codebook_size, vectors_shape[-1]), name="codebooks",
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )

    def call(self, vectors):
        """Applies the layer."""
        residual, total, loss = vectors, ops.zeros_like(vectors), 0.0
        for level in range(self.num_levels):
            book = ops.cast(self.codebooks[level], vectors.dtype)
            products = ops.matmul(residual, ops.transpose(book))
            nearest = ops.argmin(ops.sum(ops.square(book), axis=-1) - 2.0 * products, axis=-1)
            chosen = ops.take(book, nearest, axis=0)
            loss += ops.sum(ops.square(ops.stop_gradient(residual) - chosen), axis=-1)
            loss += self.commitment * ops.sum(
                ops.square(residual - ops.stop_gradient(chosen)), axis=-1
            )
            total = total + chosen
            residual = residual - ops.stop_gradient(chosen)
        rows = ops.cast(ops.shape(vectors)[0], "float32")  # a replica may have none
        self.add_loss(ops.sum(ops.cast(loss, "float32")) / ops.maximum(rows, 1.0))
        return vectors + ops.stop_gradient(total - vectors)

    def start_from(self, centers):
        """Takes the centers of clusters, one array (K', D) a level, K' at most K."""
        books = np.array(self.codebooks)
        for book, some in zip(books, centers, strict=True):
            book[: len(some)] = some
        self.codebooks.assign(books)

    def codes_of(self, vectors):
        """Codes from 0 of an array (N, D): integers (N, L)."""
        residual, codes = np.asarray(vectors, "float64"), []
        for book in np.array(self.codebooks):
            codes.append(_nearest(residual, book))
            residual = residual - book[codes[-1]]
        return np.stack(codes, axis=1)

    def revive(self, vectors, generator):
        """Moves codes that none of the vectors has to residuals of some, drawn at random.

        A level's residuals are what its predecessors leave after their own codes have moved.
        """
        residual = np.asarray(vectors, "float64")
        books = np.array(self.codebooks)
        for book in books:
            dead = np.setdiff1d(np.arange(self.codebook_size), _nearest(residual, book))
            dead = dead[: len(residual)]
            book[dead] = residual[generator.choice(len(residual), len(dead), replace=False)]
            residual = residual - book[_nearest(residual, book)]
        self.codebooks.assign(books)

    def compute_output_shape(self, vectors_shape):
        """Shape is kept."""
        return vectors_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_levels": self.num_levels,
            "codebook_size": self.codebook_size,
            "commitment": self.commitment,
        }


def _nearest(residual, book):
    """The place of the nearest row of a codebook (K, D) to each of the residuals (N, D): (N,)."""
    book = book.astype("float64")
    return ((book**2).sum(axis=1) - 2 * residual @ book.T).argmin(axis=1)
