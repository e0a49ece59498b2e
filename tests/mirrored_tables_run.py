"""Trains tables on two mirrored CPU devices by optimizers that know nothing of them.

What repeats among a replica's ids is summed there, so the replicas give gradients of different
lengths. Usage: python tests/mirrored_tables_run.py <file.npz>
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.candidates import InBatch, Sampled
from deeprec_tf.layers import StreamingFrequency
from tests.training.growing import built, deepfm, dssm, fit, inputs, sasrec

RANKING = {"dropout": 0.0, "batch_norm": False}
RECALL = {"negatives": Sampled(7)}


def models(optimizer):
    """(name, builder) of the models with the optimizer of that name."""
    return {
        "deepfm": lambda: built(deepfm, optimizer=optimizer(), **RANKING),
        "dssm": lambda: built(dssm, optimizer=optimizer(), item_table=KINDS, **RECALL),
        "streamed": lambda: built(
            dssm, optimizer=optimizer(), item_table=KINDS, negatives=InBatch(frequency="streaming")
        ),
        "sasrec": lambda: built(sasrec, optimizer=optimizer(), dropout=0.0, **RECALL),
    }


KINDS = {"kind": np.arange(20) % 4 + 1}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "clipped": lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0),
}


def main(file):
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    results = {}
    for optimizer, make in OPTIMIZERS.items():
        for name, build in models(make).items():
            with strategy.scope():
                model = build()
            history = fit(model, epochs=4, eagerly=False).history
            results[f"{name}/{optimizer}/loss"] = history["loss"]
            results[f"{name}/{optimizer}/apart"] = max(
                np.abs(one - other).max() for one, other in map(_copies, model.trainable_variables)
            )
    one = models(OPTIMIZERS["sgd"])["deepfm"]()
    results["one/loss"] = fit(one, epochs=4, eagerly=False).history["loss"]
    results["one/prediction"] = one.predict(inputs(one), verbose=0)
    with strategy.scope():
        two = models(OPTIMIZERS["sgd"])["deepfm"]()
    fit(two, epochs=4, eagerly=False)
    results["two/prediction"] = two.predict(inputs(two), verbose=0)
    with strategy.scope():
        two.compile("sgd", "binary_crossentropy", steps_per_execution=2)
    try:
        fit(two, eagerly=False)
    except ValueError as error:
        results["refused"] = str(error)
    np.savez(file, **results, **frequencies(strategy))


def frequencies(strategy):
    """What both replicas keep of the items' gaps, and what one device does by the first's rows."""
    batches = np.random.default_rng(0).integers(0, 9, size=(12, 2, 5)).astype("int32")
    with strategy.scope():
        mirrored = StreamingFrequency(9, alpha=0.2)
        mirrored.build((None,))
    alone = StreamingFrequency(9, alpha=0.2)
    alone.build((None,))

    @tf.function
    def step(ids):
        return strategy.run(lambda one: mirrored(one, one, training=True)[0], args=(ids,))

    for batch in batches:
        ids = strategy.experimental_distribute_values_from_function(
            lambda replica, batch=batch: tf.constant(batch[replica.replica_id_in_sync_group])
        )
        logs = step(ids)
        alone(batch[0], batch[0], training=True)
    return {
        "streaming/first": _copies(mirrored.gap)[0], "streaming/second": _copies(mirrored.gap)[1],
        "streaming/alone": alone.gap.numpy(),
        "streaming/logs": np.array(strategy.experimental_local_results(logs)),
        "streaming/logs_alone": np.array([alone(ids, ids)[0] for ids in batches[-1]]),
    }  # fmt: skip


def _copies(variable):
    """What the two replicas hold of a variable."""
    return [np.array(copy) for copy in variable.value.values]


if __name__ == "__main__":
    main(*sys.argv[1:])
