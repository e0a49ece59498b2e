"""`.keras` → a fresh process: the same bits, and training goes on; `.weights.h5` and back."""

import numpy as np
import pytest

from deeprec_tf import get_model, list_models
from tests.contract.data import subject_of
from tests.contract.round_trip import AFTER, BACK, load_all, save
from tests.contract.variants import VARIANTS

LABELS = [
    (model, variant) for model in list_models() for variant in (None, *VARIANTS.get(model, ()))
]


def check_round_trip(label, saved, loaded, errors):
    assert label not in errors, f"loading failed: {errors[label]}"
    got = loaded[label]
    assert got.keys() == saved.keys()
    for name, wanted in saved.items():
        worst = np.max(np.abs(got[name].astype("float64") - wanted))
        tolerance = 1e-6 if name.startswith(AFTER) else 0
        assert worst <= tolerance, f"{name} differs by {worst:.2g} after loading"


@pytest.fixture(scope="module")
def trips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("round_trip")
    saved = {}
    for model, variant in LABELS:
        options, without, length_name = VARIANTS[model][variant] if variant else ({}, (), None)
        subject = subject_of(
            get_model(model), options=options, without=without, length_name=length_name
        )
        label = f"{model}.{variant}" if variant else model
        saved[label] = save(subject, label, folder)
    return saved, *load_all(folder)


@pytest.mark.parametrize(("model", "variant"), LABELS)
def test_round_trip(model, variant, trips):
    saved, loaded, errors = trips
    label = f"{model}.{variant}" if variant else model
    check_round_trip(label, saved[label], loaded, errors)
    arrays = saved[label]
    moved = [
        np.abs(value - arrays[name.removeprefix(AFTER)]).max()
        for name, value in arrays.items() if name.startswith(AFTER)
    ]
    assert moved and min(moved) > 0, "the step after the save changed nothing"
    for name, value in arrays.items():
        if name.startswith(BACK):
            before = arrays[name.removeprefix(BACK)]
            np.testing.assert_array_equal(value, before, "its weights from a file", strict=True)
