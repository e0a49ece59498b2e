"""MkDocs hook: the pages that are written from the package at build time.

- `models/<name>.md`, one a model of the registry, and the table `models/index.md`;
- `api/<module>.md`, one a public module, from its `__all__`;
- `contributing.md` and `changelog.md`, from the files of the repository's root.
"""

import importlib
import inspect
from pathlib import Path

from mkdocs.structure.files import File

from deeprec_tf.registry import FAMILIES, get_model, list_models

ROOT = Path(__file__).parents[2]
MODULES = (
    "deeprec_tf",
    "deeprec_tf.data",
    "deeprec_tf.training",
    "deeprec_tf.optimizers",
    "deeprec_tf.evaluation",
    "deeprec_tf.export",
    "deeprec_tf.retrieval",
    "deeprec_tf.identifiers",
    "deeprec_tf.code_models",
    "deeprec_tf.layers",
)
FAMILY_TITLES = {
    "ranking": "Ranking",
    "multitask": "Multi-task",
    "recall": "Recall",
    "generative": "Generative",
}
COPIES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def page_name(card):
    """File name of a model's page: that of its module."""
    return card.builder.__module__.rsplit(".", 1)[-1] + ".md"


def model_page(card):
    """A model's page: where it comes from, its docstring, where it departs from the paper."""
    module = importlib.import_module(card.builder.__module__)
    facts = [f"[{card.paper}]({card.url}), {card.year}."]
    if card.aliases:
        facts.append("Also called " + ", ".join(f"`{name}`" for name in card.aliases) + ".")
    roles = ", ".join(f"`{role}`" for role in card.needs)
    if card.optional:
        roles += "; optional: " + ", ".join(f"`{role}`" for role in card.optional)
    facts.append(f"Columns it needs: {roles}.")
    summary, _, notes = inspect.getdoc(module).partition("\n\n")
    return "\n\n".join(
        [
            f"# {card.name}",
            " ".join(facts),
            f"::: {card.builder.__module__}.{card.name}",
            "## Notes on the implementation",
            summary,
            notes.replace("\n- ", "\n\n- ", 1),
        ]
    )


def models_index():
    """The table of all models."""
    lines = ["# Models", "", "Every builder returns a compiled `keras.Model`.", ""]
    for family in FAMILIES:
        names = list_models(family)
        if not names:
            continue
        lines += [f"## {FAMILY_TITLES[family]}", "", "| model | paper | needs |", "|---|---|---|"]
        for name in names:
            card = get_model(name)
            needs = ", ".join(f"`{role}`" for role in card.needs)
            paper = f"[{card.paper}]({card.url}) ({card.year})"
            lines.append(f"| [{name}]({page_name(card)}) | {paper} | {needs} |")
        lines.append("")
    return "\n".join(lines)


def api_page(module_name):
    """A module's page: its docstring, then everything in its `__all__`."""
    module = importlib.import_module(module_name)
    parts = [f"# {module_name}", inspect.getdoc(module) or ""]
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.ismodule(value) or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        parts.append(f"::: {value.__module__}.{value.__qualname__}")
    return "\n\n".join(parts)


def pages():
    """Source of every generated page, by its path in the site."""
    out = {"models/index.md": models_index()}
    for name in list_models():
        card = get_model(name)
        out[f"models/{page_name(card)}"] = model_page(card)
    for module in MODULES:
        out[f"api/{module}.md"] = api_page(module)
    for target, source in COPIES.items():
        out[target] = (ROOT / source).read_text(encoding="utf-8")
    return out


def on_config(config):
    """Fills the entries `models` and `api` of the navigation."""
    cards = [get_model(name) for name in list_models()]
    entries = {
        "models": ["models/index.md", *({c.name: f"models/{page_name(c)}"} for c in cards)],
        "api": [{module: f"api/{module}.md"} for module in MODULES],
    }
    config.nav = [
        {title: entries.get(value, value) if isinstance(value, str) else value}
        for entry in config.nav
        for title, value in entry.items()
    ]
    return config


def on_files(files, config):
    """Adds the generated pages."""
    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    return files
