"""The figure of a model: its boxes, where they stand, the picture."""

import keras
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.cli.console import ProgressBar, table_lines
from deeprec_tf.cli.graph_boxes import boxes_of
from deeprec_tf.cli.graph_layout import lay_out
from deeprec_tf.cli.model_figure import draw_model
from deeprec_tf.layers import RowNumbers, RowPart
from deeprec_tf.models import DIEN, DIN, WideDeep

GAP = 0.3


def _behavior_columns():
    columns = [SparseFeat("item", 9, embedding_dim=4), SparseFeat("kind", 5, embedding_dim=4)]
    for prefix in ("hist_", "neg_hist_"):
        columns += [
            VarLenSparseFeat(
                SparseFeat(prefix + one.name, one.vocabulary_size, embedding_dim=4,
                           embedding_name=one.name),
                maxlen=3,
            )
            for one in columns[:2]
        ]
    return columns


def _models():
    fields = [SparseFeat("user", 9), SparseFeat("item", 5), DenseFeat("price")]
    return {
        "DIEN": DIEN(_behavior_columns(), ["item", "kind"]),
        "DIN": DIN(_behavior_columns(), ["item", "kind"]),
        "WideDeep": WideDeep(fields),
    }


@pytest.fixture(scope="module", params=["DIEN", "DIN", "WideDeep"])
def model(request):
    return _models()[request.param]


def test_every_layer_and_input_is_told(model):
    boxes = boxes_of(model)
    reads = {name for box in boxes for name in box.reads}
    assert reads == {tensor.name for tensor in model.inputs}
    titles = {box.title for box in boxes}
    for layer in model.layers:
        folded = isinstance(
            layer,
            keras.layers.InputLayer | keras.layers.Concatenate | keras.layers.Reshape
            | RowNumbers | RowPart,
        )
        if not folded and not layer.name.startswith(("embedding_", "cast", "padding_mask")):
            assert layer.name in titles


def test_arrows_point_down_and_boxes_do_not_overlap(model):
    boxes = boxes_of(model)
    assert all(parent.depth < box.depth for box in boxes for parent in box.parents)
    layout = lay_out(boxes, [0.1 * max(map(len, box.lines)) for box in boxes], GAP)
    for layer in layout.layers:
        assert layer
        for left, right in zip(layer, layer[1:], strict=False):
            room = right.x - left.x - 0.5 * (left.width + right.width)
            assert room >= GAP - 1e-6
    arrows = {(id(way[0].box), id(way[-1].box)) for way in layout.arrows}
    assert arrows == {(id(parent), id(box)) for box in boxes for parent in box.parents}
    for way in layout.arrows:
        assert [place.layer for place in way] == list(range(way[0].layer, way[-1].layer + 1))


def test_dien_in_boxes(tmp_path):
    model = _models()["DIEN"]
    boxes = {box.title: box for box in boxes_of(model)}
    parents = {name: {parent.title for parent in box.parents} for name, box in boxes.items()}
    assert parents["relevance"] == {"embeddings", "interest_extractor", "padding_mask"}
    assert parents["interest_evolution"] == {"interest_extractor", "relevance", "padding_mask"}
    assert boxes["relevance"].kind == "attention"
    assert boxes["interest_evolution"].kind == "recurrent"
    assert boxes["interest_evolution"].detail == "DynamicGRU → (B, 8)"
    path = draw_model(model, tmp_path / "dien.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_tables_line_up():
    assert table_lines(("name", "n"), [("a", "10"), ("longer", "7")]) == [
        "name     n", "------  --", "a       10", "longer   7"
    ]


def test_a_bar_outside_a_terminal_is_one_line(capsys):
    bar = ProgressBar("epoch 1/1", 3)
    for done in (1, 2, 3):
        bar.update(done, "loss 1")
    bar.finish("loss 0.5")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "3/3" in out
    assert out.rstrip().endswith("loss 0.5")
