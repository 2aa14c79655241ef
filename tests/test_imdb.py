import gzip
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from postergenre import imdb
from postergenre.demo import stand_in, studio
from postergenre.errors import SourceError

LINES = [
    "\t".join(imdb.COLUMNS[imdb.BASICS]),
    'tt0000001\tmovie\tA "Quoted\tA\t0\t1999\t\\N\t90\tDrama,War',
    "tt0000002\tmovie\tB\tB\t0\t\\N\t\\N\t\\N\t\\N",
    "tt0000003\ttvSeries\tC\tC\t0\t2001\t2003\t45\tComedy",
    "tt0000004\tmovie\tAmélie!\tLe Fabuleux\t0\t2001\t\\N\t\\N\tRomance",
    "tt0000005\ttvEpisode\tAmelie\tAmelie\t0\t2001\t\\N\t\\N\tHorror",
    "tt0000006\tmovie\tTwins\tTwins\t0\t1988\t\\N\t\\N\tComedy",
    "tt0000007\tmovie\tTwins\tTwins\t0\t1988\t\\N\t\\N\tHorror",
    "tt0000008\tshort\tLate\tLate\t0\t1971\t\\N\t\\N\tShort",
]
VOTES = ["tconst\taverageRating\tnumVotes", "tt0000001\t5.5\t120", "tt0000009\t9.0\t7"]


def write(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))


@pytest.fixture
def titles(tmp_path: Path) -> Path:
    path = tmp_path / imdb.BASICS
    write(path, LINES)
    return path


def films(*rows: dict[str, Any]) -> pd.DataFrame:
    plain = {"imdb_id": None, "title": None, "year": None}
    return pd.DataFrame([{"film_id": f"f{n}", **plain, **row} for n, row in enumerate(rows)])


def test_films_are_found_by_their_id_in_their_order(titles: Path) -> None:
    asked = films({"imdb_id": "tt0000003"}, {"imdb_id": "tt0000001"}, {"imdb_id": "tt9999999"})
    found = imdb.join(asked, titles)
    assert found["film_id"].tolist() == ["f0", "f1", "f2"]
    assert found["imdb_genres"].tolist() == [["Comedy"], ["Drama", "War"], None]
    assert found["title_type"].tolist() == ["tvSeries", "movie", None]
    assert found["imdb_match"].tolist() == ["id", "id", "none"]


def test_a_title_without_genres_has_none(titles: Path) -> None:
    assert imdb.join(films({"imdb_id": "tt0000002"}), titles)["imdb_genres"].tolist() == [None]


def test_no_films_give_an_empty_table_with_its_columns(titles: Path) -> None:
    found = imdb.join(films({"imdb_id": "tt1"}).head(0), titles)
    assert found.empty
    assert found.columns.tolist() == imdb.FOUND


@pytest.mark.parametrize(
    ("title", "year", "match", "imdb_id"),
    [
        ("amelie", 2001, "title and year", "tt0000004"),
        ("Le fabuleux", 2001, "title and year", "tt0000004"),
        ("AMÉLIE", 2002, "title, a year off", "tt0000004"),
        ("Amélie", 2004, "none", None),
        ("Amélie", None, "none", None),
        ("Twins", 1988, "several titles", None),
        ("C", 2001, "none", None),
        ("!?", 2001, "none", None),
        ("Late", 1971, "title and year", "tt0000008"),
    ],
)
def test_a_film_without_an_id_is_found_by_title_and_year_and_the_match_is_told(
    titles: Path, title: str, year: int | None, match: str, imdb_id: str | None
) -> None:
    found = imdb.join(films({"title": title, "year": year}), titles).iloc[0]
    assert (found["imdb_match"], found["imdb_matched_id"]) == (match, imdb_id)
    assert (found["imdb_genres"] is None) == (imdb_id is None)


def test_a_title_that_is_another_films_or_wanted_by_two_is_given_to_neither(titles: Path) -> None:
    taken = films({"imdb_id": "tt0000004"}, {"title": "Amelie", "year": 2001})
    assert imdb.join(taken, titles)["imdb_match"].tolist() == ["id", "none"]
    both = films({"title": "Amelie", "year": 2001}, {"title": "Amélie", "year": 2001})
    assert imdb.join(both, titles)["imdb_match"].tolist() == ["several titles"] * 2


def test_votes_come_from_the_ratings_beside_the_titles(titles: Path) -> None:
    asked = films({"imdb_id": "tt0000001"}, {"imdb_id": "tt0000003"})
    assert imdb.join(asked, titles)["imdb_votes"].isna().all()
    write(titles.with_name(imdb.RATINGS), VOTES)
    assert imdb.join(asked, titles)["imdb_votes"].tolist() == [120, None]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        imdb.join(films({"imdb_id": "tt0000001"}), tmp_path / imdb.BASICS)


@pytest.mark.parametrize("left", [0.5, 0.98])
def test_a_file_that_is_cut_off_is_refused(titles: Path, left: float) -> None:
    lines = [f"tt{n:07d}\tmovie\tFilm {n * n}\tF\t0\t1999\t\\N\t90\tDrama" for n in range(60_000)]
    write(titles, [LINES[0], *lines])
    whole = titles.read_bytes()
    titles.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(SourceError, match=r"cannot be read as IMDb's .* cut off: fetch it again"):
        imdb.join(films({"imdb_id": "tt0000001"}), titles)


def test_a_file_of_another_kind_is_refused(titles: Path) -> None:
    write(titles, ["a\tb", "1\t2"])
    with pytest.raises(SourceError, match="cannot be read as IMDb's"):
        imdb.join(films({"imdb_id": "tt0000001"}), titles)
    write(titles.with_name(imdb.RATINGS), ["a\tb\tc\td", "1\t2\t3\t4"])
    write(titles, LINES)
    with pytest.raises(SourceError, match=r"cannot be read as IMDb's title\.ratings"):
        imdb.join(films({"imdb_id": "tt0000001"}), titles)


def test_a_download_goes_on_where_it_was_cut_off_and_is_checked(tmp_path: Path) -> None:
    drawn = studio.draw_all(tmp_path / "studio", films=30)
    whole = gzip.compress(random.Random(1).randbytes(400_000))
    (drawn / imdb.BASICS).write_bytes(whole)
    for trouble in (stand_in.Trouble(), stand_in.Trouble(rate=1)):
        folder = tmp_path / f"imdb{trouble.rate}"
        with stand_in.serve(drawn, trouble=trouble) as address:
            path = imdb.download(folder, names=(imdb.BASICS,), address=address)
            spoilt = trouble.spoilt.total()
            assert imdb.download(folder, names=(imdb.BASICS,), address="nowhere") == path
        assert path.read_bytes() == whole
        assert [left.name for left in folder.iterdir()] == [imdb.BASICS]
        assert spoilt == 2 * trouble.rate


def test_a_download_that_cannot_be_whole_keeps_its_name_to_itself(tmp_path: Path) -> None:
    drawn = studio.draw_all(tmp_path / "studio", films=30)
    (drawn / imdb.BASICS).write_bytes((drawn / imdb.BASICS).read_bytes()[:-9])
    with stand_in.serve(drawn) as address:
        with pytest.raises(SourceError, match="cut off, or its check sum is wrong"):
            imdb.download(tmp_path / "imdb", names=(imdb.BASICS,), address=address)
        with pytest.raises(SourceError, match="it answers 404"):
            imdb.download(tmp_path / "imdb", names=("title.nothing.tsv.gz",), address=address)
    assert not list((tmp_path / "imdb").glob("*.gz"))
