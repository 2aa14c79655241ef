import gzip
from pathlib import Path

import pytest

from postergenre import imdb
from postergenre.errors import SourceError

LINES = [
    "\t".join(imdb.COLUMNS),
    'tt0000001\tmovie\tA "Quoted\tA\t0\t1999\t\\N\t90\tDrama,War',
    "tt0000002\tmovie\tB\tB\t0\t\\N\t\\N\t\\N\t\\N",
    "tt0000003\ttvSeries\tC\tC\t0\t2001\t2003\t45\tComedy",
]


@pytest.fixture
def titles(tmp_path: Path) -> Path:
    path = tmp_path / "title.basics.tsv.gz"
    path.write_bytes(gzip.compress("\n".join(LINES).encode() + b"\n"))
    return path


def test_only_the_titles_asked_for_come_back(titles: Path) -> None:
    found = imdb.genres(titles, ["tt0000003", "tt0000001", "tt9999999"])
    assert found["imdb_id"].tolist() == ["tt0000001", "tt0000003"]
    assert found["imdb_genres"].tolist() == [["Drama", "War"], ["Comedy"]]
    assert found["title_type"].tolist() == ["movie", "tvSeries"]


def test_a_title_without_genres_has_none(titles: Path) -> None:
    assert imdb.genres(titles, ["tt0000002"])["imdb_genres"].tolist() == [None]


def test_no_ids_give_an_empty_table_with_its_columns(titles: Path) -> None:
    found = imdb.genres(titles, [])
    assert found.empty
    assert found.columns.tolist() == ["imdb_id", "title_type", "imdb_genres"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        imdb.genres(tmp_path / "title.basics.tsv.gz", ["tt0000001"])


def test_a_file_of_another_kind_or_cut_off_is_refused(titles: Path) -> None:
    whole = titles.read_bytes()
    titles.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="cannot be read as IMDb's"):
        imdb.genres(titles, ["tt0000001"])
    titles.write_bytes(gzip.compress(b"a\tb\n1\t2\n"))
    with pytest.raises(SourceError, match="cannot be read as IMDb's"):
        imdb.genres(titles, ["tt0000001"])
