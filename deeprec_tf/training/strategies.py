"""Where a model trains: one name for each kind of `tf.distribute` strategy."""

from __future__ import annotations

import os
import socket
import warnings

import tensorflow as tf

KINDS = ("auto", "cpu", "gpu", "mirrored", "tpu", "multi_worker")
# One of these is set where there is a TPU: Colab's old and new runtimes, Cloud TPU VMs.
_TPU_VARIABLES = ("COLAB_TPU_ADDR", "TPU_NAME", "TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE")


def strategy(kind: str = "auto") -> tf.distribute.Strategy:
    """The strategy in whose scope a model is built and compiled.

    Build, compile and load models inside `strategy(...).scope()`; `fit`, `evaluate` and
    `predict` find it by themselves. The batch size is that of all replicas together. Use one
    strategy a process.

    Args:
        kind: where to train.

            - "auto": a TPU if this machine has one (a warning says why one that is announced
              can't be used), else its GPUs as "gpu" does, else TensorFlow's default strategy,
              which changes nothing.
            - "cpu": the first CPU device, also on a machine with GPUs.
            - "gpu": one GPU, or all of them mirrored when there are several.
            - "mirrored": a replica on every GPU; without GPUs on every logical CPU device (see
              `tf.config.set_logical_device_configuration`), one replica if there is one.
            - "tpu": all cores of the TPU.
            - "multi_worker": not available yet.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: `kind` is unknown.
        RuntimeError: "gpu" or "tpu" where TensorFlow finds none.
        NotImplementedError: "multi_worker".

    Example:
        >>> with strategy("cpu").scope():
        ...     model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.count_params()
        4
    """
    if kind not in KINDS:
        raise ValueError(f"strategy: kind must be one of {KINDS}, got {kind!r}.")
    if kind == "multi_worker":
        raise NotImplementedError(
            "strategy: 'multi_worker' is not available: the fit of Keras 3 fails under "
            "tf.distribute.MultiWorkerMirroredStrategy. On one machine use 'mirrored'."
        )
    if kind == "auto":
        return _found()
    if kind == "tpu":
        return _tpu()
    if kind == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if kind == "gpu":
        return _gpu()
    return tf.distribute.MirroredStrategy(_devices("GPU") or _devices("CPU"))


def _found() -> tf.distribute.Strategy:
    """What "auto" means on this machine."""
    if _tpu_announced():
        try:
            return _tpu()
        except RuntimeError as error:
            warnings.warn(f"{error} Going on without it.", stacklevel=3)
    return _gpu() if _devices("GPU") else tf.distribute.get_strategy()


def _devices(kind: str) -> list[str]:
    return [device.name for device in tf.config.list_logical_devices(kind)]


def _gpu() -> tf.distribute.Strategy:
    gpus = _devices("GPU")
    if not gpus:
        raise RuntimeError(
            "strategy: kind='gpu', but TensorFlow sees no GPU. Check that nvidia-smi shows one "
            "and that tensorflow[and-cuda] is installed, or use kind='auto'."
        )
    if len(gpus) == 1:
        return tf.distribute.OneDeviceStrategy(gpus[0])
    return tf.distribute.MirroredStrategy(gpus)


def _tpu_announced() -> bool:
    """Whether the machine says that it has a TPU; looks at names only, so it can't hang."""
    return any(os.environ.get(name) for name in _TPU_VARIABLES) or bool(
        tf.config.list_physical_devices("TPU")
    )


def _tpu() -> tf.distribute.Strategy:
    if not _tpu_announced():
        raise RuntimeError(
            "strategy: kind='tpu', but this machine shows no TPU: TensorFlow lists no such device "
            f"and none of {', '.join(_TPU_VARIABLES)} is set. In Colab choose a TPU under Runtime "
            "> Change runtime type, or use kind='auto'."
        )
    # On a TPU VM the chips hang on this very machine, "local"; otherwise the environment has
    # the address or the name.
    address = os.environ.get("COLAB_TPU_ADDR") or os.environ.get("TPU_NAME") or "local"
    if ":" in address and "://" not in address:
        address = f"grpc://{address}"
    try:
        _check_answers(address)
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise RuntimeError(
            f"strategy: the TPU at {address!r} can't be used: {reason}. A local TPU needs "
            "TensorFlow's TPU build (pip install tensorflow-tpu), a remote one a running node."
        ) from error


def _check_answers(address: str) -> None:
    """Raises an OSError when nothing listens at a grpc address, where TensorFlow would wait."""
    if address.startswith("grpc://"):
        host, _, port = address.removeprefix("grpc://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10):
            pass
