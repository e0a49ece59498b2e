import socket

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat
from deeprec_tf.models import FM
from deeprec_tf.training import strategy
from deeprec_tf.training.strategies import _TPU_VARIABLES


class Device:
    def __init__(self, kind, number):
        self.name = f"/device:{kind}:{number}"


@pytest.fixture
def machine(monkeypatch):
    """machine(GPU=2): TensorFlow sees two GPUs, and strategies tell what they were made of."""
    for name in _TPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def set_up(**counts):
        def devices(kind=None):
            return [Device(kind, number) for number in range(counts.get(kind, 0))]

        monkeypatch.setattr(tf.config, "list_logical_devices", devices)
        monkeypatch.setattr(tf.config, "list_physical_devices", devices)
        for name in ("OneDeviceStrategy", "MirroredStrategy", "TPUStrategy"):
            monkeypatch.setattr(tf.distribute, name, lambda on, name=name: (name, on))

    return set_up


@pytest.fixture
def tpu_calls(monkeypatch):
    """Stands in for the TPU runtime and records what is asked of it."""
    calls = []
    monkeypatch.setattr(
        tf.distribute.cluster_resolver, "TPUClusterResolver", lambda tpu: f"resolver of {tpu}"
    )
    monkeypatch.setattr(
        tf.config, "experimental_connect_to_cluster", lambda r: calls.append(("connect", r))
    )
    monkeypatch.setattr(
        tf.tpu.experimental, "initialize_tpu_system", lambda r: calls.append(("initialize", r))
    )
    return calls


def test_cpu_trains_a_model():
    with strategy("cpu").scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    history = model.fit(np.eye(2), np.ones((2, 1)), epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_a_model_is_saved_before_its_first_step_and_trained_after_it(tmp_path):
    with strategy("cpu").scope():
        model = FM([SparseFeat("item", 5)])
    model.save(tmp_path / "model.keras")
    assert model.optimizer.built
    x, y = {"item": np.arange(5)}, np.array([0, 1, 1, 0, 1])
    history = model.fit(x, y, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_cpu_ignores_gpus(machine):
    machine(CPU=1, GPU=2)
    assert strategy("cpu") == ("OneDeviceStrategy", "/cpu:0")


def test_auto_without_accelerator_is_the_default(machine):
    machine(CPU=2)
    assert strategy() is tf.distribute.get_strategy()
    assert strategy("auto") is tf.distribute.get_strategy()


@pytest.mark.parametrize("kind", ["auto", "gpu"])
def test_one_gpu_and_several(machine, kind):
    machine(CPU=1, GPU=1)
    assert strategy(kind) == ("OneDeviceStrategy", "/device:GPU:0")
    machine(CPU=1, GPU=2)
    assert strategy(kind) == ("MirroredStrategy", ["/device:GPU:0", "/device:GPU:1"])


def test_mirrored_takes_gpus_before_cpus(machine):
    machine(CPU=2, GPU=1)
    assert strategy("mirrored") == ("MirroredStrategy", ["/device:GPU:0"])
    machine(CPU=2)
    assert strategy("mirrored") == ("MirroredStrategy", ["/device:CPU:0", "/device:CPU:1"])


@pytest.mark.parametrize("kind", ["auto", "tpu"])
def test_local_tpu(machine, monkeypatch, tpu_calls, kind):
    machine(CPU=1, GPU=1)
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
    assert strategy(kind) == ("TPUStrategy", "resolver of local")
    assert tpu_calls == [("initialize", "resolver of local")]


def test_tpu_that_tensorflow_lists(machine, tpu_calls):
    machine(CPU=1, TPU=8)
    assert strategy("auto") == ("TPUStrategy", "resolver of local")


def test_remote_tpu(machine, monkeypatch, tpu_calls):
    machine(CPU=1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("COLAB_TPU_ADDR", address)
        resolver = f"resolver of grpc://{address}"
        assert strategy("auto") == ("TPUStrategy", resolver)
    assert tpu_calls == [("connect", resolver), ("initialize", resolver)]


def test_tpu_by_name(machine, monkeypatch, tpu_calls):
    machine(CPU=1)
    monkeypatch.setenv("TPU_NAME", "my-node")
    assert strategy("tpu") == ("TPUStrategy", "resolver of my-node")


def test_a_dead_address_fails_at_once(machine, monkeypatch, tpu_calls):
    machine(CPU=1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("COLAB_TPU_ADDR", f"127.0.0.1:{port}")
    with pytest.raises(RuntimeError, match=f"TPU at 'grpc://127.0.0.1:{port}' can't be used"):
        strategy("tpu")
    with pytest.warns(UserWarning, match="can't be used: .* Going on without it"):
        assert strategy("auto") is tf.distribute.get_strategy()
    assert tpu_calls == []


def test_an_announced_tpu_that_this_tensorflow_cannot_use(machine, monkeypatch):
    # What a Colab TPU machine with the plain TensorFlow wheel does; nothing is faked here but
    # the announcement.
    machine(CPU=1)
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-1")
    with pytest.raises(RuntimeError, match="'local' can't be used: .*tensorflow-tpu"):
        strategy("tpu")


@pytest.mark.parametrize(
    ("kind", "error", "match"),
    [
        ("gpu", RuntimeError, "sees no GPU.*tensorflow.and-cuda"),
        ("tpu", RuntimeError, "shows no TPU.*Change runtime type"),
        ("multi_worker", NotImplementedError, "'multi_worker' is not available.*'mirrored'"),
        ("cuda", ValueError, "kind must be one of .*got 'cuda'"),
    ],
)
def test_errors(machine, kind, error, match):
    machine(CPU=1)
    with pytest.raises(error, match=match):
        strategy(kind)
