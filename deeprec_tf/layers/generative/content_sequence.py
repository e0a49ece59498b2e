"""Items, users and texts as one sequence of vectors, without gaps."""

import keras
from keras import ops

END, TASK, USER, ITEM = range(4)  # input positions; an item's text goes on from ITEM + 1
TASKS = ("item", "user")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ContentSequence(keras.layers.Layer):
    """What a user has, or what an item is, step by step: real steps next to each other.

    "user": task, users' atoms, each item's atom and its text, end. "item": task, the item's atom
    and its text, users' atoms, end.

    Each vector gets that of its input position: 1 the task, 2 users, 3 an item's atom and from 4 on
    its text, anew at every item, 0 the end, which is nothing but its position. What is longer than
    `maxlen` is cut behind `maxlen - 1` steps, as by the paper's authors, and the end stays: of a
    user the last items go whole, atoms and texts, and one before them may lose the rest of its
    text; of an item the last users go.

    Args:
        num_tokens: tokens W of an item's text; 0 without texts.
        maxlen: longest sequence, task and end counted; at least 4.

    Call arguments:
        items: float tensor (B, T, D), atoms of items.
        items_mask: bool tensor (B, T), True = real.
        users: float tensor (B, U, D), atoms of users.
        users_mask: bool tensor (B, U).
        texts: float tensor (B, T, W, D), vectors of the items' tokens; none without texts.
        texts_mask: bool tensor (B, T, W).
        task: "user" where the sequence is what a user has, "item" where it says what an item is.

    Returns:
        Float tensor (B, S, D) and bool tensor (B, S), S at most `maxlen`.

    Raises:
        ValueError: no room for an item, or an unknown task.

    References:
        Wang et al., Content-Based Collaborative Generation for Recommender Systems, CIKM 2024.
    """

    def __init__(self, num_tokens, maxlen, **kwargs):
        super().__init__(**kwargs)
        if maxlen < 4:
            raise ValueError(
                f"{self.name}: maxlen must be at least 4, for task, user, item and end, got "
                f"{maxlen!r}."
            )
        self.num_tokens = int(num_tokens)
        self.maxlen = int(maxlen)

    def build(self, items_shape, *args, **kwargs):
        """Creates the vectors of tasks and input positions."""
        self.tasks, self.positions = (
            self.add_weight(
                shape=(number, items_shape[-1]), name=name,
                initializer=keras.initializers.RandomNormal(stddev=1.0),
            )
            for name, number in (("tasks", len(TASKS)), ("positions", ITEM + 1 + self.num_tokens))
        )

    def call(
        self, items, items_mask, users, users_mask, texts=None, texts_mask=None, *, task="user"
    ):
        """Applies the layer."""
        if task not in TASKS:
            raise ValueError(f"{self.name}: task must be one of {TASKS}, got {task!r}.")
        positions = ops.cast(self.positions, items.dtype)
        contents, real = (items + positions[ITEM])[:, :, None], items_mask[:, :, None]
        if texts is not None:
            contents = ops.concatenate([contents, texts + positions[ITEM + 1 :]], axis=2)
            real = ops.concatenate([real, ops.logical_and(real, texts_mask)], axis=2)
        steps, width = ops.shape(items)[1] * (1 + self.num_tokens), items.shape[-1]
        contents, real = ops.reshape(contents, (-1, steps, width)), ops.reshape(real, (-1, steps))

        nothing = ops.zeros_like(users[:, :1])
        of_task = ops.cast(self.tasks, items.dtype)[TASKS.index(task)] + positions[TASK]
        parts = [(users + positions[USER], users_mask), (contents, real)]
        vectors, masks = zip(*(parts if task == "user" else parts[::-1]), strict=True)
        sequence = ops.concatenate(
            [nothing + of_task, *vectors, nothing + positions[END]], axis=1
        )
        always = ops.ones_like(users_mask[:, :1])
        before = ops.concatenate([always, *masks], axis=1)
        has_room = ops.cumsum(ops.cast(before, "int32"), axis=1) < self.maxlen
        mask = ops.concatenate([ops.logical_and(before, has_room), always], axis=1)
        return self._packed(sequence, mask)

    def _packed(self, sequence, mask):
        """Real steps to the front, in their order, and as much behind them as `maxlen` has."""
        rows, steps = ops.shape(mask)[0], ops.shape(mask)[1]
        order = ops.cast(ops.arange(steps), "float32")
        _, places = ops.top_k(ops.where(mask, 1e6, 0.0) - order, steps)
        places = places[:, : self.maxlen] + steps * ops.arange(rows)[:, None]
        kept, width = ops.shape(places)[1], sequence.shape[-1]
        places = ops.reshape(places, (-1,))
        packed = ops.take(ops.reshape(sequence, (-1, width)), places, axis=0)
        real = ops.take(ops.reshape(mask, (-1,)), places, axis=0)
        return ops.reshape(packed, (-1, kept, width)), ops.reshape(real, (-1, kept))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, items, *args, **kwargs):
        """A sequence and its mask."""
        return (
            keras.KerasTensor((items.shape[0], None, items.shape[-1]), dtype=self.compute_dtype),
            keras.KerasTensor((items.shape[0], None), dtype="bool"),
        )

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "num_tokens": self.num_tokens, "maxlen": self.maxlen}
