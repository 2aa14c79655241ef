import io
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import collected, jpeg, record
from PIL import Image

from postergenre import corpus, paths
from postergenre.errors import MissingStep, SourceError


def picture(kind: str, size: tuple[int, int] = (100, 150), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


def bomb() -> bytes:
    """Return a PNG of a few hundred bytes that claims 60,000 x 90,000 pixels."""
    head = b"IHDR" + (60_000).to_bytes(4) + (90_000).to_bytes(4) + bytes([8, 2, 0, 0, 0])
    chunk = (13).to_bytes(4) + head + zlib.crc32(head).to_bytes(4)
    return b"\x89PNG\r\n\x1a\n" + chunk + picture("PNG")[33:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<html>503</html>", "not an image"),
        (jpeg(1)[:900], "broken image"),
        (picture("PNG", (20, 30)), "too small"),
        (picture("PNG", (300, 100)), "not poster-shaped"),
        (picture("PNG", (100, 1000)), "not poster-shaped"),
        (bomb(), "too large"),
    ],
)
def test_what_is_no_poster_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        corpus.decode(data)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1"])
def test_posters_of_other_modes_become_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert corpus.decode(picture(kind, mode=mode)).mode == "RGB"


def test_a_film_without_poster_stays_in_the_catalogue_with_its_reason(run: str) -> None:
    films = [
        (record(1), jpeg(1), None),
        (record(2), None, "no poster"),
        (record(3), b"<html>", None),
    ]
    corpus.collect(run, films)
    catalogue = corpus.finish(run, {"source": "test"})
    assert catalogue["problem"].tolist() == [None, "no poster", "not an image"]
    assert catalogue["poster"].notna().tolist() == [True, False, False]
    told = corpus.provenance(run)
    assert (told["found"], told["kept"]) == (3, 1)
    assert told["dropped"] == {"no poster": 1, "not an image": 1}
    assert (paths.run_directory(run) / catalogue["poster"][0]).read_bytes() == jpeg(1)


def test_a_killed_collection_goes_on_and_ends_as_an_unbroken_one(run: str) -> None:
    films = [(record(n), jpeg(n), None) for n in range(6)]
    corpus.collect(f"{run}-whole", films)
    whole = corpus.finish(f"{run}-whole", {"source": "x"})
    corpus.collect(run, films[:4])
    journal = Path(run) / "collection.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:40])  # killed within the fourth line
    assert len(corpus.journal(run)) == 3
    corpus.collect(run, films)
    resumed = corpus.finish(run, {"source": "x"})
    pd.testing.assert_frame_equal(
        resumed.drop(columns="collected_at"), whole.drop(columns="collected_at")
    )
    assert paths.fingerprint(run) == paths.fingerprint(f"{run}-whole")
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_the_fingerprint_sees_a_changed_genre_and_a_changed_poster(run: str) -> None:
    prints = set()
    for name, told, seed in (("a", {}, 1), ("b", {"imdb_genres": ["War"]}, 1), ("c", {}, 2)):
        corpus.collect(run + name, [(record(1, **told), jpeg(seed), None)])
        corpus.finish(run + name, {"source": "x"})
        prints.add(paths.fingerprint(run + name))
    assert len(prints) == 3


def test_a_run_directory_refuses_another_corpus(run: str) -> None:
    corpus.begin(run, {"source": "demo", "limit": 10})
    corpus.begin(run, {"source": "demo", "limit": 10})
    with pytest.raises(SourceError, match="limit: 10 -> 20"):
        corpus.begin(run, {"source": "demo", "limit": 20})


def test_an_id_cannot_leave_the_posters_folder(run: str) -> None:
    with pytest.raises(SourceError, match="letters, digits"):
        corpus.collect(run, [(record(1, film_id="../../etc"), jpeg(1), None)])


def test_a_source_without_any_poster_is_an_error(run: str) -> None:
    corpus.collect(run, [(record(1), None, "no poster")])
    with pytest.raises(SourceError, match="No film with a usable poster"):
        corpus.finish(run, {"source": "x"})
    with pytest.raises(MissingStep, match="01_collect_posters"):
        corpus.load(run)


def test_parquet_files_with_an_image_column_are_read(tmp_path: Path) -> None:
    rows = [
        record(n) | {"genres": ["War"], "image": {"bytes": jpeg(n), "path": None}} for n in range(5)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "films.parquet")
    found = list(corpus.from_parquet(tmp_path, limit=3))
    assert [told["film_id"] for told, _, _ in found] == ["tt0000000", "tt0000001", "tt0000002"]
    assert found[2][1] == jpeg(2)
    assert found[0][0]["imdb_genres"] == ["Drama"]
    assert found[0][0]["other_genres"] is None


def test_a_parquet_file_without_the_columns_says_which_it_has(tmp_path: Path) -> None:
    pd.DataFrame({"film_id": ["a"], "titel": ["b"]}).to_parquet(tmp_path / "films.parquet")
    with pytest.raises(SourceError, match=r"lacks the columns title, image; it has film_id, titel"):
        list(corpus.from_parquet(tmp_path))
    (tmp_path / "films.parquet").write_bytes(b"no parquet")
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        list(corpus.from_parquet(tmp_path))


def test_a_csv_beside_its_pictures_is_read(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "1.jpg").write_bytes(jpeg(1))
    lines = ["film_id,title,year,genres,poster", "a,One,1999,Drama|War,p/1.jpg"]
    lines += ["b,Two,,Drama,p/none.jpg", "c,Three,2001,Drama,../../outside.jpg"]
    (tmp_path / "films.csv").write_text("\n".join(lines))
    found = list(corpus.from_csv(tmp_path / "films.csv"))
    assert [image is not None for _, image, _ in found] == [True, False, False]
    assert found[0][0]["other_genres"] == ["Drama", "War"]
    assert (found[0][0]["year"], found[1][0]["year"]) == (1999, None)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"year": "99999999999999999999"}, "year is '99999999999999999999', and a number up to"),
        ({"year": "inf"}, "year is 'inf'"),
        ({"tmdb_id": 1e30}, "tmdb_id is '1e[+]30'"),
        ({"genres": [18, 35], "imdb_genres": None}, r"genres is '\[18, 35\]', and a list of words"),
        ({"genres": [{"name": "Drama"}], "imdb_genres": None}, "and a list of words"),
        ({"genres": 18, "imdb_genres": None}, "and a list of words"),
        ({"title": ["One"]}, "title is .* and one value was expected"),
    ],
)
def test_what_no_catalogue_can_hold_is_refused_before_it_is_kept(
    tmp_path: Path, run: str, told: dict[str, Any], message: str
) -> None:
    good = [record(n) | {"image": {"bytes": jpeg(n), "path": None}} for n in range(2)]
    pd.DataFrame([good[0] | told]).to_parquet(tmp_path / "films.parquet")
    with pytest.raises(SourceError, match=message):
        collected(run, corpus.from_parquet(tmp_path))
    pd.DataFrame(good).to_parquet(tmp_path / "films.parquet")  # mended: the run goes on
    assert len(collected(run, corpus.from_parquet(tmp_path))) == 2


def test_a_csv_whose_rows_hold_too_much_is_refused(tmp_path: Path) -> None:
    text = "film_id,title,genres,poster\na,The Good, the Bad,Drama,p/1.jpg\n"
    (tmp_path / "films.csv").write_text(text)
    with pytest.raises(SourceError, match="more fields than its first line has names"):
        list(corpus.from_csv(tmp_path / "films.csv"))


def test_a_csv_without_its_pictures_says_where_they_were_looked_for(tmp_path: Path) -> None:
    text = "film_id,title,genres,poster\na,One,Drama,p/1.jpg\n"
    (tmp_path / "films.csv").write_text(text)
    with pytest.raises(SourceError, match="none of them is a file under"):
        list(corpus.from_csv(tmp_path / "films.csv"))


def test_a_picture_that_is_added_later_is_collected_by_the_next_call(
    tmp_path: Path, run: str
) -> None:
    lines = ["film_id,title,poster,genres", "a,A,a.jpg,Drama", "b,B,b.jpg,War", "c,C,../c.jpg,War"]
    (tmp_path / "films.csv").write_text("\n".join(lines))
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    rows = collected(run, corpus.from_csv(tmp_path / "films.csv")).set_index("film_id")
    assert rows["problem"].tolist() == [None, "no such file", "outside the CSV's folder"]
    (tmp_path / "b.jpg").write_bytes(jpeg(2))
    again = collected(run, corpus.from_csv(tmp_path / "films.csv")).set_index("film_id")
    assert again.loc["b", "poster"].endswith("b.jpg")
    assert again.loc["a", "collected_at"] == rows.loc["a", "collected_at"]


def test_the_funnel_adds_up_from_discovered_to_kept(run: str) -> None:
    films: list[corpus.Triple] = [(record(n), jpeg(n), None) for n in range(4)]
    films += [(record(7), None, "no poster"), (record(8), b"<html>", None)]
    told = {"source": "x", "query": {"limit": 6}, "discovered": 9, "never_shown": 0}
    corpus.collect(run, films)
    corpus.finish(run, told)
    steps = corpus.funnel(corpus.provenance(run))
    assert steps["shown in TMDB's lists"] - steps["beyond the limit"] == steps["asked for"] == 6
    lost = steps["no poster"] + steps["not an image"]
    assert steps["asked for"] - lost == steps["with a usable poster"] == 4
    plain = corpus.funnel({"found": 3, "dropped": {"no poster": 1}, "kept": 2})
    assert plain.tolist() == [3, 1, 2]


def test_a_line_that_a_loss_of_power_left_unreadable_costs_its_film_only(run: str) -> None:
    films = [(record(n), jpeg(n), None) for n in range(3)]
    corpus.collect(run, films)
    path = Path(run) / "collection.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0" * 80 + b"\n" + lines[2])
    assert len(corpus.journal(run)) == 2
    assert collected(run, films)["film_id"].nunique() == 3


def test_a_catalogue_of_many_films_takes_little_more_memory_than_one_of_few(run: str) -> None:
    corpus.collect(run, [(record(1, imdb_genres=["Drama", "War"]), jpeg(1), None)])
    line = json.loads((Path(run) / "collection.jsonl").read_text())
    peaks = {}
    for count in (2_000, 12_000):
        with (Path(run) / "collection.jsonl").open("w") as file:
            for number in range(count):
                named = {"film_id": f"tt{number:07d}", "title": f"A film of {number} days"}
                file.write(json.dumps(line | named | {"sha256": f"{number:064d}"}) + "\n")
        tracemalloc.start()
        assert len(corpus.finish(run, {"source": "x"})) == count
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (
        peaks[12_000] - peaks[2_000]
    ) / 10_000 < 600  # bytes a film, and most of them the table's


def test_a_catalogue_of_an_earlier_version_is_read(run: str) -> None:
    corpus.collect(run, [(record(1), jpeg(1), None)])
    corpus.finish(run, {"source": "x"})
    path = Path(run) / "catalogue.parquet"
    pd.read_parquet(path).drop(columns=list(corpus.ASIDE)).to_parquet(path)
    assert corpus.load(run)["imdb_match"].isna().all()
