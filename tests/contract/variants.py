"""Forms of a model that the light checks and the round trip go through besides the default.

A form is (options, optional roles left out, name of the length input).
"""

import numpy as np

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import InBatch, Sampled, Streaming
from deeprec_tf.losses import BPRMax, Triplet
from tests.language_models import tiny_bert, tiny_gpt2

COUNTS = np.arange(11) + 1.0

NO_STEPS = ("times", "actions")
NO_NEGATIVES = ("negative_behaviors",)

RANKING = {"mode": "ranking"}
WINDOWS = {"level1_window_size": 2, "level2_window_size": 2}


# Texts of 11 items, 1 to 6 tokens of a tiny language model; item 0 has none.
LENGTHS = np.array([0, 6, 1, 4, 5, 2, 6, 3, 3, 1, 5])
TOKENS = np.random.default_rng(4).integers(1, 15, (11, 6)) * (np.arange(6) < LENGTHS[:, None])
NO_VECTORS = {"item_embeddings": None, "item_tokens": TOKENS}

# Features of the same items that are no inputs.
ITEM_FEATURES = [
    SparseFeat("genre", 5, embedding_dim=3),
    VarLenSparseFeat(SparseFeat("tags", 4, embedding_dim=2), maxlen=2, combiner="mean"),
    DenseFeat("price", 2),
]
FEATURES_OF_ITEMS = {
    "genre": np.arange(11) % 5, "tags": np.arange(22).reshape(11, 2) % 4,
    "price": np.random.default_rng(5).normal(size=(11, 2)).astype("float32"),
}

VARIANTS = {
    "HSTU": {
        "plain": (
            {"negatives": Sampled(6, each=True)}, ("context", *NO_STEPS), None,
        ),
        "windows": (
            {"hierarchical_params": WINDOWS, "stochastic_length": 1.2, "negatives": "in_batch"},
            ("context", "actions"), "hist_length",
        ),
        "ranking": (RANKING, (), None),
        "ranking_own_time": (
            {**RANKING, "query_time": "own", "hierarchical_params": WINDOWS,
             "stochastic_length": 1.2}, ("context", "actions"), "hist_length",
        ),
        "ranking_plain": ({**RANKING, "item_table": None}, NO_STEPS, None),
    },
    "HLLM": {
        "bert": (
            {**NO_VECTORS, "llm_params": {"model_name": tiny_bert(), "dropout": 0.0},
             "negatives": Sampled(6, hide_similar=0.99)}, ("context",), None,
        ),
        "decoders": (
            {**NO_VECTORS, "negatives": "all", "llm_params": {
                "model_name": tiny_gpt2(), "user_model_name": tiny_gpt2(),
            }}, (), "hist_length",
        ),
        "scratch": (
            {**NO_VECTORS, "llm_params": {"hidden_size": 8, "num_layers": 1, "dropout": 0.0},
             "negatives": InBatch(number=16)}, ("context",), None,
        ),
        "ranking": (
            {"mode": "ranking", "fusion_params": {"fusion_dims": (6,), "dropout": 0.0}}, (), None,
        ),
        "ranking_early": (
            {"mode": "ranking", "temperature": 0.5, "fusion_params": {
                "fusion_type": "early", "fusion_dims": (), "generative_weight": 0.5,
            }}, (), "hist_length",
        ),
    },
    "DSSM": {
        "all": ({"negatives": "all", "temperature": 0.2}, (), None),
        "logits": (
            {"loss": "bce", "negatives": Sampled(4), "temperature": "learned"}, ("behaviors",),
            None,
        ),
        "log_q": (
            {"negatives": [InBatch(counts=COUNTS), Sampled(3, "popularity", counts=COUNTS)]}, (),
            "hist_length",
        ),
        "triplet": ({"loss": "triplet", "negatives": InBatch(hardest=2)}, (), None),
    },
    "BERT4Rec": {
        "in_batch": (
            {"negatives": InBatch(number=16, counts=COUNTS), "last_only": 0.0}, ("context",),
            "hist_length",
        ),
        "last": ({"last_only": 1.0, "num_layers": 1, "hidden_size": None}, (), None),
    },
    "GRU4Rec": {
        "bpr_max": (
            {"loss": BPRMax(0.5), "negatives": [
                InBatch(number=16), Sampled(6, "popularity", counts=COUNTS),
            ]}, ("context",), None,
        ),
        "log_q": (
            {"negatives": [InBatch(number=16, counts=COUNTS),
                           Sampled(6, "popularity", counts=COUNTS, alpha=0.5)],
             "num_layers": 2, "hidden_size": None}, (), "hist_length",
        ),
        "top1_max": (
            {"loss": "top1_max", "negatives": Sampled(6), "item_bias": False}, (), None,
        ),
    },
    "NARM": {
        "in_batch": (
            {"negatives": InBatch(counts=COUNTS), "attention_size": 5}, ("context",), "hist_length",
        ),
        "paper": ({"normalize": False, "loss": "top1_max", "negatives": Sampled(6)}, (), None),
    },
    "STAMP": {
        "in_batch": (
            {"negatives": InBatch(counts=COUNTS), "attention_size": 5}, ("context",), "hist_length",
        ),
        "paper": ({"add_mean": False}, (), None),
    },
    "SASRec": {
        "in_batch": ({"negatives": InBatch(number=16, counts=COUNTS)}, ("context",), None),
        "original": (
            {"original": True, "loss": "bce", "negatives": Sampled(1, each=True)}, (), None,
        ),
        "gbce": (
            {"loss": "gbce", "negatives": Sampled(6, hide_seen=True)}, ("context",), "hist_length",
        ),
    },
    "FaceBookDSSM": {
        "softmax": (
            {"loss": "softmax", "negatives": [InBatch(counts=COUNTS), "given"]}, ("behaviors",),
            None,
        ),
        "in_batch": ({"loss": Triplet(0.4)}, ("item_negatives",), "hist_length"),
    },
    "ComiRec": {
        "routing": (
            {"extraction": "DR", "attention_units": None, "negatives": Sampled(5)}, ("context",),
            "hist_length",
        ),
    },
    "LightGCN": {
        "all": ({"negatives": "all", "temperature": 0.5, "num_layers": 1}, (), None),
        "cosine": (
            {"negatives": InBatch(counts=COUNTS), "loss": "softmax", "l2_normalize": True}, (),
            None,
        ),
        "factorization": (
            {"num_layers": 0, "loss": "bce", "negatives": Sampled(5), "l2": 0.0}, (), None,
        ),
        "features": (
            {"item_feature_columns": ITEM_FEATURES, "item_table": FEATURES_OF_ITEMS}, (), None,
        ),
    },
    "MIND": {
        "hard": (
            {"power": "hard", "adaptive": False, "routing_iterations": 1,
             "negatives": Sampled(5)}, ("context",), None,
        ),
        "one": ({"num_interests": 1, "hidden_units": ()}, (), "hist_length"),
    },
    "ColaRec": {
        "heads": (
            {"tie_codes": False, "preset": (10, 15, 128), "generation_weight": 1.0}, (), None,
        ),
    },
    "TIGER": {
        "hashed": ({"user_buckets": 5, "hide_seen": False}, (), None),
    },
    "SINE": {
        "cosine": (
            {"l2_normalize": True, "decorrelation": 0.1, "negatives": Sampled(5)}, ("context",),
            "hist_length",
        ),
        "all_prototypes": ({"num_interests": 7, "assignment_temperature": 1.0}, (), None),
    },
    "YoutubeSBC": {
        "hashed": (
            {"negatives": InBatch(frequency=Streaming(alpha=0.1, buckets=5, hashes=2)),
             "l2_normalize": False, "temperature": 1.0}, ("behaviors",), None,
        ),
        "memory": (
            {"negatives": InBatch(frequency="streaming", memory=20), "temperature": "learned"}, (),
            None,
        ),
    },
    "YoutubeDNN": {
        "separate": ({"tied": False, "negatives": Sampled(5, "log_uniform")}, ("context",), None),
        "cosine": (
            {"l2_normalize": True, "negatives": "in_batch", "temperature": "learned"}, (),
            "hist_length",
        ),
    },
    "AITM": {
        "deep": (
            {"task_hidden_units": (4,), "batch_norm": True}, (),
            None,
        ),
    },
    "ESMM": {
        "shared": ({"hidden_units": (6,), "activation": "prelu"}, (), None),
    },
    "MMoE": {
        "sigmoid": (
            {"gate_activation": "sigmoid", "gate_hidden_units": (4,),
             "loss_weighting": "uncertainty"}, (), None,
        ),
    },
    "PLE": {
        "cgc": ({"num_layers": 1, "num_experts": 0, "batch_norm": True}, (), None),
        "own": ({"num_shared_experts": 0}, (), None),
    },
    "AFM": {
        "penalty": ({"l2": 0.1, "attention_units": 1}, (), None),
    },
    "BST": {
        "flatten": ({"readout": "flatten", "activation": "prelu"}, (), None),
        "mean": ({"readout": "mean", "num_layers": 2}, (), None),
        "length": ({"num_layers": 2}, ("context",), "hist_length"),
    },
    "DCN": {
        "cross_alone": ({"hidden_units": ()}, (), None),
        "no_cross": ({"cross_num": 0}, (), None),
    },
    "DCNv2": {
        "mix": ({"cross_parameterization": "mix", "structure": "stacked"}, (), None),
        "one_expert": ({"cross_parameterization": "mix", "num_experts": 1}, (), None),
        "free_gates": (
            {"cross_parameterization": "mix", "gate_activation": "sigmoid"}, (), None,
        ),
        "stacked": ({"structure": "stacked"}, (), None),
        "vector": ({"cross_parameterization": "vector", "batch_norm": True}, (), None),
    },
    "EDCN": {
        "addition": ({"bridge_type": "pointwise_addition"}, (), None),
        "attention": ({"bridge_type": "attention_pooling", "gate_scale": True}, (), None),
        "bitwise": ({"gate_type": "BGU", "hidden_units": ()}, (), None),
        "hadamard": (
            {"bridge_type": "hadamard_product", "cross_num": 1, "batch_norm": True}, (), None,
        ),
        "no_gate": ({"gate_type": None}, (), None),
    },
    "FwFM": {
        "field_vectors": ({"linear_form": "field_vectors"}, (), None),
        "id_vectors": ({"linear_form": "id_vectors"}, (), None),
    },
    "GDCN": {
        "stacked": ({"structure": "stacked"}, (), None),
    },
    "AutoInt": {
        "plus": ({"hidden_units": (6,), "residual": False, "num_layers": 1}, (), None),
        "program": (
            {"residual": "project",
             "additions": ("layer_norm", "projection_relu", "scaled_scores")}, (), None,
        ),
    },
    "DIEN": {
        "agru": ({"gru_type": "AGRU"}, (), None),
        "aigru": ({"gru_type": "AIGRU"}, (), None),
        "gru": ({"gru_type": "GRU"}, (), None),
        "released": ({"update_gate": "released"}, NO_NEGATIVES, None),
        "plain": ({"activation": "relu"}, (*NO_NEGATIVES, "context"), None),
        "length": ({"interest_units": 5}, (), "hist_length"),
        "mlp": (
            {"attention": "mlp", "aux_type": "mlp", "interest_units": 5}, (), None,
        ),
        "without_loss": ({"use_negsampling": False, "activation": "prelu"}, (), None),
    },
    "DIN": {
        "softmax": ({"normalize": True}, (), None),
        "length": ({"activation": "prelu"}, ("context",), "hist_length"),
    },
    "DLRM": {
        "dots": ({"hidden_units": (), "bottom_hidden_units": ()}, (), None),
        "batch_norm": ({"batch_norm": True, "activation": "prelu"}, (), None),
    },
    "DNN": {
        "batch_norm": ({"batch_norm": True, "activation": "prelu"}, (), None),
        "linear": ({"hidden_units": ()}, (), None),
    },
    "DSIN": {
        "projected": ({"hidden_size": 6, "lstm_units": 3, "num_heads": 3}, ("context",), None),
        "length": ({"hidden_size": 8, "activation": "dice"}, (), "hist_length"),
    },
    "DeepFM": {
        "fm": ({"hidden_units": ()}, (), None),
        "batch_norm": ({"batch_norm": True}, (), None),
    },
    "FinalMLP": {
        "contexts": (
            {"first_context": ["user", "price"], "second_context": ["genres"],
             "second_hidden_units": (6,), "second_batch_norm": True}, (), None,
        ),
        "no_gates": ({"gate_hidden_units": None, "num_heads": 4}, (), None),
    },
    "FiBiNET": {
        "all": ({"bilinear_type": "all", "hidden_units": ()}, (), None),
        "each": ({"bilinear_type": "each", "batch_norm": True}, (), None),
    },
    "MaskNet": {
        "serial": ({"structure": "serial", "hidden_units": ()}, (), None),
        "batch_norm": (
            {"batch_norm": True, "reduction_ratio": 0.5, "embedding_norm": False}, (), None,
        ),
    },
    "NFM": {
        "batch_norm": ({"batch_norm": True, "activation": "prelu"}, (), None),
        "fm": ({"hidden_units": ()}, (), None),
    },
    "PNN": {
        "outer": ({"product_type": "outer", "batch_norm": True}, (), None),
        "kernel": ({"product_type": "kernel", "hidden_units": ()}, (), None),
    },
    "TextRanker": {
        "bi_encoder": ({"form": "bi_encoder"}, (), None),
        "top": ({"trainable_layers": 1, "pooling": "mean"}, (), None),
        "last": ({"trainable_layers": 0, "pooling": "last", "task": "regression"}, (), None),
    },
    "WideDeep": {
        "dice": ({"activation": "dice"}, (), None),
        "regression": ({"task": "regression"}, (), None),
    },
    "xDeepFM": {
        "split_half": (
            {"split_half": True, "cin_activation": "relu", "hidden_units": ()}, (), None,
        ),
    },
}

# Variants whose layers differ from the default's, and so must prove themselves in ONNX as well.
EXPORTED = (("HLLM", "decoders"), ("HLLM", "ranking"), ("HLLM", "ranking_early"),
            ("HSTU", "ranking"), ("HSTU", "ranking_plain"),
            ("BST", "flatten"), ("BST", "mean"), ("DIEN", "agru"), ("DIEN", "gru"),
            ("DIEN", "mlp"), ("DIN", "softmax"),
            ("DCNv2", "mix"), ("EDCN", "attention"),
            ("TextRanker", "bi_encoder"), ("TextRanker", "last"))
