"""The settings of the demo; what was measured to work is its default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        models: names of the models to train; the first one recommends and is exported.
        rows: newest ratings to keep; 0 keeps all.
        epochs: most passes over the training part.
        seed: seed of weights, negatives and row order.
        out: folder of report and exported models.
        fractions: shares of the training, validation and test part, by time.
        maxlen: most behaviors a row sees.
        movie_dim: embedding width of the movies.
        field_dim: embedding width of genres and release periods.
        batch_size: rows a step.
        learning_rate: step size of Adam.
        patience: epochs without a better validation AUC before training stops.
        users: users to recommend to.
        titles: titles to recommend, and last watched ones to show.
    """

    models: tuple[str, ...] = ("DIEN", "DIN")
    rows: int = 0
    epochs: int = 4
    seed: int = 0
    out: Path = Path("deeprec_tf_report")
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    maxlen: int = 20
    movie_dim: int = 16
    field_dim: int = 8
    batch_size: int = 512
    learning_rate: float = 1e-3
    patience: int = 1
    users: int = 3
    titles: int = 5
