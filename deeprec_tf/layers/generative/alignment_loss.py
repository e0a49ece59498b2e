"""ColaRec's loss: to generate, to recommend by dot products, and to keep prefixes together."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class AlignmentLoss(keras.layers.Layer):
    """λ_g (L_rec + L_index) + L_bpr + λ_c L_c, of each row.

    With u the encoded user, p, n and p⁺ the encoded positive, negative and an item of the
    positive's prefix:

    - L_rec = -mean_t log p(c_t of the positive | user);
    - L_index = -mean_t log p(c_t of the positive | positive) - mean_t log p(c_t of the negative |
      negative);
    - L_bpr = -log σ(s (u·p - u·n)); L_c = -log σ(s (p·p⁺ - p·n)), s = D^-½.

    Args:
        generation_weight: λ_g.
        contrast_weight: λ_c.
        tasks: which of "index", "bpr" and "contrast" count beside the recommendation.

    Call arguments:
        recommended: float tensor (B, L), log-probabilities of the positive's codes, by the user.
        indexed: float tensors (B, L) of the positive's by itself and of the negative's by itself.
        vectors: float tensors (B, D): u, p, n and p⁺.

    Returns:
        float32 tensor (B, 1).

    Raises:
        ValueError: an unknown task, or a weight that is negative or no number.

    References:
        Wang et al., Content-Based Collaborative Generation for Recommender Systems, CIKM 2024.
    """

    ALL_TASKS = ("index", "bpr", "contrast")

    def __init__(self, generation_weight=0.08, contrast_weight=0.1, *, tasks=ALL_TASKS, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        unknown = [task for task in tasks if task not in self.ALL_TASKS]
        if unknown or isinstance(tasks, str):
            wrong = tasks if isinstance(tasks, str) else unknown[0]
            raise ValueError(
                f"{self.name}: tasks must be a tuple of some of {self.ALL_TASKS}, got {wrong!r}."
            )
        if not (0 <= generation_weight < math.inf and 0 <= contrast_weight < math.inf):
            raise ValueError(
                f"{self.name}: weights must be finite and at least 0, got generation_weight="
                f"{generation_weight!r} and contrast_weight={contrast_weight!r}."
            )
        self.generation_weight = float(generation_weight)
        self.contrast_weight = float(contrast_weight)
        self.tasks = tuple(tasks)

    def call(self, recommended, indexed, vectors):
        """Applies the layer."""
        user, positive, negative, near = vectors
        generation = -ops.mean(recommended, axis=-1)
        if "index" in self.tasks:
            for of_codes in indexed:
                generation = generation - ops.mean(of_codes, axis=-1)
        loss = self.generation_weight * generation
        if "bpr" in self.tasks:
            loss = loss + _preferred(user, positive, negative)
        if "contrast" in self.tasks:
            loss = loss + self.contrast_weight * _preferred(positive, near, negative)
        return loss[:, None]

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, recommended, indexed, vectors):
        """One number a row."""
        return keras.KerasTensor((recommended.shape[0], 1), dtype="float32")

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "generation_weight": self.generation_weight,
            "contrast_weight": self.contrast_weight,
            "tasks": self.tasks,
        }


def _preferred(anchor, one, other):
    """-log σ(D^-½ <anchor, one - other>)."""
    scale = anchor.shape[-1] ** -0.5
    return ops.softplus(-scale * ops.sum(anchor * (one - other), axis=-1))
