"""The settings of the demo's tasks; what was measured to work is their default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What every task of the demo reads.

    Attributes:
        models: names of the models to train; the first one is exported.
        rows: newest ratings to keep; 0 keeps all.
        epochs: most passes over the training part.
        seed: seed of weights, of row order and of all that is drawn.
        out: folder of report and exported models.
        batch_size: rows a step.
        learning_rate: step size of Adam.
        patience: epochs without a better validation metric before training stops.
    """

    models: tuple[str, ...]
    rows: int = 0
    epochs: int = 4
    seed: int = 0
    out: Path = Path("deeprec_tf_report")
    batch_size: int = 512
    learning_rate: float = 1e-3
    patience: int = 1


@dataclass(frozen=True, slots=True)
class RankingSettings(DemoSettings):
    """What the ranking task does; `DemoSettings` says the rest.

    Attributes:
        fractions: shares of the training, validation and test part, by time.
        maxlen: most behaviors a row sees.
        movie_dim: embedding width of the movies.
        field_dim: embedding width of genres and release periods.
        users: users to recommend to.
        titles: titles to recommend, and last watched ones to show.
    """

    models: tuple[str, ...] = ("DIEN", "DIN")
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    maxlen: int = 20
    movie_dim: int = 16
    field_dim: int = 8
    users: int = 3
    titles: int = 5


@dataclass(frozen=True, slots=True)
class RecallSettings(DemoSettings):
    """What the recall task does; `DemoSettings` says the rest.

    Attributes:
        batch_size: rows a step of models that learn once a row.
        sequences_a_step: rows a step of models that learn at every position of a row.
        least_ratings: movies with fewer in the training part are left out.
        maxlen: most behaviors a row sees.
        movie_dim: width of the vectors of movies and users.
        users: users whose lists are shown.
        titles: length of these lists, of the exported answers and of the lists that are measured.
        watched: last watched titles to show.
    """

    models: tuple[str, ...] = ("SASRec", "GRU4Rec", "YoutubeDNN")
    epochs: int = 10
    out: Path = Path("deeprec_tf_report_recall")
    learning_rate: float = 6e-3
    patience: int = 3
    sequences_a_step: int = 32
    least_ratings: int = 5
    maxlen: int = 50
    movie_dim: int = 64
    users: int = 3
    titles: int = 10
    watched: int = 8


@dataclass(frozen=True, slots=True)
class GenerativeSettings(RecallSettings):
    """What the generative task does; `RecallSettings` says the rest.

    Attributes:
        vector_dim: numbers that say who rated a movie.
        levels: codes of a movie's name, the last digit not counted.
        codebook_size: codes of a level.
        candidates: movies that a model which spells answers with, before those that the user has
            rated are left out.
        spelling_rate: step size of Adam for a model that spells.
    """

    models: tuple[str, ...] = ("TIGER", "HSTU")
    epochs: int = 10
    out: Path = Path("deeprec_tf_report_generative")
    batch_size: int = 256
    maxlen: int = 10
    vector_dim: int = 32
    levels: int = 2
    codebook_size: int = 64
    candidates: int = 60
    spelling_rate: float = 2e-3


@dataclass(frozen=True, slots=True)
class MultitaskSettings(DemoSettings):
    """What the multitask task does; `DemoSettings` says the rest.

    Attributes:
        fractions: shares of each user's ratings in the training, validation and test part, by
            time.
        liked_from: the lowest rating of a movie that is liked.
        embedding_dim: width of every table.
        dropout: share dropped in experts, bottoms and towers.
        drawn: movies without a rating beside each rated one, in the funnel.
    """

    models: tuple[str, ...] = ("MMoE", "PLE", "SharedBottom")
    epochs: int = 8
    out: Path = Path("deeprec_tf_report_multitask")
    patience: int = 2
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    liked_from: float = 4.0
    embedding_dim: int = 8
    dropout: float = 0.2
    drawn: int = 1
