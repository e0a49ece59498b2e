"""From raw interactions to model inputs. Modules are loaded when one of their names is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeprec_tf.data.colarec import ColaRecData as ColaRecData
    from deeprec_tf.data.colarec import ColaRecRows as ColaRecRows
    from deeprec_tf.data.colarec import read_colarec as read_colarec
    from deeprec_tf.data.colarec import tokenize_texts as tokenize_texts
    from deeprec_tf.data.conversions import conversion_labels as conversion_labels
    from deeprec_tf.data.datasets import MovieLens as MovieLens
    from deeprec_tf.data.datasets import data_dir as data_dir
    from deeprec_tf.data.datasets import load_movielens as load_movielens
    from deeprec_tf.data.encoder import FeatureEncoder as FeatureEncoder
    from deeprec_tf.data.encoder_features import Category as Category
    from deeprec_tf.data.encoder_features import CategoryList as CategoryList
    from deeprec_tf.data.encoder_features import Number as Number
    from deeprec_tf.data.encoder_features import Text as Text
    from deeprec_tf.data.hidden_ids import hide_ids as hide_ids
    from deeprec_tf.data.negatives import NegativeSampler as NegativeSampler
    from deeprec_tf.data.parquet import read_parquet_batches as read_parquet_batches
    from deeprec_tf.data.pointwise import add_negatives as add_negatives
    from deeprec_tf.data.sequences import build_sequences as build_sequences
    from deeprec_tf.data.sequences import latest_sequences as latest_sequences
    from deeprec_tf.data.sessions import build_sessions as build_sessions
    from deeprec_tf.data.splits import Split as Split
    from deeprec_tf.data.splits import leave_one_out as leave_one_out
    from deeprec_tf.data.splits import random_split as random_split
    from deeprec_tf.data.splits import temporal_split as temporal_split
    from deeprec_tf.data.tables import item_table as item_table
    from deeprec_tf.data.tables import take as take
    from deeprec_tf.data.text import TextPairs as TextPairs
    from deeprec_tf.data.text import item_tokens as item_tokens
    from deeprec_tf.data.vocabulary import Vocabulary as Vocabulary

_MODULE_OF = {
    "ColaRecData": "colarec",
    "ColaRecRows": "colarec",
    "read_colarec": "colarec",
    "tokenize_texts": "colarec",
    "conversion_labels": "conversions",
    "MovieLens": "datasets",
    "data_dir": "datasets",
    "load_movielens": "datasets",
    "FeatureEncoder": "encoder",
    "Category": "encoder_features",
    "CategoryList": "encoder_features",
    "Number": "encoder_features",
    "Text": "encoder_features",
    "hide_ids": "hidden_ids",
    "NegativeSampler": "negatives",
    "read_parquet_batches": "parquet",
    "add_negatives": "pointwise",
    "build_sequences": "sequences",
    "build_sessions": "sessions",
    "latest_sequences": "sequences",
    "Split": "splits",
    "leave_one_out": "splits",
    "random_split": "splits",
    "temporal_split": "splits",
    "item_table": "tables",
    "take": "tables",
    "TextPairs": "text",
    "item_tokens": "text",
    "Vocabulary": "vocabulary",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
