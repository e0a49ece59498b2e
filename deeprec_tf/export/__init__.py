"""From a trained model to a server: the inference cut, the towers, SavedModel and ONNX."""

from deeprec_tf.export.artifact import Artifact
from deeprec_tf.export.candidate_scorer import CandidateScorer, candidate_scorer
from deeprec_tf.export.check import check_export
from deeprec_tf.export.cuts import inference_model, item_encoder, user_encoder
from deeprec_tf.export.onnx_file import export_onnx, load_onnx
from deeprec_tf.export.saved_model import export_saved_model, load_saved_model
from deeprec_tf.export.serving import serving_function

__all__ = [
    "Artifact",
    "CandidateScorer",
    "candidate_scorer",
    "check_export",
    "export_onnx",
    "export_saved_model",
    "inference_model",
    "item_encoder",
    "load_onnx",
    "load_saved_model",
    "serving_function",
    "user_encoder",
]
