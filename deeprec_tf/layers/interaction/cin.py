"""The compressed interaction network."""

import keras
from keras import ops

from deeprec_tf.layers.core.activations import activation_layer


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CIN(keras.layers.Layer):
    """Feature maps of rising order: X^k_h = σ(Σ_ij W^{k,h}_ij (X^{k-1}_i ∘ X^0_j)) (equation 6).

    X^0 is the matrix of fields. The maps of every layer are summed over D and joined (equation 8).

    The outer products stand in memory, B·H·F·D numbers a layer, and each layer is one product of
    them with the weights, all B·D embedding columns at once. Weights times X^{k-1} first, then X^0,
    never makes the outer products but B·H·F·D numbers of its own, and took 1.0 to 2.6 times as
    long forward and back on the CPU.

    Args:
        sizes: feature maps a layer, at least one layer.
        activation: "linear", which the paper found best, "relu" or another name.
        split_half: half of the maps of every layer but the last go on to the next layer, the
            other half to the output, as in the authors' code; off, all go to both.

    Call arguments:
        fields: float tensor (B, F, D).

    Returns:
        Float tensor (B, maps): all maps of all layers, or those that `split_half` leaves.

    Raises:
        ValueError: no layer, a size below 1, or an odd one that is to be split.

    References:
        Lian et al., xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender
        Systems, KDD 2018.
    """

    def __init__(self, sizes=(128, 128), *, activation="linear", split_half=False, **kwargs):
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)
        self.activation = activation
        self.split_half = split_half
        if not self.sizes or any(size < 1 for size in self.sizes):
            raise ValueError(
                f"{self.name}: sizes must name at least one layer, each of one feature map or "
                f"more, got {sizes!r}."
            )
        odd = [size for size in self.sizes[:-1] if split_half and size % 2]
        if odd:
            raise ValueError(
                f"{self.name}: {odd} feature maps cannot be split in halves. Make the sizes of all "
                "layers but the last even, or set split_half=False."
            )
        self.activations = [
            activation_layer(activation, name=f"activation_{k}", dtype=self.dtype_policy)
            for k in range(len(self.sizes))
        ]

    def _passed_on(self, k):
        """How many maps of layer k the next one reads."""
        return self.sizes[k] // 2 if self.split_half else self.sizes[k]

    def build(self, fields_shape):
        """Creates the weights, one matrix (H·F, maps) a layer."""
        fields = before = fields_shape[1]
        self.kernels = []
        for k, size in enumerate(self.sizes):
            self.kernels.append(
                self.add_weight(
                    shape=(before * fields, size), initializer="glorot_uniform", name=f"kernel_{k}"
                )
            )
            self.activations[k].build((*fields_shape[::2], size))
            before = self._passed_on(k)

    def call(self, fields):
        """Applies the layer."""
        first = before = ops.transpose(fields, (0, 2, 1))  # (B, D, F), (B, D, H)
        sums = []
        for k, (kernel, activation) in enumerate(zip(self.kernels, self.activations, strict=True)):
            width, maps = first.shape[1], before.shape[2] * first.shape[2]
            products = ops.expand_dims(before, 3) * ops.expand_dims(first, 2)  # (B, D, H, F)
            after = ops.matmul(ops.reshape(products, (-1, width, maps)), kernel)  # (B, D, size)
            after = activation(after)
            passed = self._passed_on(k)
            before = after[..., :passed]
            is_split = self.split_half and k < len(self.sizes) - 1
            sums.append(ops.sum(after[..., passed:] if is_split else after, axis=1))
        return sums[0] if len(sums) == 1 else ops.concatenate(sums, axis=-1)

    def compute_output_shape(self, fields_shape):
        """One number a map of the output."""
        split = sum(map(self._passed_on, range(len(self.sizes) - 1))) if self.split_half else 0
        return (fields_shape[0], sum(self.sizes) - split)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "sizes": self.sizes,
            "activation": self.activation,
            "split_half": self.split_half,
        }
