"""The registry: which models there are and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

FAMILIES = ("ranking", "multitask", "recall", "generative")

ROLES = (
    "fields",  # categorical fields of one width, for interactions
    "context",  # any other features of the request or the user
    "target_item",  # the candidate being scored
    "behaviors",  # what the user did, oldest first
    "sessions",  # the same, as sessions of several items
    "negative_behaviors",  # sampled items beside the behaviors, for training
    "item_negatives",  # items beside the target item that it is to win against, for training
    "times",  # when each behavior happened, and when the user asks
    "actions",  # what the user did with each behavior: clicks, likes
    "interactions",  # pairs of a user and an item: the edges of a graph
    "text",  # user and item as texts, in token ids
)

Builder = TypeVar("Builder", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model before it is built. Calling the card calls its builder.

    Attributes:
        name: the builder's name, as the paper spells it.
        builder: the function that returns a compiled model.
        family: "ranking", "multitask", "recall" or "generative".
        paper: title of the paper.
        year: year of the paper.
        url: where to read it.
        needs: roles (`ROLES`) of the columns it cannot do without.
        optional: roles it uses when they are given.
        aliases: other names people type.
    """

    name: str
    builder: Callable[..., Any]
    family: str
    paper: str
    year: int
    url: str
    needs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    aliases: tuple[str, ...] = field(default=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the model."""
        return self.builder(*args, **kwargs)


_CARDS: dict[str, ModelCard] = {}
_ALIASES: dict[str, str] = {}


def register_model(
    *,
    family: str,
    paper: str,
    year: int,
    url: str,
    needs: Iterable[str],
    optional: Iterable[str] = (),
    aliases: Iterable[str] = (),
) -> Callable[[Builder], Builder]:
    """Stores a `ModelCard` for the decorated builder and returns the builder untouched.

    Raises:
        ValueError: a name is taken, or a family or role is unknown.
    """

    def register(builder: Builder) -> Builder:
        card = ModelCard(
            name=builder.__name__,
            builder=builder,
            family=family,
            paper=paper,
            year=year,
            url=url,
            needs=tuple(needs),
            optional=tuple(optional),
            aliases=tuple(aliases),
        )
        if family not in FAMILIES:
            raise ValueError(f"{card.name}: family must be one of {FAMILIES}, got {family!r}.")
        unknown = [role for role in (*card.needs, *card.optional) if role not in ROLES]
        if unknown:
            raise ValueError(f"{card.name}: unknown roles {unknown}; known are {ROLES}.")
        for name in (card.name, *card.aliases):
            if name in _CARDS or name in _ALIASES:
                raise ValueError(f"{card.name}: the name {name!r} is taken by another model.")
        _CARDS[card.name] = card
        _ALIASES.update(dict.fromkeys(card.aliases, card.name))
        return builder

    return register


def list_models(family: str | None = None, *, needs: str | None = None) -> list[str]:
    """Names of the models, by family and year.

    Args:
        family: only this family.
        needs: only models that cannot do without this role.

    Raises:
        ValueError: the family or the role is unknown.

    Example:
        >>> "DIEN" in list_models("ranking")
        True
    """
    if family is not None and family not in FAMILIES:
        raise ValueError(f"list_models: family must be one of {FAMILIES}, got {family!r}.")
    if needs is not None and needs not in ROLES:
        raise ValueError(f"list_models: needs must be one of {ROLES}, got {needs!r}.")
    cards = [
        card
        for card in _CARDS.values()
        if family in (None, card.family) and (needs is None or needs in card.needs)
    ]
    cards.sort(key=lambda card: (FAMILIES.index(card.family), card.year, card.name))
    return [card.name for card in cards]


def get_model(name: str) -> ModelCard:
    """The card of a model, by its name or an alias; call it, or its `builder`, to build.

    Raises:
        ValueError: there is no such model.

    Example:
        >>> get_model("WDL").name
        'WideDeep'
    """
    card = _CARDS.get(_ALIASES.get(name, name))
    if card is None:
        raise ValueError(f"get_model: there is no model {name!r}; known are {list_models()}.")
    return card
