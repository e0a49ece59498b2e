"""The demo's tasks and the models that each can train."""

import importlib

import pytest

from deeprec_tf import get_model, list_models
from deeprec_tf.cli.demo.tasks import TASKS, find_cards
from deeprec_tf.cli.errors import CommandError


def test_find_cards():
    names = [card.name for card in find_cards(["din", "Dien", "DIN"], TASKS["ranking"])]
    assert names == ["DIN", "DIEN"]
    with pytest.raises(CommandError, match="--model Nope: there is no such model"):
        find_cards(["DIEN", "Nope"], TASKS["ranking"])
    with pytest.raises(CommandError, match="--model WDL: it reads no behavior sequence"):
        find_cards(["WDL"], TASKS["ranking"])
    with pytest.raises(CommandError, match="DIN: it is no recall model.*recall demo can train: "):
        find_cards(["DIN"], TASKS["recall"])


@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_holds_together(name):
    task = TASKS[name]
    assert task.name == name
    assert callable(importlib.import_module(task.module).run)
    assert [card.name for card in find_cards(task.settings.models, task)] == list(
        task.settings.models
    )
    assert len({task.settings.out for task in TASKS.values()}) == len(TASKS)


def test_the_models_of_recall():
    fitting = [name for name in list_models() if TASKS["recall"].fits(get_model(name))]
    assert {"SASRec", "GRU4Rec", "BERT4Rec", "MIND", "YoutubeDNN"} <= set(fitting)
    assert not {"DSSM", "LightGCN", "DIN"} & set(fitting)


def test_the_models_of_generation():
    fitting = [name for name in list_models() if TASKS["generative"].fits(get_model(name))]
    assert {"TIGER", "HSTU", "HLLM"} <= set(fitting)
    assert not {"ColaRec", "SASRec", "DIN"} & set(fitting)


def test_the_models_of_multitask():
    fitting = [name for name in list_models() if TASKS["multitask"].fits(get_model(name))]
    assert {"SharedBottom", "MMoE", "PLE"} <= set(fitting)
    assert not {"ESMM", "AITM", "DIN"} & set(fitting)
