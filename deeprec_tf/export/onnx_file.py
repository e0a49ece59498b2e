"""ONNX: a file for runtimes without TensorFlow."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.export.artifact import Arrays, Artifact, TensorInfo, largest_difference
from deeprec_tf.export.cuts import inference_model
from deeprec_tf.export.onnx_loops import fix_loop_constants
from deeprec_tf.export.signatures import id_specs, smoke_batch
from deeprec_tf.features import SparseFeat, VarLenSparseFeat, input_specs
from deeprec_tf.layers.core.row_numbers import RowNumbers
from deeprec_tf.model_input import with_a_step

OPSET = 18
QUANTIZATIONS = (None, "dynamic")
_LARGEST_FILE = 2**31 - 2**20  # protobuf's limit, less room for the graph
_SMOKE_TOLERANCE = 1e-4
_HALF_TOLERANCE = 1e-2  # of what is computed in half precision, by sums in another order
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
}


def export_onnx(
    model: keras.Model, path: str | Path, quantize: str | None = None
) -> Path:
    """Writes the inference cut of a model as an ONNX file (opset 18) and tries it out.

    Inputs have the model's names and start at ids (strings at their int64 keys, see
    `deeprec_tf.string_keys`); outputs are named "probability", as the tasks, or as the tower's
    vector. Batch and time axis are open. tf2onnx writes a broken file without a word for some
    ops, so the file is loaded in onnxruntime and compared with the model on small batches of
    two sizes before it takes its name.

    Args:
        model: a trained model, an `inference_model`, or a tower of `user_encoder`.
        path: the file, ending in ".onnx".
        quantize: None, or "dynamic" for int8: a third to a half of the space, faster batches of
            models with large products (DIEN's recurrences), no faster single rows, and
            probabilities that move by some 1e-3 (`check_export` says by how much). Products that
            read features side by side stay in float32: one scale for all of them is too coarse.

    Returns:
        The path of the file.

    Raises:
        ImportError: tf2onnx or onnxruntime is not installed.
        ValueError: nothing to cut at, an unknown `quantize`, a path without ".onnx", weights
            above 2 GiB, a model in bfloat16, or a file that onnxruntime cannot run or that answers
            differently: by more than 1e-4, in float16 by 1e-2.

    Example:
        >>> import tempfile
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import DeepFM
        >>> model = DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)])
        >>> export_onnx(model, tempfile.mkdtemp() + "/deepfm.onnx").name
        'deepfm.onnx'
    """
    path = Path(path)
    if quantize not in QUANTIZATIONS:
        raise ValueError(
            f"export_onnx: quantize must be one of {QUANTIZATIONS}, got {quantize!r}."
        )
    _check_suffix("export_onnx", path)
    tf2onnx, _ = _libraries("export_onnx")
    served = inference_model(model)
    size = sum(weight.value.dtype.size * int(np.prod(weight.shape)) for weight in served.weights)
    if size > _LARGEST_FILE:
        raise ValueError(
            f"{served.name}: the weights take {size / 2**30:.1f} GiB, an ONNX file holds less than "
            "2 GiB. Use export_saved_model, or smaller tables."
        )
    half = _half_precision(served)
    if "bfloat16" in half:
        raise ValueError(
            f"{served.name}: the model computes in bfloat16, which tf2onnx cannot write. Build it "
            "anew under keras.config.set_dtype_policy('float32'), load_weights from this one's "
            "save_weights, and export that; export_saved_model takes it as it is."
        )
    specs = id_specs(served)
    sizes = _sizes_to_guard(served)

    @tf.function(input_signature=list(specs.values()), autograph=False)
    def answer(*tensors):
        inputs = dict(zip(specs, map(with_a_step, tensors), strict=True))
        for name, size in sizes.items():
            inputs[name] = tf.where(inputs[name] < 0, size, inputs[name])
        return served(inputs, training=False)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf2onnx's own, about NumPy
        converted, _ = tf2onnx.convert.from_function(
            answer, input_signature=list(specs.values()), opset=OPSET
        )
    fix_loop_constants(converted)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        partial.write_bytes(converted.SerializeToString())
        if quantize == "dynamic":
            partial = _quantized(partial)
        tolerance = _HALF_TOLERANCE if half else _SMOKE_TOLERANCE
        _try_out(partial, served, None if quantize else tolerance)
        os.replace(partial, path)
    return path


def load_onnx(path: str | Path) -> Artifact:
    """Loads an ONNX file in onnxruntime, on the CPU.

    Args:
        path: the file.

    Returns:
        A callable: dict of arrays in, dict of arrays out.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: there is no such file, or onnxruntime cannot load it.
    """
    path = Path(path)
    _, onnxruntime = _libraries("load_onnx")
    if not path.is_file():
        raise ValueError(f"load_onnx: there is no file {path}.")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no public base
        raise ValueError(f"load_onnx: onnxruntime cannot load {path}: {error}") from error
    inputs = {
        entry.name: TensorInfo(
            _DTYPES[entry.type],
            tuple(size if isinstance(size, int) else None for size in entry.shape),
        )
        for entry in session.get_inputs()
    }
    outputs = tuple(entry.name for entry in session.get_outputs())

    def run(batch: Arrays) -> Arrays:
        return dict(zip(outputs, session.run(list(outputs), batch), strict=True))

    return Artifact(path, inputs, outputs, run)


def _sizes_to_guard(model: Any) -> dict[str, int]:
    """The vocabularies of inputs of ids, where the model has not seen to ids that are none.

    An id below 0 becomes one beyond its table, which onnxruntime refuses: in ONNX's `Gather` -1 is
    the last row.
    """
    specs = input_specs(getattr(model, "feature_columns", ()))
    guarded = {
        tensor.name
        for layer in model.layers if isinstance(layer, RowNumbers)
        for node in layer._inbound_nodes for tensor in node.input_tensors
    }  # fmt: skip
    return {
        spec.name: spec.column.vocabulary_size
        for spec in specs.values()
        if isinstance(spec.column, SparseFeat | VarLenSparseFeat)
        and spec.role == "ids" and not spec.column.use_hash and spec.name not in guarded
    }  # fmt: skip


def _libraries(owner: str) -> tuple[ModuleType, ModuleType]:
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise ImportError(
            f"{owner}: {error.name} is not installed. Run: pip install 'deeprec-tf[onnx]'"
        ) from error
    return tf2onnx, onnxruntime


def _check_suffix(owner: str, path: Path) -> None:
    if path.suffix != ".onnx":
        raise ValueError(f"{owner}: the path must end in '.onnx', got {str(path)!r}.")


def _quantized(path: Path) -> Path:
    """The file with int8 weights, unsigned.

    Where a processor has no VNNI, onnxruntime adds pairs of unsigned times signed products in 16
    bits, which overflow without a word: DIEN's probabilities were off by .3. Unsigned ones do not.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_name("quantized-" + path.name)
    quantize_dynamic(
        path, target, weight_type=QuantType.QUInt8, extra_options={"EnableSubgraph": True},
        nodes_to_exclude=_products_of_unlike_parts(onnx.load(path).graph),
    )
    return target


def _products_of_unlike_parts(graph: Any) -> list[str]:
    """Names of the products that read features side by side.

    int8 has one scale for all that a product reads: the sum of a history makes it so coarse that
    the target item beside it is lost. In DIEN nine tenths of the error come from the tower's first
    product.
    """
    concatenated = {node.output[0] for node in graph.node if node.op_type == "Concat"}
    return [
        node.name for node in graph.node
        if node.op_type == "MatMul" and node.input[0] in concatenated
    ]


def _half_precision(served: keras.Model) -> set[str]:
    """The dtypes of half precision that the model computes in."""
    dtypes = {layer.compute_dtype for layer in served._flatten_layers(include_self=False)}
    return dtypes & {"float16", "bfloat16"}


def _try_out(path: Path, served: keras.Model, tolerance: float | None) -> None:
    """Runs the file beside the model on two batches; raises where they differ."""
    try:
        artifact = load_onnx(path)
        for rows, steps in ((2, 3), (3, 2)):
            batch = smoke_batch(served, rows, steps)
            expected = served(batch, training=False)
            answers = artifact(batch)
            for name, value in expected.items():
                _compare(name, np.asarray(value), answers[name], tolerance)
    except Exception as error:
        raise ValueError(
            f"{served.name}: the ONNX file does not answer as the model does, so it was not "
            f"kept: {error} An op of a layer may have no form in ONNX; export_saved_model takes "
            "every op."
        ) from error


def _compare(name: str, expected: np.ndarray, got: np.ndarray, tolerance: float | None) -> None:
    if got.shape != expected.shape:
        raise ValueError(f"{name!r} has shape {got.shape}, the model gives {expected.shape}.")
    difference = largest_difference(expected, got)
    if not np.isfinite(difference):
        raise ValueError(f"{name!r} is not finite.")
    if tolerance is not None:
        finite = expected[np.isfinite(expected)]
        scale = max(1.0, float(np.abs(finite).max(initial=0)))
        if difference > tolerance * scale:
            raise ValueError(f"{name!r} differs by {difference:.2g}.")
