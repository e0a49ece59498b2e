"""What a training step of the behavior layers costs: fast forms against readable ones.

First Dice alone, forward and gradient: the readable form, the kernel over TensorFlow's fused batch
normalization, the same operation with TensorFlow's gradient, and the readable form compiled by
XLA, which must compile once for every number of steps a batch happens to have. Then attention
pooling, the attention of DIEN and the auxiliary loss, on padded sequences (the readable form) and
on valid steps, with lengths drawn from 5 to 50 and with full ones: no padding to skip.

All forms take turns in one process on one core; a figure is the best CPU time of its turns in
milliseconds, beside the CPU time of its first call, which traces and compiles.

    python benchmarks/attention_step.py
    python benchmarks/attention_step.py --batch 256 --turns 20
"""

from __future__ import annotations

import argparse
import os
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import tensorflow as tf

from deeprec_tf.layers import AttentionPoolingLayer, Dice, LocalActivationUnit, NextBehaviorLoss
from deeprec_tf.layers.core import dice, valid_steps

WIDTH, STEPS, FIELD = 80, 50, 32
GENERATOR = np.random.default_rng(0)


def floats(*shape):
    """Normal noise."""
    return tf.constant(GENERATOR.normal(size=shape), tf.float32)


def traced(function, tensors, weights, *, fast=True, compiled=False):
    """The gradients of a function for its float tensors and weights, traced in one of the forms."""

    def step(*tensors):
        floats_ = [t for t in tensors if t.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats_)
            total = function(*tensors)
        return total, tape.gradient(total, [*floats_, *(w.value for w in weights)])

    specs = [tf.TensorSpec([None, *t.shape[1:]], t.dtype) for t in tensors]
    step = tf.function(step, autograph=False, jit_compile=compiled, input_signature=specs)
    with (
        mock.patch.object(dice, "is_graph_training", lambda training: fast and training),
        mock.patch.object(valid_steps, "is_graph_training", lambda training: fast and training),
    ):
        step.get_concrete_function()
    return step


def dice_steps(rows):
    """Dice over (rows, WIDTH) in each form."""
    values, upstream = floats(rows, WIDTH), floats(rows, WIDTH)
    layer = Dice()
    layer.build((None, WIDTH))

    def normalized(values):
        z, *_ = tf.raw_ops.FusedBatchNormV3(
            x=values[None, :, None, :], scale=tf.ones(WIDTH), offset=tf.zeros(WIDTH),
            mean=[], variance=[], epsilon=layer.epsilon, is_training=True,
        )
        alpha = layer.alpha.value
        return values * (alpha + (1.0 - alpha) * tf.sigmoid(z[0, :, 0, :]))

    def trained(values):
        return layer(values, training=True)

    forms = {
        "readable": (trained, {"fast": False}),
        "kernel": (trained, {}),
        "fused batch normalization": (normalized, {}),
        "readable, compiled by XLA": (trained, {"fast": False, "compiled": True}),
    }
    for name, (form, options) in forms.items():

        def total(values, upstream, form=form):
            return tf.reduce_sum(form(values) * upstream)

        yield name, traced(total, (values, upstream), [layer.alpha], **options), (values, upstream)


def layer_steps(batch, lengths):
    """Each layer on padded sequences and on valid steps."""
    target, behaviors, negatives = floats(batch, FIELD), *(floats(batch, STEPS, FIELD),) * 2
    mask = tf.constant(np.arange(STEPS) < lengths[:, None])
    one, states = floats(batch, 1), floats(batch, STEPS, FIELD)
    loss_inputs = (one, states, behaviors, negatives, mask)
    cases = {
        "AttentionPoolingLayer": (AttentionPoolingLayer(), (target, behaviors, mask)),
        "LocalActivationUnit": (
            LocalActivationUnit((64, 16), normalize=True), (target, behaviors, mask)
        ),
        "NextBehaviorLoss, inner": (NextBehaviorLoss(), loss_inputs),
        "NextBehaviorLoss, mlp": (NextBehaviorLoss(aux_type="mlp"), loss_inputs),
    }
    for name, (layer, tensors) in cases.items():
        layer.build(*(t.shape for t in tensors))

        def total(*tensors, layer=layer):
            output = layer(*tensors, training=True)
            return tf.reduce_sum(tf.square(output)) + sum(layer.losses, tf.constant(0.0))

        for form, fast in (("padded", False), ("valid steps", True)):
            step = traced(total, tensors, layer.trainable_weights, fast=fast)
            yield f"{name}: {form}", step, tensors


def report(title, steps, turns):
    """Times the steps in turns and prints a table."""
    steps = list(steps)
    first, best = {}, {}
    for turn in range(turns + 1):
        for name, step, tensors in steps:
            start = time.process_time()
            step(*tensors)
            seconds = time.process_time() - start
            if turn:
                best[name] = min(seconds, best.get(name, seconds))
            else:
                first[name] = seconds
    print(f"\n{title}\n\n| form | ms | first s |\n|---|---:|---:|")
    for name in best:
        print(f"| {name} | {1e3 * best[name]:.1f} | {first[name]:.2f} |")


def main():
    """Parses the arguments and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--turns", type=int, default=10)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    batch = arguments.batch
    drawn = GENERATOR.integers(5, STEPS + 1, batch)
    rows = int(drawn.sum())
    report(f"Dice over {rows} x {WIDTH}", dice_steps(rows), arguments.turns)
    for label, lengths in (("5 to 50", drawn), ("50", np.full(batch, STEPS))):
        title = f"Layers, batch {batch}, lengths {label}"
        report(title, layer_steps(batch, lengths), arguments.turns)


if __name__ == "__main__":
    main()
