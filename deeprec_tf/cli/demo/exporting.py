"""The demo's export of a model that predicts: written, reloaded, compared with the trained one."""

from __future__ import annotations

from pathlib import Path

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.movies import Rows
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import FeatureEncoder
from deeprec_tf.export import check_export, export_onnx, export_saved_model

PARITY_ROWS = 4096


def export_model(
    console: Console,
    chosen: TrainedModel,
    encoder: FeatureEncoder,
    rows: Rows,
    raw: Rows,
    out: Path,
) -> tuple[dict[str, float], list[str]]:
    """The step of the export: SavedModel, ONNX and the encoder.

    Args:
        console: what is printed.
        chosen: the model.
        encoder: what its inputs were encoded with.
        rows: inputs to compare on, as ids.
        raw: the same as raw values.
        out: folder of the files.

    Returns:
        The largest difference of each from the trained model, and the files relative to `out`.
    """
    console.step(f"Export {chosen.name}, reload, compare with the trained model")
    name = chosen.name.lower()
    saved_model = export_saved_model(chosen.model, out / "saved_model" / name, encoder)
    onnx = export_onnx(chosen.model, out / f"{name}.onnx")
    encoder.save(out / "encoder.json")
    parities = {
        "SavedModel, ids in": check_export(chosen.model, saved_model, rows),
        "SavedModel, raw values in": check_export(chosen.model, saved_model, rows, raw_x=raw),
        "ONNX in onnxruntime": check_export(chosen.model, onnx, rows),
    }
    count = len(next(iter(rows.values())))
    for label, difference in parities.items():
        console.line(f"{label:<26} largest difference {difference:.2g} over {count:,} rows")
    files = [saved_model.relative_to(out).as_posix() + "/", onnx.name, "encoder.json"]
    return parities, files
