"""The demo's tasks: what each is called, does by default, and which models it can train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature

from deeprec_tf.cli.demo.settings import (
    DemoSettings,
    GenerativeSettings,
    MultitaskSettings,
    RankingSettings,
    RecallSettings,
)
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.registry import ModelCard, get_model, list_models


@dataclass(frozen=True, slots=True)
class DemoTask:
    """A task of the demo. A further one is an entry of `TASKS` and the module that it names.

    Attributes:
        name: what `--task` calls it.
        summary: one line of help.
        settings: what it does when no option says otherwise.
        steps: number of steps that it announces.
        module: has `run(console, cards, settings)`; it is imported when the task is run, since it
            loads TensorFlow.
        fits: whether the task can train a model.
        misfit: what is said of one that it can't train.
    """

    name: str
    summary: str
    settings: DemoSettings
    steps: int
    module: str
    fits: Callable[[ModelCard], bool]
    misfit: str


def _ranks_with_behaviors(card: ModelCard) -> bool:
    roles = {"target_item", "behaviors", "negative_behaviors"}
    return card.family == "ranking" and "behaviors" in card.needs and set(card.needs) <= roles


def _finds_next_items(card: ModelCard) -> bool:
    return card.family == "recall" and set(card.needs) == {"target_item", "behaviors"}


def _generates(card: ModelCard) -> bool:
    return card.family == "generative" and "item_tokens" not in card.needs


def _learns_any_tasks(card: ModelCard) -> bool:
    return card.family == "multitask" and "task_types" in signature(card.builder).parameters


TASKS = {
    task.name: task
    for task in (
        DemoTask(
            name="ranking",
            summary="will the user rate this movie? DIEN and DIN beside popularity",
            settings=RankingSettings(),
            steps=6,
            module="deeprec_tf.cli.demo.ranking.steps",
            fits=_ranks_with_behaviors,
            misfit="it reads no behavior sequence",
        ),
        DemoTask(
            name="recall",
            summary="which movie of all comes next? Sequence models beside item-kNN, in an index",
            settings=RecallSettings(),
            steps=6,
            module="deeprec_tf.cli.demo.recall.steps",
            fits=_finds_next_items,
            misfit="it is no recall model of a behavior sequence",
        ),
        DemoTask(
            name="multitask",
            summary="liked, and which rating? Experts and gates beside a model a task; a funnel",
            settings=MultitaskSettings(),
            steps=7,
            module="deeprec_tf.cli.demo.multitask.steps",
            fits=_learns_any_tasks,
            misfit="it is no multi-task model with tasks of any kind",
        ),
        DemoTask(
            name="generative",
            summary="movies by their semantic ids: TIGER spells the next one, beside HSTU",
            settings=GenerativeSettings(),
            steps=7,
            module="deeprec_tf.cli.demo.generative.steps",
            fits=_generates,
            misfit="it is no generative model, or one that reads the items' texts",
        ),
    )
}


def find_cards(names: Sequence[str], task: DemoTask) -> list[ModelCard]:
    """The cards of models that a task can train, whatever case they are typed in.

    Raises:
        CommandError: there is no such model, or it needs other data.
    """
    spelled = {name.lower(): name for name in list_models()}
    spelled |= {
        alias.lower(): name for name in spelled.values() for alias in get_model(name).aliases
    }
    cards: dict[str, ModelCard] = {}
    for name in names:
        card = get_model(spelled[name.lower()]) if name.lower() in spelled else None
        if card is None or not task.fits(card):
            fitting = [other for other in list_models() if task.fits(get_model(other))]
            fault = "there is no such model" if card is None else task.misfit
            raise CommandError(
                f"--model {name}: {fault}. The {task.name} demo can train: {', '.join(fitting)}."
            )
        cards[card.name] = card
    return list(cards.values())
