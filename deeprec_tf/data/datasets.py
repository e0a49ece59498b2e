"""Data sets: the small MovieLens that ships with the package, and folders the user names."""

from __future__ import annotations

import gzip
import io
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pandas as pd

DATA_VARIABLE = "DEEPREC_TF_DATA"


@dataclass(frozen=True)
class MovieLens:
    """The small MovieLens set: what 671 users thought of 9,066 movies.

    The data may be used for research under the terms in `license` (no commercial use) and
    are to be cited as in `citation`.

    Attributes:
        ratings: DataFrame with `user_id`, `movie_id` (int64), `rating` (float64, 0.5 to 5) and
            `timestamp` (int64, seconds since 1970, UTC), sorted by user, time, movie.
        movies: DataFrame with `movie_id` (int64), `title` (str), `year` (Int64, missing for 3
            movies) and `genres` (str, joined by "|"), sorted by movie.
    """

    ratings: pd.DataFrame
    movies: pd.DataFrame

    @property
    def license(self) -> str:
        """GroupLens's terms of use."""
        return _bundled("LICENSE.txt").decode("utf-8")

    @property
    def citation(self) -> str:
        """The paper to cite."""
        return _bundled("CITATION.txt").decode("utf-8")


def _bundled(name: str) -> bytes:
    return resources.files("deeprec_tf.data").joinpath("movielens", name).read_bytes()


def _bundled_csv(name: str, dtype: dict[str, str]) -> pd.DataFrame:
    text = gzip.decompress(_bundled(name))
    # "(no genres listed)" is a text of its own; only an empty field is missing.
    return pd.read_csv(io.BytesIO(text), dtype=dtype, keep_default_na=False, na_values=[""])


def load_movielens() -> MovieLens:
    """Load the bundled MovieLens set (100,004 ratings, 671 users); no network is needed.

    Returns:
        A `MovieLens` with two fresh DataFrames.

    Example:
        >>> data = load_movielens()
        >>> len(data.ratings), data.ratings["user_id"].nunique()
        (100004, 671)

    References:
        F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and
        Context. ACM Transactions on Interactive Intelligent Systems 5(4), article 19.
    """
    ratings = _bundled_csv(
        "ratings.csv.gz",
        {"user_id": "int64", "movie_id": "int64", "rating": "float64", "timestamp": "int64"},
    )
    movies = _bundled_csv(
        "movies.csv.gz", {"movie_id": "int64", "title": "str", "year": "Int64", "genres": "str"}
    )
    return MovieLens(ratings=ratings, movies=movies)


def data_dir(name: str = "", root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a larger data set that lies on this machine; nothing is downloaded.

    Args:
        name: the data set's folder below `root`, such as "movielens-1m"; empty for `root`.
        root: folder that holds the data sets; the environment variable `DEEPREC_TF_DATA`
            when left out.

    Returns:
        The folder's path; it exists.

    Raises:
        ValueError: no root is given and the variable is not set.
        FileNotFoundError: the folder does not exist.
    """
    origin = "root"
    if root is None:
        root = os.environ.get(DATA_VARIABLE) or None
        origin = DATA_VARIABLE
    if root is None:
        raise ValueError(
            f"data_dir: no folder for {name!r}. Pass root=..., or set the environment variable "
            f"{DATA_VARIABLE} to the folder that holds your data sets."
        )
    path = Path(root).expanduser() / name
    if not path.is_dir():
        parent = Path(root).expanduser()
        there = sorted(p.name for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else None
        found = f"it holds {there}" if there is not None else "that folder does not exist either"
        raise FileNotFoundError(
            f"data_dir: there is no folder {str(path)!r} ({origin} is {str(parent)!r}; {found}). "
            "Put the data there or name another folder."
        )
    return path
