"""TMDB's interface: which films there are, what it says of each, and their posters."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests_ratelimiter import LimiterAdapter
from urllib3.util import Retry

from postergenre.errors import SourceError

ADDRESS = "https://api.themoviedb.org"
ATTRIBUTION = (
    "This product uses TMDB and the TMDB APIs but is not endorsed, certified, or otherwise "
    "approved by TMDB."
)
TERMS = (
    "TMDB: cached data may be kept for six months at most; commercial use, and by TMDB's own words "
    "the training of AI or ML systems on its data, needs a written agreement with TMDB."
)
SIZES = ("w92", "w154", "w185", "w342", "w500", "w780", "original")
PAGES = 500  # of 20 films: the most that one query shows
FILMS_A_PAGE = 20
PATIENCE = (10, 60)  # seconds to connect, and between two bytes

Film = tuple[dict[str, Any], bytes | None, str | None]


def credentials() -> dict[str, str]:
    """Return the token or key from TMDB_TOKEN or TMDB_API_KEY; say where keys are had if neither is set."""
    for variable, name in (("TMDB_TOKEN", "token"), ("TMDB_API_KEY", "api_key")):
        if value := os.environ.get(variable, "").strip():
            return {name: value}
    raise SourceError(
        "TMDB wants a key, and neither TMDB_TOKEN nor TMDB_API_KEY is set in the environment. "
        "Keys are free for non-commercial use, under Settings > API of an account at "
        'themoviedb.org. Without one, the study runs on its own posters with source "demo".'
    )


class Client:
    """Ask TMDB, politely: no more than so many requests a second, in parallel, with retries."""

    def __init__(
        self,
        *,
        address: str = ADDRESS,
        token: str | None = None,
        api_key: str | None = None,
        requests_per_second: float | None = 40.0,
        workers: int = 8,
        pages: int = PAGES,
    ) -> None:
        if not (token or api_key):
            raise ValueError("TMDB needs a token or an api_key; see `tmdb.credentials()`.")
        self.address = address.rstrip("/")
        self.workers = workers
        self.pages = pages
        self._api_key = api_key
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        retry = Retry(
            total=6,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET",),
            backoff_factor=0.4,
            backoff_jitter=0.4,
            respect_retry_after_header=True,
            raise_on_status=False,
        )
        plain = HTTPAdapter(max_retries=retry, pool_maxsize=workers, pool_connections=4)
        limited = plain
        if requests_per_second is not None:
            # One bucket for all threads; a burst may not exceed what a second allows.
            limited = LimiterAdapter(
                per_second=requests_per_second,
                max_retries=retry,
                pool_maxsize=workers,
                per_host=False,
                limit_statuses=(),
            )
        self._session.mount("http://", plain)
        self._session.mount("https://", plain)
        self._session.mount(f"{self.address}/3/", limited)
        self._token = token

    def __repr__(self) -> str:
        return f"Client(address={self.address!r})"

    def _get(self, path: str, **parameters: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if not self._token:
            parameters["api_key"] = self._api_key
        return self._fetch(f"{self.address}{path}", params=parameters, headers=headers)

    def _fetch(self, url: str, **how: Any) -> requests.Response:
        try:
            return self._session.get(url, timeout=PATIENCE, **how)
        except requests.RequestException as error:
            # The exception's text holds the whole address, and with it the key: only its kind is told.
            raise SourceError(
                f"{self.address} could not be reached ({type(error).__name__}). What came so far "
                "is kept: look at the connection, then call again."
            ) from None

    def _json(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = self._get(path, **parameters)
        if answer.status_code == 401:
            raise SourceError(
                "TMDB refused the key. Look at TMDB_TOKEN or TMDB_API_KEY; keys are had under "
                "Settings > API of an account at themoviedb.org."
            )
        if answer.status_code != 200:
            raise SourceError(f"TMDB answered {answer.status_code} to {path}: {_said(answer)}")
        try:
            value = answer.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise SourceError(f"TMDB answered {path} with something that is no JSON object.")
        return value

    def configuration(self) -> dict[str, Any]:
        """Return where TMDB keeps its pictures, and in which sizes."""
        return self._json("/3/configuration")

    def genres(self) -> dict[int, str]:
        """Return TMDB's movie genres by number."""
        listed = self._json("/3/genre/movie/list", language="en")["genres"]
        return {genre["id"]: genre["name"] for genre in listed}

    def discover(
        self, *, first_year: int, last_year: int, minimum_votes: int = 0
    ) -> Iterator[dict[str, Any]]:
        """Yield films by date of release, each once; a span with too many films is cut in halves."""
        if first_year > last_year:
            raise ValueError(f"The years run from {first_year} to {last_year}: turn them round.")
        if minimum_votes < 0:
            raise ValueError(f"Votes are counted from 0; {minimum_votes} came.")
        seen: set[int] = set()
        spans = deque([(date(first_year, 1, 1), date(last_year, 12, 31))])
        while spans:
            first, last = spans.popleft()
            asked = {
                "primary_release_date.gte": first.isoformat(),
                "primary_release_date.lte": last.isoformat(),
                "vote_count.gte": minimum_votes,
                "include_adult": "false",
                "include_video": "false",
                "sort_by": "primary_release_date.asc",
            }
            page = self._json("/3/discover/movie", page=1, **asked)
            if page["total_results"] > self.pages * FILMS_A_PAGE and first < last:
                middle = first + (last - first) // 2
                spans.extendleft([(middle + timedelta(days=1), last), (first, middle)])
                continue
            number, total = 1, min(page["total_pages"], self.pages)
            while True:
                for film in page["results"]:
                    if film["id"] not in seen:
                        seen.add(film["id"])
                        yield film
                number += 1
                if number > total:
                    break
                page = self._json("/3/discover/movie", page=number, **asked)

    def films(
        self,
        *,
        first_year: int,
        last_year: int,
        minimum_votes: int = 0,
        limit: int | None = None,
        poster_size: str = "w185",
        skip: frozenset[int] = frozenset(),
    ) -> Iterator[Film]:
        """Yield `(record, image, problem)` of films in the order of discovery, fetched in parallel.

        `skip` holds TMDB ids that are not wanted again; `limit` is the number of films at most.
        """
        if poster_size not in SIZES:
            raise ValueError(f"Poster sizes are {', '.join(SIZES)}; {poster_size!r} came.")
        if limit is not None and limit <= 0:
            return
        pictures = self.configuration()["images"]["secure_base_url"] + poster_size
        found = self.discover(
            first_year=first_year, last_year=last_year, minimum_votes=minimum_votes
        )
        wanted = (film["id"] for film in found if film["id"] not in skip)
        with ThreadPoolExecutor(self.workers) as pool:
            yield from _in_order(
                pool, lambda number: self._film(number, pictures), wanted, self.workers * 3, limit
            )

    def _film(self, number: int, pictures: str) -> Film:
        answer = self._get(f"/3/movie/{number}", append_to_response="external_ids")
        if answer.status_code == 404:
            return _record({"id": number}), None, "gone from TMDB"
        if answer.status_code != 200:
            raise SourceError(f"TMDB answered {answer.status_code} to film {number}.")
        details = answer.json()
        record = _record(details)
        if not details.get("poster_path"):
            return record, None, "no poster"
        poster = self._fetch(pictures + details["poster_path"])
        if poster.status_code != 200:
            return record, None, f"poster answers {poster.status_code}"
        length = poster.headers.get("Content-Length")
        if length is not None and int(length) != len(poster.content):
            return record, None, "poster cut off"
        return record, poster.content, None


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[int], Film],
    numbers: Iterator[int],
    ahead: int,
    limit: int | None,
) -> Iterator[Film]:
    waiting: deque[Future[Film]] = deque()
    sent = 0
    try:
        while True:
            while len(waiting) < ahead and (limit is None or sent < limit):
                number = next(numbers, None)
                if number is None:
                    limit = sent
                    break
                waiting.append(pool.submit(work, number))
                sent += 1
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for job in waiting:
            job.cancel()


def _record(details: dict[str, Any]) -> dict[str, Any]:
    outside = details.get("external_ids") or {}
    imdb_id = details.get("imdb_id") or outside.get("imdb_id") or None
    year = (details.get("release_date") or "")[:4]
    return {
        "film_id": imdb_id or f"tmdb-{details['id']}",
        "tmdb_id": details["id"],
        "imdb_id": imdb_id,
        "title": details.get("title") or details.get("original_title"),
        "year": int(year) if year.isdigit() else None,
        "language": details.get("original_language"),
        "tmdb_genres": [genre["name"] for genre in details.get("genres") or []] or None,
        "franchise": (details.get("belongs_to_collection") or {}).get("name"),
    }


def _said(answer: requests.Response) -> str:
    try:
        return str(answer.json().get("status_message", ""))
    except (ValueError, AttributeError):
        return "no JSON came"
