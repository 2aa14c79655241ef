"""The client and the stand-in, held against TMDB's own description of its interface."""

import json
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
import requests
from urllib3 import Retry

from postergenre import paths, sources, tmdb
from postergenre.demo import stand_in, studio
from postergenre.errors import SourceError

CONTRACT = json.loads((Path(__file__).parent / "data" / "tmdb-openapi.json").read_text())
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


def valid(path: str, status: int, body: Any) -> None:
    told = CONTRACT["paths"][path]["get"]["responses"][str(status)]
    schema = told["content"]["application/json"]["schema"] | {"components": CONTRACT["components"]}
    jsonschema.validate(body, schema)


def answer(address: str, path: str, **asked: Any) -> requests.Response:
    bearer = {"Authorization": f"Bearer {asked.pop('token', 'demo')}"}
    return requests.get(address + path, params=asked, headers=bearer, timeout=10)


def test_every_answer_of_the_stand_in_keeps_the_contract(address: str) -> None:
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
        valid(path_of(address + path), 200, got.json())
    for path in ("/3/configuration", "/3/discover/movie"):
        refused = answer(address, path, token="wrong")
        assert (refused.status_code, refused.json()["status_code"]) == (401, 7)
        valid(path, 401, refused.json())
    gone = answer(address, "/3/movie/1")
    assert (gone.status_code, gone.json()["status_code"]) == (404, 34)
    valid("/3/movie/{movie_id}", 404, gone.json())
    beyond = answer(address, "/3/discover/movie", page=501)
    assert (beyond.status_code, beyond.json()["status_code"]) == (400, 22)


def test_every_request_of_the_client_keeps_the_contract(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    plain = tmdb.Client._fetch

    def watched(self: tmdb.Client, url: str, **how: Any) -> requests.Response:
        if "/t/p/" not in url:
            sent.append((path_of(url), how["params"]))
        return plain(self, url, **how)

    monkeypatch.setattr(tmdb.Client, "_fetch", watched)
    asked = client(address)
    asked.genres()
    list(asked.films(**YEARS, limit=5))
    assert {path for path, _ in sent} == {
        "/3/configuration",
        "/3/genre/movie/list",
        "/3/discover/movie",
        "/3/movie/{movie_id}",
    }
    for path, parameters in sent:
        known = {part["name"] for part in CONTRACT["paths"][path]["get"].get("parameters", [])}
        assert set(parameters) <= known


def test_the_trimmed_contract_is_the_shared_one() -> None:
    shared = paths.project().parent / "shared" / "tmdb" / "openapi-excerpt.json"
    if not shared.exists():
        pytest.skip("the whole interface description is not beside the project")
    whole = json.loads(shared.read_text())
    idle = ("example", "examples", "description", "summary")

    def same(part: Any, whole: Any) -> bool:
        if isinstance(part, dict):
            return all(same(value, whole[key]) for key, value in part.items() if key not in idle)
        if isinstance(part, list):
            return all(same(a, b) for a, b in zip(part, whole, strict=True))
        return bool(part == whole)

    assert same(CONTRACT["paths"], whole["paths"])
    assert same(CONTRACT["components"]["schemas"], whole["components"]["schemas"])


def test_every_film_is_found_once_in_a_steady_order(address: str, drawn: Path) -> None:
    truth = studio.truth(drawn).set_index("tmdb_id")
    found = list(client(address).films(**YEARS))
    numbers = [told["tmdb_id"] for told, _, _ in found]
    assert sorted(numbers) == sorted(truth.index)
    again = [told["tmdb_id"] for told, _, _ in client(address, workers=2).films(**YEARS)]
    assert again == numbers
    for told, image, problem in found:
        film = truth.loc[told["tmdb_id"]]
        assert told["title"] == film["title"]
        assert told["tmdb_genres"] == (list(film["tmdb_genres"]) or None)
        assert told["franchise"] == film["franchise"]
        assert (image is None) == (film["poster"] == "missing") == (problem == "no poster")
        assert told["film_id"] == film["film_id"]


def test_a_span_with_too_many_films_is_cut(drawn: Path) -> None:
    with stand_in.serve(drawn, pages=2) as address:
        whole = {film["id"] for film in client(address, pages=2).discover(**YEARS)}
    assert len(whole) == 90


def test_years_and_votes_narrow_the_search(address: str, drawn: Path) -> None:
    truth = studio.truth(drawn)
    found = {f["id"] for f in client(address).discover(first_year=1990, last_year=1999)}
    inside = truth["premiere"].str[:4].astype(int).between(1990, 1999)
    assert found == set(truth.loc[inside, "tmdb_id"])
    loud = {f["id"] for f in client(address).discover(**YEARS, minimum_votes=200)}
    assert loud == set(truth.loc[truth["vote_count"] >= 200, "tmdb_id"])


def test_films_that_are_not_wanted_again_are_not_asked_for(address: str) -> None:
    found = [told["tmdb_id"] for told, _, _ in client(address).films(**YEARS, limit=10)]
    assert len(found) == 10
    rest = client(address).films(**YEARS, limit=10, skip=frozenset(found))
    assert not set(found) & {told["tmdb_id"] for told, _, _ in rest}


def test_a_refused_key_stops_at_once_and_is_in_no_message(address: str) -> None:
    for keys in ({"token": "s3cret-token"}, {"token": None, "api_key": "s3cret-key"}):
        asked = client(address, **keys)
        with pytest.raises(SourceError, match="TMDB refused the key") as error:
            asked.configuration()
        assert "themoviedb.org" in str(error.value)
        told = "".join(traceback.format_exception(error.value))
        assert "s3cret" not in f"{told} {error.value!r} {asked!r}"


def test_a_server_out_of_reach_is_told_without_the_key() -> None:
    asked = client("http://127.0.0.1:9", token=None, api_key="s3cret-key")
    adapter = asked._session.get_adapter(f"{asked.address}/3/")
    adapter.max_retries = Retry(total=0)  # type: ignore[attr-defined]
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


def test_a_rate_limit_is_waited_out(drawn: Path) -> None:
    with stand_in.serve(drawn, requests_per_second=8) as address:
        found = list(client(address, workers=4).films(**YEARS, limit=12))
    assert len(found) == 12


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"first_year": 2000, "last_year": 1990}, "turn them round"),
        ({**YEARS, "minimum_votes": -1}, "counted from 0"),
        ({**YEARS, "poster_size": "w5"}, "Poster sizes are"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    address: str, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        list(client(address).films(**asked))


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
