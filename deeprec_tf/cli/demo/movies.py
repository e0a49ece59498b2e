"""The ratings that the demo learns from, and what is known of their movies."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deeprec_tf.cli.console import Console
from deeprec_tf.cli.demo.settings import DemoSettings
from deeprec_tf.data import MovieLens, load_movielens

ITEM = "movie_id"
FIELDS = ("genre", "period")  # what is known of a movie: its main genre, its release period
OUT_OF_VOCABULARY = 1
_PERIOD_YEARS = 5

Rows = dict[str, np.ndarray]


def load_ratings(console: Console, settings: DemoSettings) -> tuple[MovieLens, pd.DataFrame]:
    """The step of loading: the set that ships with the package, and its newest ratings."""
    console.step("Load MovieLens")
    movielens = load_movielens()
    ratings = newest_ratings(movielens, settings.rows)
    first, last = (f"{_date(ratings['timestamp'].iloc[k])}" for k in (0, -1))
    console.line(
        f"{len(ratings):,} ratings of {ratings[ITEM].nunique():,} movies by "
        f"{ratings['user_id'].nunique():,} users, {first} to {last}"
    )
    return movielens, ratings


def newest_ratings(data: MovieLens, rows: int) -> pd.DataFrame:
    """The newest ratings with what is known of their movies, oldest first.

    Args:
        data: the MovieLens set.
        rows: ratings to keep; 0 keeps all.
    """
    ratings = data.ratings.merge(describe(data.movies), on=ITEM, validate="many_to_one")
    ratings = ratings.sort_values("timestamp", kind="stable")
    return (ratings.tail(rows) if rows else ratings).reset_index(drop=True)


def describe(movies: pd.DataFrame) -> pd.DataFrame:
    """`movie_id`, `title` with its year, main `genre` and release `period` of each movie."""
    start = movies["year"] // _PERIOD_YEARS * _PERIOD_YEARS
    period = start.astype(str) + "-" + (start + _PERIOD_YEARS - 1).astype(str)
    dated = movies["title"] + " (" + movies["year"].astype(str) + ")"
    return pd.DataFrame(
        {
            ITEM: movies[ITEM],
            "title": dated.where(movies["year"].notna(), movies["title"]),
            "genre": movies["genres"].str.split("|").str[0],
            "period": period.where(movies["year"].notna(), "unknown"),
        }
    )


def titles_by_id(titles: pd.Series, ids: pd.Series, size: int) -> np.ndarray:
    """Titles by encoded movie id; None for ids that no rating has.

    Args:
        titles: title of each rating.
        ids: encoded movie of each rating.
        size: number of ids.
    """
    table = np.full(size, None, object)
    table[ids.to_numpy()] = titles.to_numpy()
    return table


def _date(seconds: int) -> str:
    return f"{pd.to_datetime(int(seconds), unit='s'):%B %Y}"
