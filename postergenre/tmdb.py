"""TMDB's interface: which films there are, what it says of each, and their posters."""

import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import requests

from postergenre import genres
from postergenre.errors import SourceError
from postergenre.web import Fetcher, as_they_come, instead

ADDRESS = "https://api.themoviedb.org"
ATTRIBUTION = (
    "This product uses TMDB and the TMDB APIs but is not endorsed, certified, or otherwise "
    "approved by TMDB."
)
# As it stands in the public OpenAPI description of its interface, validated on 2026-05-30.
WORDS = (
    "Commercial use (charging users, monetised products, training AI/ML systems on TMDB data) "
    "requires a separate written agreement with TMDB."
)
TERMS = (
    f'From the description of TMDB\'s interface: "{WORDS}" This study trains such systems. What binds '
    "you are the terms themselves, https://www.themoviedb.org/api-terms-of-use: read them, and ask "
    "TMDB where in doubt. Cached data may be kept for six months at most. Posters are the studios' "
    "copyright, wherever a copy comes from."
)
MONTHS = 6  # that cached data may be kept
SIZES = ("w92", "w154", "w185", "w342", "w500", "w780", "original")
PAGES = 500  # of 20 films: the most that one query shows
FILMS_A_PAGE = 20
WALKS = 4  # over a slice whose pages do not add up, because films come and go between them
# ISO 639-1, and TMDB's own "cn" (Cantonese) and "xx" (no language).
LANGUAGES = """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch cn co cr cs cu cv cy
    da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy
    hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li
    ln lo lt lu lv mg mh mi mk ml mn mo mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os
    pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te
    tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh xx yi yo za zh zu
"""

Film = tuple[dict[str, Any], bytes | None, str | None]
Asked = dict[str, Any]


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


def check(
    *, first_year: int, last_year: int, minimum_votes: int = 0, languages: Sequence[str] = ()
) -> None:
    """Raise `ValueError` when a query makes no sense, before anybody is asked."""
    if first_year > last_year:
        raise ValueError(f"The years run from {first_year} to {last_year}: turn them round.")
    if not 1800 <= first_year <= last_year <= 2200:
        raise ValueError(
            f"Years of film are between 1800 and 2200; {first_year} to {last_year} came."
        )
    if minimum_votes < 0:
        raise ValueError(f"Votes are counted from 0; {minimum_votes} came.")
    if unknown := [str(name) for name in languages if name not in LANGUAGES.split()]:
        raise ValueError(
            "Languages are two small letters as in ISO 639-1, such as en or fr; "
            f"{', '.join(unknown)} came."
        )


@dataclass
class Found:
    """What a search has found: films in a steady order, and how many TMDB counts but never showed."""

    films: dict[int, str] = field(
        default_factory=dict
    )  # TMDB's number: a hash of what the list says
    unseen: int = 0


class Client:
    """Ask TMDB, politely: no more than so many requests a second, in parallel, with retries."""

    def __init__(
        self,
        *,
        address: str = ADDRESS,
        token: str | None = None,
        api_key: str | None = None,
        requests_per_second: float | None = 40.0,
        workers: int = 16,
        pages: int = PAGES,
        **how: Any,
    ) -> None:
        if not (token or api_key):
            raise ValueError("TMDB needs a token or an api_key; see `tmdb.credentials()`.")
        self.address = address.rstrip("/")
        self.workers = workers
        self.pages = pages
        self._token = token
        self._api_key = api_key
        self._web = Fetcher(
            limited=f"{self.address}/3/",
            requests_per_second=requests_per_second,
            workers=workers,
            **how,
        )

    def __repr__(self) -> str:
        return f"Client(address={self.address!r})"

    def _get(self, path: str, parts: Iterable[str] = (), **asked: Any) -> requests.Response:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        else:
            asked["api_key"] = self._api_key
        answer = self._fetch(
            f"{self.address}{path}", params=asked, headers=headers, whole=_has(parts)
        )
        if answer.status_code == 401:
            raise SourceError(
                "TMDB refused the key. Look at TMDB_TOKEN or TMDB_API_KEY; keys are had under "
                "Settings > API of an account at themoviedb.org."
            )
        return answer

    def _fetch(self, url: str, **how: Any) -> requests.Response:
        return self._web.get(url, **how)

    def _json(self, path: str, parts: Iterable[str], **asked: Any) -> dict[str, Any]:
        answer = self._get(path, parts, **asked)
        if answer.status_code != 200:
            raise SourceError(f"TMDB answered {answer.status_code} to {path}: {_said(answer)}")
        if not _has(parts)(answer):
            raise SourceError(
                f"TMDB answered {path} with something that is not JSON with {', '.join(parts)}."
            )
        return dict(answer.json())

    def configuration(self) -> dict[str, Any]:
        """Return where TMDB keeps its pictures, and in which sizes."""
        return self._json("/3/configuration", ["images"])

    def genres(self) -> dict[int, str]:
        """Return TMDB's movie genres by number."""
        listed = self._json("/3/genre/movie/list", ["genres"], language="en")["genres"]
        return {genre["id"]: genre["name"] for genre in listed}

    def discover(
        self,
        *,
        first_year: int,
        last_year: int,
        minimum_votes: int = 0,
        languages: Sequence[str] = (),
        seen: MutableMapping[str, Any] | None = None,
        progress: Callable[[int], None] = lambda films: None,
    ) -> Found:
        """Find all films of a query; a slice of days with more than TMDB shows is cut until it fits.

        A single day that is still too long is cut by genre: the films with one, and those without.
        `seen` holds the pages that came before, and takes in those that come now.
        """
        check(
            first_year=first_year,
            last_year=last_year,
            minimum_votes=minimum_votes,
            languages=languages,
        )
        seen = {} if seen is None else seen
        found = Found()
        days = {
            "primary_release_date.gte": date(first_year, 1, 1).isoformat(),
            "primary_release_date.lte": date(last_year, 12, 31).isoformat(),
            "vote_count.gte": minimum_votes,
            "include_adult": "false",
            "include_video": "false",
            "sort_by": "primary_release_date.asc",
        }
        slices = deque([days | {"with_original_language": name} for name in languages] or [days])
        with ThreadPoolExecutor(self.workers) as pool:
            while slices:
                asked = slices.popleft()
                first = self._page(seen, asked, 1)
                if first["total"] > self.pages * FILMS_A_PAGE and (cut := self._cut(asked)):
                    slices.extendleft(reversed(cut))
                    continue
                self._walk(pool, seen, asked, found)
                progress(len(found.films))
        found.films = {n: found.films[n] for n in sorted(found.films, key=_shuffled)}
        return found

    def _page(
        self, seen: MutableMapping[str, Any], asked: Asked, page: int, walk: int = 1
    ) -> dict[str, Any]:
        key = json.dumps([asked, page, walk], sort_keys=True)
        if key not in seen:
            told = self._json(
                "/3/discover/movie", ["results", "total_results", "total_pages"], page=page, **asked
            )
            films = [[film["id"], _listed(film)] for film in told["results"]]
            seen[key] = {
                "total": told["total_results"],
                "pages": told["total_pages"],
                "films": films,
            }
        page_seen: dict[str, Any] = seen[key]
        return page_seen

    def _cut(self, asked: Asked) -> list[Asked]:
        """Cut a slice in two by its days, or one day by its next genre; nothing is in neither half."""
        start, end = "primary_release_date.gte", "primary_release_date.lte"
        first, last = date.fromisoformat(asked[start]), date.fromisoformat(asked[end])
        if first < last:
            middle = first + (last - first) // 2
            later = (middle + timedelta(days=1)).isoformat()
            return [asked | {end: middle.isoformat()}, asked | {start: later}]
        having = [name for name in asked.get("with_genres", "").split(",") if name]
        lacking = [name for name in asked.get("without_genres", "").split(",") if name]
        left = [str(number) for number in genres.TMDB if str(number) not in having + lacking]
        if not left:
            return []
        return [
            asked | {"with_genres": ",".join([*having, left[0]])},
            asked | {"without_genres": ",".join([*lacking, left[0]])},
        ]

    def _walk(
        self,
        pool: ThreadPoolExecutor,
        seen: MutableMapping[str, Any],
        asked: Asked,
        found: Found,
    ) -> None:
        """Take in all pages of a slice; walk again when films came or went between its pages."""
        films: dict[int, str] = {}
        most = 0
        for walk in range(1, WALKS + 1):
            first = self._page(seen, asked, 1, walk)
            numbers = range(2, min(first["pages"], self.pages) + 1)
            rest = pool.map(lambda n, w=walk: self._page(seen, asked, n, w), numbers)
            pages = [first, *rest]
            told = {number: said for page in pages for number, said in page["films"]}
            films |= told
            totals = {page["total"] for page in pages}
            most = max(most, *totals)
            if totals == {len(told)}:
                most = len(films)
                break
            if most > self.pages * FILMS_A_PAGE and len(told) >= self.pages * FILMS_A_PAGE:
                break  # nothing is left to cut by, and another walk shows the same pages
        found.unseen += max(0, most - len(films))
        found.films |= films

    def films(self, numbers: Iterable[int], *, poster_size: str = "w185") -> Iterator[Film]:
        """Yield `(record, image, problem)` of these films as they come, fetched in parallel."""
        if poster_size not in SIZES:
            raise ValueError(f"Poster sizes are {', '.join(SIZES)}; {poster_size!r} came.")
        wanted = list(numbers)
        if not wanted:
            return
        pictures = self.configuration()["images"]["secure_base_url"] + poster_size
        in_vain = 0
        for found in as_they_come(
            lambda number: self._film(number, pictures), wanted, workers=self.workers
        ):
            in_vain = in_vain + 1 if passing(found[2]) else 0
            if in_vain > self.workers:
                raise SourceError(
                    f"TMDB is not at work: {in_vain} films in a row were asked for in vain "
                    f"({found[2]}). What came so far is kept; call again later."
                )
            yield found

    def _film(self, number: int, pictures: str) -> Film:
        answer = self._get(f"/3/movie/{number}", ["id"], append_to_response="external_ids")
        if answer.status_code == 404:
            return _record({"id": number}), None, "gone from TMDB"
        if answer.status_code != 200 or not _has(["id"])(answer):
            return _record({"id": number}), None, f"TMDB answers {instead(answer) or 200}"
        details = answer.json()
        record = _record(details)
        if not details.get("poster_path"):
            return record, None, "no poster"
        poster = self._fetch(pictures + details["poster_path"], whole=_picture())
        if other := instead(poster):
            return record, None, f"poster answers {other}"
        return record, poster.content, None


def passing(problem: str | None) -> bool:
    """Tell whether a film may be had another time: anything was answered but that there is none."""
    found = re.search(r" answers (\S+)$", problem or "")
    return found is not None and found[1] not in ("404", "410")


def _shuffled(number: int) -> bytes:
    """Give each film a steady place in an order that has nothing to do with its year or fame."""
    return hashlib.blake2b(str(number).encode(), digest_size=8).digest()


def _listed(film: dict[str, Any]) -> str:
    """Return a hash of what a list says of a film: it changes when the film is worth asking again."""
    names = ("title", "release_date", "genre_ids", "poster_path", "original_language")
    told = json.dumps([film.get(name) for name in names])
    return hashlib.blake2b(told.encode(), digest_size=4).hexdigest()


def _has(parts: Iterable[str]) -> Callable[[requests.Response], bool]:
    wanted = set(parts)

    def whole(answer: requests.Response) -> bool:
        try:
            told = answer.json()
        except ValueError:
            return False
        return isinstance(told, dict) and wanted <= set(told)

    return whole


def _picture(most: int = 3) -> Callable[[requests.Response], bool]:
    """Return a check that asks for an odd picture again, but takes the third as what there is."""
    left = iter(range(most - 1))

    def whole(answer: requests.Response) -> bool:
        data = answer.content
        odd = data.lstrip()[:1] in (b"<", b"{", b"")
        cut = data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-64:]
        return not (odd or cut) or next(left, None) is None

    return whole


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
