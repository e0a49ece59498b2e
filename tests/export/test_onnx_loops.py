"""The weights of a recurrence are constants of its loop: copied by no step, and quantized."""

import numpy as np
import pytest

from deeprec_tf.export import check_export, export_onnx, load_onnx
from deeprec_tf.export.onnx_loops import fix_loop_constants
from tests.export.samples import batch


def bodies(path):
    """The loops of a file, each with its body."""
    import onnx

    return [
        (node, node.attribute[0].g)
        for node in onnx.load(path).graph.node if node.op_type == "Loop"
    ]


def test_loops_carry_no_weights(onnx_of):
    found = bodies(onnx_of("dien", "AUGRU"))
    assert len(found) == 2, "one a recurrence"
    for node, body in found:
        weights = {weight.name for weight in body.initializer}
        products = [product for product in body.node if product.op_type == "MatMul"]
        assert products and all(product.input[1] in weights for product in products)
        passed_on = {entry.name for entry in body.input} & {entry.name for entry in body.output}
        assert not passed_on & {product.input[1] for product in products}
        assert len(node.output) == len(body.output) - 1 and len(node.input) == len(body.input)


def test_products_inside_loops_become_int8(sample, tmp_path):
    path = export_onnx(sample("dien", "AUGRU"), tmp_path / "int8.onnx", quantize="dynamic")
    for _, body in bodies(path):
        names = [node.op_type for node in body.node]
        assert "MatMulInteger" in names and "MatMul" not in names
    model = sample("dien", "AUGRU")
    assert check_export(model, path, batch(model, 4, 3)) < 0.05


def test_the_product_of_features_side_by_side_stays_exact(sample, tmp_path):
    """One scale for the sum of a history and the target beside it would drown the target."""
    import onnx

    model = sample("dien", "AUGRU")
    graph = onnx.load(
        export_onnx(model, tmp_path / "int8.onnx", quantize="dynamic")
    ).graph
    concatenated = {node.output[0] for node in graph.node if node.op_type == "Concat"}
    reads = [node.op_type for node in graph.node if set(node.input) & concatenated]
    assert "MatMul" in reads and "DynamicQuantizeLinear" not in reads


def loop_model(read_afterwards):
    """x + 3 w by a loop that carries w along, and with `read_afterwards` w once more."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name, kind=TensorProto.FLOAT, shape=(2,)):
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [helper.make_node("Add", ["x_in", "w_in"], ["x_out"]),
         helper.make_node("Identity", ["go_in"], ["go_out"])],
        "body",
        [value("i", TensorProto.INT64, ()), value("go_in", TensorProto.BOOL, ()), value("x_in"),
         value("w_in")],
        [value("go_out", TensorProto.BOOL, ()), value("x_out"), value("w_in")],
    )  # fmt: skip
    nodes = [helper.make_node("Loop", ["count", "go", "x", "w"], ["x_end", "w_end"], body=body)]
    if read_afterwards:
        nodes.append(helper.make_node("Add", ["x_end", "w_end"], ["y"]))
    else:
        nodes.append(helper.make_node("Identity", ["x_end"], ["y"]))
    constants = {"count": np.array(3), "go": np.array(True), "w": np.array([1, 10], "float32")}
    graph = helper.make_graph(
        nodes, "loop", [value("x")], [value("y")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("read_afterwards", [False, True])
def test_the_answer_stays_and_what_is_read_afterwards_is_left(read_afterwards, tmp_path):
    import onnx

    model = loop_model(read_afterwards)
    fix_loop_constants(model)
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "loop.onnx")
    answer = load_onnx(tmp_path / "loop.onnx")({"x": np.array([0.5, 0.5], "float32")})["y"]
    np.testing.assert_array_equal(answer, [4.5, 40.5] if read_afterwards else [3.5, 30.5])
    ((loop, body),) = bodies(tmp_path / "loop.onnx")
    assert len(loop.input) == (4 if read_afterwards else 3)
    assert [weight.name for weight in body.initializer] == ([] if read_afterwards else ["w_in"])
    left = {constant.name for constant in model.graph.initializer}
    assert left == ({"count", "go", "w"} if read_afterwards else {"count", "go"})
