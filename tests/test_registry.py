import pytest

from deeprec_tf import get_model, list_models, models, registry
from deeprec_tf.registry import FAMILIES, ROLES, ModelCard, register_model


@pytest.fixture
def empty(monkeypatch):
    monkeypatch.setattr(registry, "_CARDS", {})
    monkeypatch.setattr(registry, "_ALIASES", {})


def register(name, **options):
    def builder(*args, **kwargs):
        return name, args, kwargs

    builder.__name__ = name
    card = {"family": "ranking", "paper": "P", "year": 2020, "url": "https://x", "needs": ()}
    return register_model(**{**card, **options})(builder), builder


def test_the_builder_comes_back_untouched_and_is_found(empty):
    registered, builder = register("A", needs=["fields"], aliases=["AA"])
    assert registered is builder
    card = get_model("A")
    assert isinstance(card, ModelCard) and card is get_model("AA")
    assert (card.name, card.builder, card.needs) == ("A", builder, ("fields",))
    assert card(1, name="x") == ("A", (1,), {"name": "x"})


def test_list_by_family_year_and_name(empty):
    for name, family, year in [("R", "recall", 2010), ("B", "ranking", 2019),
                               ("A", "ranking", 2019), ("C", "ranking", 2016)]:  # fmt: skip
        register(name, family=family, year=year)
    assert list_models() == ["C", "A", "B", "R"]
    assert list_models("recall") == ["R"] and list_models(family="multitask") == []


def test_list_by_need(empty):
    register("A", needs=["fields"])
    register("B", needs=["behaviors"], optional=["fields"])
    assert list_models(needs="fields") == ["A"]


@pytest.mark.parametrize("name", ["A", "AA"])
def test_a_name_is_taken_once(empty, name):
    register("A", aliases=["AA"])
    with pytest.raises(ValueError, match=f"the name '{name}' is taken"):
        register(name)
    with pytest.raises(ValueError, match=f"the name '{name}' is taken"):
        register("B", aliases=[name])
    assert list_models() == ["A"], "a refused card leaves nothing behind"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "rank"}, "A: family must be one of .*, got 'rank'"),
        ({"needs": ["history"]}, r"A: unknown roles \['history'\]"),
        ({"optional": ["ads"]}, r"A: unknown roles \['ads'\]"),
    ],
)
def test_unknown_words(empty, options, message):
    with pytest.raises(ValueError, match=message):
        register("A", **options)


def test_unknown_questions():
    with pytest.raises(ValueError, match="there is no model 'Dien'; known are"):
        get_model("Dien")
    with pytest.raises(ValueError, match="list_models: family must be one of"):
        list_models("rank")
    with pytest.raises(ValueError, match="list_models: needs must be one of"):
        list_models(needs="history")


@pytest.mark.parametrize("name", list_models())
def test_cards(name):
    card = get_model(name)
    assert getattr(models, name) is card.builder
    for alias in card.aliases:
        assert getattr(models, alias) is card.builder
    assert card.family in FAMILIES and set(card.needs) | set(card.optional) <= set(ROLES)
    assert not set(card.needs) & set(card.optional)
    assert card.url.startswith("https://") and 1990 < card.year < 2030
    module = __import__("sys").modules[card.builder.__module__]
    assert card.paper and str(card.year) in module.__doc__
