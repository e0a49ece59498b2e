"""Every model × every check; the variants of a model × the light ones."""

import pytest

from deeprec_tf import get_model, list_models
from tests.contract.checks import CHECKS, FILES, LIGHT
from tests.contract.data import subject_of
from tests.contract.variants import EXPORTED, VARIANTS

COMPILED = True

_current = {}


def _cases():
    for model in list_models():
        for variant in (None, *VARIANTS.get(model, ())):
            light = (*LIGHT, "onnx") if (model, variant) in EXPORTED else LIGHT
            for check in CHECKS if variant is None else light:
                label = model if variant is None else f"{model}.{variant}"
                yield pytest.param(model, variant, check, id=f"{label}-{check}")


@pytest.fixture
def subject(model, variant):
    """The subject of (model, variant), kept until another one is asked for."""
    if _current.get("key") != (model, variant):
        form = VARIANTS[model][variant] if variant else ({}, (), None)
        options, without, length_name = form
        built = subject_of(
            get_model(model), options=options, without=without, length_name=length_name
        )
        _current.update(key=(model, variant), subject=built)
    return _current["subject"]


@pytest.mark.parametrize(("model", "variant", "check"), list(_cases()))
def test_contract(model, variant, check, subject, tmp_path):
    arguments = (tmp_path,) if check in FILES else ()
    CHECKS[check](subject, *arguments)


def test_variants_belong_to_models():
    assert set(VARIANTS) <= set(list_models())
