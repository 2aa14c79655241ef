"""The doors through which films come in, and what a collection does when it is called again."""

import contextlib
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import collected, jpeg, record

from postergenre import corpus, imdb, paths, sources, tmdb, web
from postergenre.__main__ import main
from postergenre.demo import stand_in, studio
from postergenre.errors import SourceError

FILMS = 60
DEFAULTS = tmdb.Client.__init__.__kwdefaults__ or {}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studio.draw_all(tmp_path_factory.mktemp("studio"), films=FILMS)


@pytest.fixture
def told(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the source "tmdb" be the stand-in; `changes` and `trouble` are what it says next."""
    state: dict[str, Any] = {"changes": {}, "trouble": stand_in.Trouble()}

    @contextlib.contextmanager
    def client_of(run: str, limit: int) -> Iterator[tuple[tmdb.Client, dict[str, Any]]]:
        how = {"changes": state["changes"], "trouble": state["trouble"]}
        with stand_in.serve(drawn, **how) as address:
            client = tmdb.Client(address=address, token="demo", tries=3, backoff=0.01)
            yield client, {"terms": [tmdb.ATTRIBUTION, tmdb.TERMS], "asked_of": "TMDB"}

    monkeypatch.setattr(sources, "_tmdb_client", client_of)
    return state


def by_number(run: str) -> pd.DataFrame:
    return corpus.load(run).set_index("tmdb_id")


def asked_for(told: Mapping[str, Any]) -> set[int]:
    """Return the films whose details were asked for since the last look."""
    keys = [key for key in told["trouble"].asked if key.startswith("/3/movie/")]
    found = {int(key.split()[0].rsplit("/", 1)[1]) for key in keys}
    told["trouble"].asked.clear()
    return found


def test_a_finished_collection_asks_for_nothing_and_a_damaged_one_for_what_is_damaged(
    run: str, told: dict[str, Any]
) -> None:
    first = sources.collect(run, source="tmdb", limit=FILMS)
    assert len(asked_for(told)) == FILMS
    sources.collect(run, source="tmdb", limit=FILMS)
    assert told["trouble"].asked.total() == 0
    kept = first[first["poster"].notna()]
    half, lost = (Path(run) / poster for poster in kept["poster"].head(2))
    half.write_bytes(half.read_bytes()[:500])
    lost.unlink()
    again = sources.collect(run, source="tmdb", limit=FILMS)
    assert asked_for(told) == set(kept["tmdb_id"].head(2))
    assert again.drop(columns="collected_at").equals(first.drop(columns="collected_at"))


def test_films_that_were_asked_for_in_vain_are_asked_for_by_the_next_call(
    run: str, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, vain = tmdb.Client._film, {700_004: "TMDB answers 500", 700_009: "poster answers 403"}

    def ill(self: tmdb.Client, number: int, pictures: str) -> tmdb.Film:
        found = plain(self, number, pictures)
        return (tmdb._record({"id": number}), None, vain[number]) if number in vain else found

    monkeypatch.setattr(tmdb.Client, "_film", ill)
    first = sources.collect(run, source="tmdb", limit=FILMS)
    assert corpus.provenance(run)["dropped"]["TMDB answers 500"] == 1
    asked_for(told)
    monkeypatch.setattr(tmdb.Client, "_film", plain)
    catalogue = sources.collect(run, source="tmdb", limit=FILMS)
    assert asked_for(told) == set(vain)
    assert len(catalogue) == len(first) == FILMS
    assert not catalogue["problem"].map(tmdb.passing).any()


def test_a_web_page_for_a_poster_is_told_as_one_and_asked_for_by_the_next_call(
    run: str, told: dict[str, Any]
) -> None:
    told["trouble"] = stand_in.Trouble(rate=0.2, seed=1, most=99, kinds=("html",))
    plain, told["trouble"].kind = told["trouble"].kind, None
    told["trouble"].kind = lambda key, kinds, **how: (
        plain(key, kinds, **how) if kinds is stand_in.OF_POSTERS else None
    )
    first = sources.collect(run, source="tmdb", limit=FILMS)
    pages = set(first.loc[first["problem"] == "poster answers text/html", "tmdb_id"])
    assert pages
    assert corpus.provenance(run)["dropped"]["poster answers text/html"] == len(pages)
    told["trouble"] = stand_in.Trouble()
    again = sources.collect(run, source="tmdb", limit=FILMS)
    assert asked_for(told) == pages
    assert not again["problem"].map(tmdb.passing).any()


def test_a_refresh_takes_out_what_is_gone_and_asks_only_for_what_has_changed(
    run: str, told: dict[str, Any]
) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    before = by_number(run)
    asked_for(told)
    assert sources.refresh(run) == {"asked": 0, "gone": 0, "left": 0}
    assert asked_for(told) == set()
    gone, renamed = before.index[before["poster"].notna()][:2]
    told["changes"] = {int(gone): None, int(renamed): {"title": "Another", "imdb_id": "tt5555555"}}
    assert sources.refresh(run) == {"asked": 2, "gone": 1, "left": 0}
    assert asked_for(told) == {gone, renamed}
    after = by_number(run)
    assert len(after) == FILMS
    assert after.loc[renamed, ["title", "film_id"]].tolist() == ["Another", "tt5555555"]
    assert after.loc[gone, "problem"] == corpus.GONE
    assert pd.isna(after.loc[gone, "title"])
    assert not (Path(run) / before.loc[gone, "poster"]).exists()
    assert before.loc[gone, "title"] not in (Path(run) / "collection.jsonl").read_text()
    same = [number for number in before.index if number not in (gone, renamed)]
    assert after.loc[same].equals(before.loc[same])
    assert len(list(Path(run).glob("posters/*/*.jpg"))) == after["poster"].notna().sum()
    asked_for(told)
    sources.collect(run, source="tmdb", limit=FILMS)
    assert asked_for(told) == set()


def test_a_refresh_asks_again_for_what_is_old(
    run: str, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    assert corpus.provenance(run)["keep_until"] > corpus.provenance(run)["finished_at"][:10]
    asked_for(told)
    monkeypatch.setattr(sources, "STALE", -sources.STALE)
    assert sources.refresh(run)["asked"] == FILMS
    assert len(asked_for(told)) == FILMS


def test_a_refresh_that_is_stopped_goes_on_and_asks_no_film_twice(
    run: str, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    before = by_number(run)
    gone, renamed = sorted(map(int, before.index[before["poster"].notna()]))[:2]
    told["changes"] = {gone: None, renamed: {"title": "Another", "imdb_id": "tt5555555"}}
    monkeypatch.setattr(sources, "STALE", -sources.STALE)  # all films are to be asked for
    asked_for(told)
    plain, asked = tmdb.Client._film, []

    def stopped(self: tmdb.Client, number: int, pictures: str) -> tmdb.Film:
        asked.append(number)
        if len(asked) > 40:
            raise KeyboardInterrupt
        return plain(self, number, pictures)

    journal = Path(run) / "collection.jsonl"
    size = len(journal.read_bytes().splitlines())
    monkeypatch.setattr(tmdb.Client, "_film", stopped)
    with pytest.raises(KeyboardInterrupt):
        sources.refresh(run)
    lines = journal.read_bytes().splitlines()[size:]
    answered = {json.loads(line)["tmdb_id"] for line in lines}
    assert {gone, renamed} < answered
    assert len(answered) < FILMS
    monkeypatch.setattr(tmdb.Client, "_film", plain)
    told["trouble"].asked.clear()
    sources.collect(run, source="tmdb", limit=FILMS)  # in between: no film stands twice
    assert (told["trouble"].asked.total(), len(corpus.load(run))) == (0, FILMS)
    left = FILMS - len(answered)
    assert sources.refresh(run) == {"asked": left, "gone": 1, "left": 0}
    assert asked_for(told) == set(before.index) - answered
    after = by_number(run)
    assert after.loc[renamed, "film_id"] == "tt5555555"
    assert after.loc[gone, "problem"] == corpus.GONE
    same = [number for number in before.index if number not in (gone, renamed)]
    rest = [frame.loc[same].drop(columns="collected_at") for frame in (before, after)]
    assert rest[0].equals(rest[1])
    assert sources.refresh(run)["asked"] == FILMS - 1  # the next one begins anew


def test_a_film_that_a_refresh_asks_for_in_vain_stays_and_is_asked_for_by_the_next(
    run: str, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    before = by_number(run)
    ill, other = (int(number) for number in before.index[before["poster"].notna()][[0, 1]])
    told["changes"] = {number: {"title": "Another"} for number in (ill, other)}
    plain = tmdb.Client._film

    def sometimes(self: tmdb.Client, number: int, pictures: str) -> tmdb.Film:
        found = plain(self, number, pictures)
        return (found[0], None, "poster answers 500") if number == ill else found

    monkeypatch.setattr(tmdb.Client, "_film", sometimes)
    assert sources.refresh(run) == {"asked": 2, "gone": 0, "left": 1}
    assert by_number(run).loc[ill].equals(before.loc[ill])
    assert by_number(run).loc[other, "title"] == "Another"
    monkeypatch.setattr(tmdb.Client, "_film", plain)
    asked_for(told)
    assert sources.refresh(run) == {"asked": 1, "gone": 0, "left": 0}
    assert asked_for(told) == {ill}
    assert by_number(run).loc[ill, "title"] == "Another"


def test_the_command_line_refreshes_a_run_and_refuses_one_of_files(
    run: str, told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    told["changes"] = {700_005: None}
    assert main(["refresh", "--run", run]) == 0
    assert "1 asked for again, 1 gone from TMDB" in capsys.readouterr().out
    (tmp_path / "films.csv").write_text("film_id,title,poster,genres\na,A,a.jpg,Drama\n")
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    sources.collect(f"{run}-csv", source=str(tmp_path / "films.csv"), limit=5)
    assert main(["refresh", "--run", f"{run}-csv"]) == 2
    assert "was not collected from TMDB" in capsys.readouterr().err


def test_tmdbs_terms_are_told_before_anything_is_asked(
    run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*asked: Any, **how: Any) -> None:
        raise SourceError("nobody is asked here")

    monkeypatch.setenv("TMDB_TOKEN", "s3cret")
    monkeypatch.setattr(tmdb.Client, "discover", nobody)
    with pytest.raises(SourceError, match="nobody is asked here"):
        sources.collect(run, source="tmdb", limit=5)
    said = capsys.readouterr().out
    assert tmdb.WORDS in said
    assert "themoviedb.org/api-terms-of-use" in said
    assert "not endorsed, certified" in said
    for path in Path(run).rglob("*"):
        assert path.is_dir() or b"s3cret" not in path.read_bytes()


def test_a_key_is_in_no_file_of_a_collection(
    run: str, drawn: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with stand_in.serve(drawn, token="s3cret-key") as address:
        monkeypatch.setattr(
            tmdb.Client.__init__, "__kwdefaults__", {**DEFAULTS, "address": address}
        )
        monkeypatch.setenv("TMDB_API_KEY", "s3cret-key")
        monkeypatch.delenv("TMDB_TOKEN", raising=False)
        assert len(sources.collect(run, source="tmdb", limit=12)) == 12
    said = capfd.readouterr()
    files = [path for path in Path(run).rglob("*") if path.is_file()]
    assert len(files) > 12
    assert not any(b"s3cret" in path.read_bytes() for path in files)
    assert "s3cret" not in said.out + said.err
    assert corpus.provenance(run)["terms"][:2] == [tmdb.ATTRIBUTION, tmdb.TERMS]


def test_a_key_that_is_refused_half_way_stops_at_once_and_what_came_is_kept(
    run: str, drawn: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, asked = tmdb.Client._film, []

    def revoked(self: tmdb.Client, number: int, pictures: str) -> tmdb.Film:
        asked.append(number)
        self._token = "revoked" if len(asked) > 20 else self._token
        return plain(self, number, pictures)

    monkeypatch.setattr(tmdb.Client, "_film", revoked)
    with pytest.raises(SourceError, match="TMDB refused the key"):
        sources.collect(run, source="tmdb", limit=FILMS)
    assert 0 < len(corpus.journal(run)) < FILMS
    monkeypatch.setattr(tmdb.Client, "_film", plain)
    assert len(sources.collect(run, source="tmdb", limit=FILMS)) == FILMS


def test_data_that_may_no_longer_be_kept_is_told(
    run: str,
    told: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    assert "older than TMDB lets" not in capsys.readouterr().out
    monkeypatch.setattr(tmdb, "MONTHS", -1)
    sources.collect(run, source="tmdb", limit=FILMS)
    assert "older than TMDB lets them be kept: refresh it" in capsys.readouterr().out


def test_imdbs_files_are_taken_from_their_folder(
    run: str, told: dict[str, Any], tmp_path: Path
) -> None:
    head = "\t".join(imdb.COLUMNS[imdb.BASICS])
    line = "tt9000002\tmovie\tX\tX\t0\t1999\t\\N\t90\tWestern"
    (tmp_path / imdb.BASICS).write_bytes(gzip.compress(f"{head}\n{line}\n".encode()))
    catalogue = sources.collect(run, source="tmdb", limit=FILMS, title_basics=str(tmp_path))
    found = catalogue.set_index("film_id").loc["tt9000002"]
    assert (found["imdb_genres"], found["imdb_match"], found["title_type"]) == (
        ["Western"],
        "id",
        "movie",
    )
    assert imdb.TERMS in corpus.provenance(run)["terms"]


def test_a_csv_of_addresses_is_fetched_and_not_fetched_again(
    run: str, drawn: Path, tmp_path: Path
) -> None:
    trouble = stand_in.Trouble()
    good = studio.truth(drawn).query("poster == 'ok'")["poster_path"].head(3).tolist()
    with stand_in.serve(drawn, trouble=trouble) as address:
        lines = [f"f{n},Film {n},Drama,{address}/t/p/w185{path}" for n, path in enumerate(good)]
        lines += [f"gone,Gone,Drama,{address}/t/p/w185/none.jpg", "own,Own,Drama,own.jpg"]
        lines += ["down,Down,Drama,http://127.0.0.1:9/x.jpg"]
        (tmp_path / "own.jpg").write_bytes(jpeg(1))
        table = "\n".join(["film_id,title,genres,poster", *lines])
        (tmp_path / "films.csv").write_text(table)
        fetcher = web.Fetcher(tries=2, backoff=0.01)
        rows = collected(run, corpus.from_csv(tmp_path / "films.csv", fetcher=fetcher))
        problems = rows.set_index("film_id")["problem"].to_dict()
        assert [problems[name] for name in ("f0", "f1", "f2", "own")] == [None] * 4
        assert problems["gone"] == "poster answers 404"
        assert problems["down"] == "poster out of reach"
        before = trouble.asked.total()
        done = rows.loc[rows["poster"].notna(), "film_id"].tolist()
        again = corpus.from_csv(tmp_path / "films.csv", fetcher=fetcher, done=done)
        corpus.collect(run, again)
        assert trouble.asked.total() == before + 1


def test_columns_of_other_names_are_told_by_a_file_beside_the_source(tmp_path: Path) -> None:
    rows = [
        {"id": f"tt000000{n}", "name": f"Film {n}", "tags": "Drama, War", "jpg": jpeg(n)}
        for n in range(3)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "films.parquet")
    with pytest.raises(SourceError, match=r"lacks the columns film_id, title, image.*columns\.yml"):
        list(corpus.from_parquet(tmp_path))
    names = "film_id: id\nimdb_id: id\ntitle: name\ngenres: tags\nimage: jpg\n"
    (tmp_path / "columns.yml").write_text(names)
    found = list(corpus.from_parquet(tmp_path))
    assert [told["film_id"] for told, _, _ in found] == ["tt0000000", "tt0000001", "tt0000002"]
    assert found[1][0]["other_genres"] == ["Drama", "War"]
    assert found[1][0]["imdb_id"] == "tt0000001"
    assert found[2][1] == jpeg(2)
    (tmp_path / "columns.yml").write_text("titel: name\n")
    with pytest.raises(SourceError, match=r"columns\.yml holds lines like"):
        list(corpus.from_parquet(tmp_path))


def test_ids_that_are_numbers_are_read_as_imdb_writes_them(run: str, tmp_path: Path) -> None:
    rows = [{"film_id": n, "imdb_id": n, "title": "A", "genres": ["War"]} for n in (114709, 7)]
    pd.DataFrame([row | {"image": jpeg(1)} for row in rows]).to_parquet(tmp_path / "films.parquet")
    found = sources.collect(run, source=str(tmp_path), limit=5)
    assert found["film_id"].tolist() == ["114709", "7"]
    assert found["imdb_id"].tolist() == ["tt0114709", "tt0000007"]


@pytest.mark.parametrize("rows", ["", ",A,Drama,1.jpg\n"])
def test_a_table_without_films_or_ids_is_told_as_one(tmp_path: Path, rows: str) -> None:
    (tmp_path / "films.csv").write_text(f"film_id,title,genres,poster\n{rows}")
    with pytest.raises(SourceError, match=r"has \d rows, \d of them without a film_id"):
        list(corpus.from_csv(tmp_path / "films.csv"))


def test_genres_that_a_source_has_from_imdb_stay_where_imdbs_list_lacks_the_film(
    run: str, tmp_path: Path
) -> None:
    head = "\t".join(imdb.COLUMNS[imdb.BASICS])
    line = "tt0000001\tmovie\tX\tX\t0\t1999\t\\N\t90\tWestern"
    (tmp_path / imdb.BASICS).write_bytes(gzip.compress(f"{head}\n{line}\n".encode()))
    corpus.collect(run, [(record(n), jpeg(n), None) for n in (1, 2)])
    beside = sources.beside_imdb(run, tmp_path / imdb.BASICS)
    assert beside["imdb_genres"].tolist() == [["Western"], ["Drama"]]
    assert beside["imdb_match"].tolist() == ["id", "none"]


def test_a_film_that_stands_twice_is_an_error_and_not_a_loss(tmp_path: Path) -> None:
    text = "film_id,title,genres,poster\na,One,Drama,1.jpg\na,Two,Drama,2.jpg\n"
    (tmp_path / "films.csv").write_text(text)
    with pytest.raises(SourceError, match="1 values of film_id in several rows, such as 'a'"):
        list(corpus.from_csv(tmp_path / "films.csv"))
    rows = [record(1, image=jpeg(1)), record(1, image=jpeg(2))]
    pd.DataFrame(rows).to_parquet(tmp_path / "films.parquet")
    with pytest.raises(SourceError, match="in several rows"):
        list(corpus.from_parquet(tmp_path / "films.parquet"))


@pytest.mark.parametrize(
    "text", ["", "film_id;title;poster\na;b;c\n", "film_id,title\na,b\n", "\x00\xff\n\n"]
)
def test_a_csv_of_another_form_is_a_clear_error(run: str, tmp_path: Path, text: str) -> None:
    (tmp_path / "films.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"not a readable CSV|lacks the columns"):
        sources.collect(run, source=str(tmp_path / "films.csv"), limit=5)


def test_a_folder_that_cannot_be_written_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"cannot be written: Not a directory"):
        sources.collect(str(tmp_path / "file" / "run"), source="demo", limit=5)


def test_a_full_disk_costs_nothing_that_came_before(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [(record(n), jpeg(n), None) for n in range(5)]
    plain, written = paths.write_bytes, []

    def full(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        plain(path, data)

    monkeypatch.setattr(paths, "write_bytes", full)
    with pytest.raises(SourceError, match=r"No space left on device.*What came so far is kept"):
        corpus.collect(run, films)
    assert len(corpus.journal(run)) == 3
    monkeypatch.setattr(paths, "write_bytes", plain)
    assert collected(run, films)["poster"].notna().all()


def test_two_collections_cannot_write_one_run(run: str) -> None:
    def films() -> Iterator[corpus.Triple]:
        yield record(1), jpeg(1), None
        with pytest.raises(SourceError, match="Another collection is at work"):
            corpus.collect(run, [(record(2), jpeg(2), None)])

    assert len(collected(run, films())) == 1


def test_nothing_is_collected_while_a_refresh_is_at_work(run: str, told: dict[str, Any]) -> None:
    sources.collect(run, source="tmdb", limit=FILMS)
    before = (Path(run) / "collection.jsonl").stat().st_ino
    with (
        contextlib.closing(corpus.Notes(Path(run) / sources.ANSWERS)),
        pytest.raises(SourceError, match="Another collection is at work"),
    ):
        sources.collect(run, source="tmdb", limit=FILMS)
    assert (Path(run) / "collection.jsonl").stat().st_ino == before


@pytest.mark.parametrize("order", [(7, 9), (9, 7)])
def test_of_two_films_with_one_imdb_id_the_lower_number_has_it(
    run: str, order: tuple[int, int]
) -> None:
    films = [(record(1, tmdb_id=number), jpeg(number), None) for number in order]
    corpus.collect(run, films[:1])
    corpus.collect(run, films)
    rows = collected(run, films[::-1]).set_index("tmdb_id")
    assert rows["film_id"].to_dict() == {7: "tt0000001", 9: "tmdb-9"}
    assert rows["problem"].to_dict() == {7: None, 9: corpus.TWICE}
    assert (Path(run) / rows.loc[7, "poster"]).read_bytes() == jpeg(7)


def test_one_file_for_films_of_three_names_is_no_poster_and_for_two_it_is(run: str) -> None:
    films = [(record(n), jpeg(1), None) for n in range(3)]
    films += [(record(n), jpeg(2), None) for n in range(3, 5)]
    films += [(record(n, franchise="Saga"), jpeg(3), None) for n in range(5, 9)]
    corpus.collect(run, films)
    catalogue = corpus.finish(run, {"source": "x"})
    assert catalogue["problem"].tolist() == ["placeholder artwork"] * 3 + [None] * 6
    assert catalogue["poster"].notna().tolist() == [False] * 3 + [True] * 6
    told = corpus.provenance(run)
    assert told["dropped"] == {"placeholder artwork": 3}
    assert told["with_another_films_file"] == 6
    assert told["found"] == told["kept"] + sum(told["dropped"].values())


def test_what_imdb_adds_beside_the_genres_changes_no_fingerprint(run: str) -> None:
    corpus.collect(run, [(record(1), jpeg(1), None)])

    def prints(**beside: Any) -> str:
        told = {"imdb_genres": ["Drama"], **dict.fromkeys(corpus.ASIDE), **beside}
        table = pd.DataFrame([told], index=["tt0000001"], dtype=object)
        corpus.finish(run, {"source": "x"}, beside=table)
        return paths.fingerprint(run)

    plain = prints()
    assert prints(title_type="movie", imdb_votes=7, imdb_match="id") == plain
    assert corpus.load(run).loc[0, "imdb_votes"] == 7
    assert prints(imdb_genres=["War"]) != plain
