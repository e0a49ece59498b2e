"""NumPy twins of whole models: predictions from the weights, by the papers' equations."""

import numpy as np

from tests.reference.behavior import (
    bilinear_attention,
    gru,
    local_activation_unit,
    weighted_sum,
)
from tests.reference.core import mlp, predict, sequence_pooling


def din(w, batch):
    """DIN with the columns item_id, hist_item_id and price, sigmoid activations.

    Args:
        w: dict of weights by path below the model.
        batch: dict of arrays.
    """
    table = w["embedding_item_id/embeddings"]
    target, behaviors = table[batch["item_id"]], table[batch["hist_item_id"]]
    mask = batch["hist_item_id"] != 0
    unit = "interest/unit/"
    weights = local_activation_unit(
        target, behaviors, mask, activation="sigmoid", normalize=False,
        first=(w[unit + "kernel"], w[unit + "bias"], None),
        hidden=[(w[unit + "hidden/dense_0/kernel"], w[unit + "hidden/dense_0/bias"], None)],
        score=(w[unit + "score/kernel"], w[unit + "score/bias"]),
    )
    interest = weighted_sum(weights, behaviors)
    known = np.concatenate([batch["price"], target, interest, target * interest], axis=1)
    return _head(w, known)


def dien(w, batch):
    """DIEN with AUGRU and bilinear attention, the same columns and activations."""
    table = w["embedding_item_id/embeddings"]
    target, behaviors = table[batch["item_id"]], table[batch["hist_item_id"]]
    mask = batch["hist_item_id"] != 0
    states = gru(behaviors, mask, gru_weights(w, "interest_extractor/"))
    attention = bilinear_attention(target, states, mask, w["relevance/kernel"])
    evolved = gru(
        states, mask, gru_weights(w, "interest_evolution/"), kind="AUGRU", attention=attention
    )
    pooled = sequence_pooling(behaviors, mask, "sum")
    known = [batch["price"], target, evolved[:, -1], pooled, target * pooled]
    return _head(w, np.concatenate(known, axis=1))


def gru_weights(w, prefix, gates="urc"):
    """Weights by gate from the three matrices that hold the gates side by side."""
    found = {
        kind: next(v for k, v in w.items() if k.startswith(prefix) and k.split("/")[-1] == kind)
        for kind in ("kernel", "recurrent_kernel", "bias")
    }
    parts = {kind: np.split(value, len(gates), axis=-1) for kind, value in found.items()}
    return {
        gate: (parts["kernel"][i], parts["recurrent_kernel"][i], parts["bias"][i])
        for i, gate in enumerate(gates)
    }


def _head(w, known):
    layers = [
        (w[f"tower/dense_{i}/kernel"], w[f"tower/dense_{i}/bias"], None)
        for i in range(sum(name.startswith("tower/dense_") for name in w) // 2)
    ]
    logit = mlp(known, layers, "sigmoid") @ w["logit/kernel"]
    return predict(logit, w["probability/bias"], "binary")
