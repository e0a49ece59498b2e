"""The bias encoding of DSIN: where in the sessions an item stands."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SessionBias(keras.layers.Layer):
    """Adds wK[k] + wT[t] + wC[c] to unit c of item t of session k (DSIN, equation 2).

    Args:
        max_sessions: most sessions K of a row.

    Call arguments:
        sessions: float tensor (B, K, S, D), S fixed, K at most `max_sessions`; sessions and the
            items of one left-aligned.

    Returns:
        Float tensor (B, K, S, D).

    References:
        Feng et al., Deep Session Interest Network for Click-Through Rate Prediction, IJCAI 2019.
    """

    def __init__(self, max_sessions, **kwargs):
        super().__init__(**kwargs)
        self.max_sessions = max_sessions

    def build(self, sessions_shape):
        """Creates the three vectors."""
        _, _, places, units = sessions_shape
        sizes = {"session": self.max_sessions, "place": places, "unit": units}
        for name, size in sizes.items():
            weight = self.add_weight(
                shape=(size,), name=name, initializer=keras.initializers.RandomNormal(stddev=0.02)
            )
            setattr(self, name, weight)

    def call(self, sessions):
        """Applies the layer."""
        of_session = self.session[: ops.shape(sessions)[1]]
        return sessions + (
            of_session[:, None, None] + self.place[None, :, None] + self.unit[None, None]
        )

    def left_aligned(self, sessions):
        """What of the arguments must be left-aligned."""
        return sessions

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sessions_shape):
        """Shape is kept."""
        return sessions_shape

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "max_sessions": self.max_sessions}
