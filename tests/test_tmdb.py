"""The client and the stand-in, held against TMDB's own description of its interface."""

import json
import logging
import re
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
import requests

from postergenre import genres, paths, sources, tmdb
from postergenre.demo import stand_in, studio
from postergenre.errors import SourceError

CONTRACT = json.loads((Path(__file__).parent / "data" / "tmdb-openapi.json").read_text())
WHOLE = paths.project().parent / "shared" / "tmdb" / "openapi-excerpt.json"
TEMPLATES = {
    "/3/movie/{movie_id}/external_ids": r"/3/movie/\d+/external_ids",
    "/3/movie/{movie_id}": r"/3/movie/\d+",
}
YEARS: dict[str, Any] = {"first_year": 1950, "last_year": 2025}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studio.draw_all(tmp_path_factory.mktemp("studio"), films=90)


@pytest.fixture(scope="module")
def address(drawn: Path) -> Iterator[str]:
    with stand_in.serve(drawn) as found:
        yield found


def client(address: str, **how: Any) -> tmdb.Client:
    return tmdb.Client(**{"address": address, "token": "demo", "requests_per_second": None} | how)


def path_of(url: str) -> str:
    plain = "/" + url.split("/", 3)[3].split("?")[0]
    return next((name for name, form in TEMPLATES.items() if re.fullmatch(form, plain)), plain)


@pytest.fixture(params=["trimmed", "whole"])
def contract(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return TMDB's description of its interface: our excerpt of it, and the whole where it is."""
    if request.param == "trimmed":
        return dict(CONTRACT)
    if not WHOLE.exists():
        pytest.skip("the whole interface description is not beside the project")
    return dict(json.loads(WHOLE.read_text()))


def valid(contract: dict[str, Any], path: str, status: int, body: Any) -> None:
    told = contract["paths"][path]["get"]["responses"][str(status)]
    schema = told["content"]["application/json"]["schema"] | {"components": contract["components"]}
    jsonschema.validate(body, schema)


def allowed(contract: dict[str, Any], path: str, asked: dict[str, Any]) -> None:
    known = {
        part["name"]: part["schema"]
        for part in contract["paths"][path]["get"].get("parameters", [])
    }
    for name, value in asked.items():
        plain = {"true": True, "false": False}.get(value, value)
        jsonschema.validate(plain, known[name], format_checker=jsonschema.FormatChecker())


def answer(address: str, path: str, **asked: Any) -> requests.Response:
    bearer = {"Authorization": f"Bearer {asked.pop('token', 'demo')}"}
    return requests.get(address + path, params=asked, headers=bearer, timeout=10)


def test_every_answer_of_the_stand_in_keeps_the_contract(
    address: str, drawn: Path, contract: dict[str, Any]
) -> None:
    number = answer(address, "/3/discover/movie").json()["results"][0]["id"]
    questions: dict[str, dict[str, Any]] = {
        "/3/configuration": {},
        "/3/genre/movie/list": {},
        "/3/discover/movie": {"page": 2, "sort_by": "primary_release_date.asc"},
        f"/3/movie/{number}": {"append_to_response": "external_ids"},
        f"/3/movie/{number}/external_ids": {},
        "/3/authentication": {},
    }
    for path, asked in questions.items():
        got = answer(address, path, **asked)
        assert got.status_code == 200
        valid(contract, path_of(address + path), 200, got.json())
    for path in ("/3/configuration", "/3/discover/movie"):
        refused = answer(address, path, token="wrong")
        assert (refused.status_code, refused.json()["status_code"]) == (401, 7)
        valid(contract, path, 401, refused.json())
    with stand_in.serve(drawn, requests_per_second=1) as hurried:
        answer(hurried, "/3/configuration")
        many = answer(hurried, "/3/configuration")
    assert (many.status_code, many.json()["status_code"]) == (429, 25)
    valid(contract, "/3/configuration", 429, many.json())
    gone = answer(address, "/3/movie/1")
    assert (gone.status_code, gone.json()["status_code"]) == (404, 34)
    valid(contract, "/3/movie/{movie_id}", 404, gone.json())
    beyond = answer(address, "/3/discover/movie", page=501)
    assert (beyond.status_code, beyond.json()["status_code"]) == (400, 22)


def test_every_request_of_the_client_and_its_answer_keep_the_contract(
    drawn: Path, contract: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: set[str] = set()
    names: set[str] = set()
    plain = tmdb.Client._fetch

    def watched(self: tmdb.Client, url: str, **how: Any) -> requests.Response:
        answer = plain(self, url, **how)
        if "/t/p/" not in url:
            sent.add(path_of(url))
            names.update(how["params"])
            allowed(contract, path_of(url), how["params"])
            valid(contract, path_of(url), answer.status_code, answer.json())
        return answer

    monkeypatch.setattr(tmdb.Client, "_fetch", watched)
    with stand_in.serve(drawn, pages=1, trouble=one_day()) as address:
        asked = client(address, pages=1)
        asked.genres()
        numbers = list(asked.discover(**YEARS, minimum_votes=3, languages=["en", "fr"]).films)
        list(asked.films([*numbers[:5], 1]))
    assert sent == {
        "/3/configuration",
        "/3/genre/movie/list",
        "/3/discover/movie",
        "/3/movie/{movie_id}",
    }
    assert {"with_original_language", "with_genres", "without_genres", "page"} <= names


def test_the_trimmed_contract_is_the_shared_one() -> None:
    if not WHOLE.exists():
        pytest.skip("the whole interface description is not beside the project")
    whole = json.loads(WHOLE.read_text())
    idle = ("example", "examples", "description", "summary")

    def same(part: Any, whole: Any) -> bool:
        if isinstance(part, dict):
            return all(same(value, whole[key]) for key, value in part.items() if key not in idle)
        if isinstance(part, list):
            return all(same(a, b) for a, b in zip(part, whole, strict=True))
        return bool(part == whole)

    assert same(CONTRACT["paths"], whole["paths"])
    assert same(CONTRACT["components"]["schemas"], whole["components"]["schemas"])


def test_tmdbs_own_words_are_quoted_as_they_stand_in_its_description_and_on_the_data_card() -> None:
    assert tmdb.WORDS in (paths.project() / "book" / "data-card.md").read_text()
    if not WHOLE.exists():
        pytest.skip("the whole interface description is not beside the project")
    assert tmdb.WORDS in json.loads(WHOLE.read_text())["info"]["description"]


def test_every_film_is_found_once_in_a_steady_order(address: str, drawn: Path) -> None:
    truth = studio.truth(drawn).set_index("tmdb_id")
    numbers = list(client(address).discover(**YEARS).films)
    assert sorted(numbers) == sorted(truth.index)
    assert list(client(address, workers=2).discover(**YEARS).films) == numbers
    years = truth.loc[numbers[:45], "premiere"].str[:4].astype(int)
    assert abs(years.mean() - truth["premiere"].str[:4].astype(int).mean()) < 8  # not the oldest
    found = list(client(address).films(numbers))
    assert {told["tmdb_id"] for told, _, _ in found} == set(numbers)
    for told, image, problem in found:
        film = truth.loc[told["tmdb_id"]]
        assert told["title"] == film["title"]
        assert told["tmdb_genres"] == (list(film["tmdb_genres"]) or None)
        assert told["franchise"] == film["franchise"]
        assert (image is None) == (film["poster"] == "missing") == (problem == "no poster")
        assert told["film_id"] == film["film_id"]


def test_a_span_with_too_many_films_is_cut(drawn: Path) -> None:
    with stand_in.serve(drawn, pages=2) as address:
        found = client(address, pages=2).discover(**YEARS)
    assert (len(found.films), found.unseen) == (90, 0)


def one_day() -> stand_in.Trouble:
    """Return a trouble that is none, with all films released on one day."""
    return stand_in.Trouble(one_day="1999-12-31")


def test_a_single_day_with_too_many_films_is_cut_by_genre(drawn: Path) -> None:
    with stand_in.serve(drawn, pages=1, trouble=one_day()) as address:
        found = client(address, pages=1).discover(**YEARS)
    assert (len(found.films), found.unseen) == (90, 0)


def test_films_that_no_cut_can_reach_are_counted_and_not_lost_in_silence(
    drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genres, "TMDB", {})
    with stand_in.serve(drawn, pages=1, trouble=one_day()) as address:
        found = client(address, pages=1).discover(**YEARS)
    assert (len(found.films), found.unseen) == (20, 70)


def test_pages_that_came_before_are_not_asked_for_again(drawn: Path) -> None:
    seen: dict[str, Any] = {}
    trouble = stand_in.Trouble()
    with stand_in.serve(drawn, trouble=trouble) as address:
        first = client(address).discover(**YEARS, seen=seen)
        asked = trouble.asked.total()
        assert client(address).discover(**YEARS, seen=seen) == first
    assert trouble.asked.total() == asked == len(seen)


def test_years_votes_and_languages_narrow_the_search(address: str, drawn: Path) -> None:
    truth = studio.truth(drawn)
    found = set(client(address).discover(first_year=1990, last_year=1999).films)
    inside = truth["premiere"].str[:4].astype(int).between(1990, 1999)
    assert found == set(truth.loc[inside, "tmdb_id"])
    loud = set(client(address).discover(**YEARS, minimum_votes=200).films)
    assert loud == set(truth.loc[truth["vote_count"] >= 200, "tmdb_id"])
    spoken = set(client(address).discover(**YEARS, languages=["fr", "ja"]).films)
    assert spoken == set(truth.loc[truth["original_language"].isin(["fr", "ja"]), "tmdb_id"])


def test_a_refused_key_stops_at_once_and_is_in_no_message(address: str) -> None:
    for keys in ({"token": "s3cret-token"}, {"token": None, "api_key": "s3cret-key"}):
        asked = client(address, **keys)
        with pytest.raises(SourceError, match="TMDB refused the key") as error:
            asked.configuration()
        assert "themoviedb.org" in str(error.value)
        told = "".join(traceback.format_exception(error.value))
        assert "s3cret" not in f"{told} {error.value!r} {asked!r}"


def test_a_server_out_of_reach_is_told_without_the_key() -> None:
    asked = client("http://127.0.0.1:9", token=None, api_key="s3cret-key", tries=2, backoff=0.01)
    with pytest.raises(SourceError, match="could not be reached") as error:
        asked.configuration()
    assert "s3cret" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_key_is_taken_from_the_environment_and_its_lack_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TMDB_TOKEN", raising=False)
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    with pytest.raises(SourceError, match=r"neither TMDB_TOKEN nor TMDB_API_KEY .*\n?.*themoviedb"):
        tmdb.credentials()
    monkeypatch.setenv("TMDB_API_KEY", "k")
    assert tmdb.credentials() == {"api_key": "k"}
    monkeypatch.setenv("TMDB_TOKEN", "t")
    assert tmdb.credentials() == {"token": "t"}


def test_a_key_is_in_no_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client(address, token=None, api_key="demo").configuration()
    assert "/3/configuration?api_key=…" in caplog.text
    assert "api_key=demo" not in caplog.text


def test_a_rate_limit_is_waited_out(drawn: Path) -> None:
    with stand_in.serve(drawn, requests_per_second=8) as address:
        asked = client(address, workers=4)
        began = time.monotonic()
        found = list(asked.films(list(asked.discover(**YEARS).films)[:12]))
    assert len(found) == 12
    assert all(problem in (None, "no poster") for _, _, problem in found)
    assert time.monotonic() - began > 1  # as the refusals said


def test_what_cannot_succeed_is_not_asked_for_again(drawn: Path) -> None:
    trouble = stand_in.Trouble(vanished=frozenset({700_003}))
    with stand_in.serve(drawn, trouble=trouble) as address:
        found = list(client(address).films([700_003]))
    assert [problem for _, _, problem in found] == ["gone from TMDB"]
    assert max(trouble.asked.values()) == 1


def test_a_film_that_never_answers_is_left_for_later_and_a_dead_server_stops_the_work(
    drawn: Path,
) -> None:
    trouble = stand_in.Trouble(rate=1, most=99, kinds=("500",))
    with stand_in.serve(drawn, trouble=trouble) as address:
        asked = client(address, tries=2, backoff=0.01, workers=2)
        told = asked._film(700_003, "")
        assert told[2] == "TMDB answers 500"
        assert tmdb.passing(told[2])
        with pytest.raises(SourceError, match=r"answered 500 to /3/configuration"):
            list(asked.films([700_003]))
        assert max(trouble.asked.values()) == 2
        trouble.kinds = ()
        pictures = asked.configuration()["images"]["secure_base_url"]
        trouble.kinds = ("500",)
        asked.configuration = lambda: {"images": {"secure_base_url": pictures}}  # type: ignore[method-assign]
        with pytest.raises(SourceError, match="TMDB is not at work: 3 films in a row"):
            list(asked.films(range(700_000, 700_020)))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"first_year": 2000, "last_year": 1990}, "turn them round"),
        ({"first_year": 1, "last_year": 1990}, "between 1800 and 2200"),
        ({**YEARS, "minimum_votes": -1}, "counted from 0"),
        ({**YEARS, "languages": ["en", "klingon"]}, "ISO 639-1.*klingon came"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    run: str, address: str, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        client(address).discover(**asked)
    with pytest.raises(ValueError, match=reason):
        sources.collect(run, source="demo", limit=5, **asked)
    assert not paths.run_directory(run).exists()


def test_an_unknown_poster_size_says_which_there_are(address: str) -> None:
    with pytest.raises(ValueError, match="Poster sizes are w92"):
        list(client(address).films([700_003], poster_size="w5"))


def test_the_demo_is_collected_through_the_very_same_client(run: str) -> None:
    catalogue = sources.collect(run, source="demo", limit=40)
    assert len(catalogue) == 40
    assert catalogue["imdb_genres"].notna().sum() > 30
    assert catalogue["poster"].notna().sum() >= 36
    told = paths.read_json(paths.run_directory(run) / "provenance.json")
    assert told["may_show_posters"] is True
    again = sources.collect(run, source="demo", limit=40)
    pd.testing.assert_frame_equal(catalogue, again)


def test_an_unknown_source_says_which_there_are(run: str) -> None:
    with pytest.raises(SourceError, match='Expected a source: "demo", "tmdb"'):
        sources.collect(run, source="netflix", limit=5)
    with pytest.raises(ValueError, match="at least 1"):
        sources.collect(run, source="demo", limit=0)
