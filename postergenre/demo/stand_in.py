"""A server on this machine that answers as TMDB does, from what the demo studio has drawn."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from postergenre import genres
from postergenre.demo import studio
from postergenre.tmdb import FILMS_A_PAGE, SIZES

NUMBERS = {name: number for number, name in genres.TMDB.items()}
ERRORS = {
    401: (7, "Invalid API key: You must be granted a valid key."),
    404: (34, "The resource you requested could not be found."),
    400: (
        22,
        "Invalid page: Pages start at 1 and max at {pages}. They are expected to be an integer.",
    ),
    429: (25, "Your request count is over the allowed limit."),
}


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Films:
    """What the server knows: the studio's films, as TMDB words them."""

    def __init__(self, drawn: Path) -> None:
        table = studio.truth(drawn).sort_values(["premiere", "tmdb_id"], ignore_index=True)
        table["release_date"] = table["release_date"].fillna("")
        self.table = table
        self.posters = drawn / "posters"
        self.rows = {int(row["tmdb_id"]): row for row in table.to_dict("records")}

    def short(self, film: dict[str, Any]) -> dict[str, Any]:
        return {
            "adult": False,
            "backdrop_path": None,
            "genre_ids": [NUMBERS[name] for name in film["tmdb_genres"]],
            "id": int(film["tmdb_id"]),
            "original_language": film["original_language"],
            "original_title": film["title"],
            "overview": "",
            "popularity": float(film["popularity"]),
            "poster_path": film["poster_path"],
            "release_date": film["release_date"],
            "title": film["title"],
            "video": False,
            "vote_average": 5.0,
            "vote_count": int(film["vote_count"]),
        }

    def long(self, film: dict[str, Any]) -> dict[str, Any]:
        details = self.short(film)
        named = [{"id": NUMBERS[name], "name": name} for name in film["tmdb_genres"]]
        collection = None
        if film["franchise"]:
            collection = {
                "id": int(film["collection_id"]),
                "name": film["franchise"],
                "poster_path": None,
                "backdrop_path": None,
            }
        del details["genre_ids"]
        return details | {
            "belongs_to_collection": collection,
            "budget": 0,
            "genres": named,
            "homepage": "",
            "imdb_id": film["imdb_id"],
            "production_companies": [],
            "production_countries": [],
            "revenue": 0,
            "runtime": 96,
            "spoken_languages": [],
            "status": "Released",
            "tagline": "",
        }

    def discover(self, asked: dict[str, str], pages: int) -> dict[str, Any]:
        try:
            page = int(asked.get("page", "1"))
        except ValueError:
            page = 0
        if not 1 <= page <= pages:
            raise _Refused(400)
        # A film whose details lack a date is still found by the day of its premiere.
        chosen = self.table["premiere"].between(
            asked.get("primary_release_date.gte", ""), asked.get("primary_release_date.lte", "9999")
        )
        chosen &= self.table["vote_count"] >= float(asked.get("vote_count.gte", 0))
        if language := asked.get("with_original_language"):
            chosen &= self.table["original_language"] == language
        found = self.table[chosen]
        if asked.get("sort_by", "popularity.desc") == "popularity.desc":
            found = found.sort_values(["popularity", "tmdb_id"], ascending=False)
        shown = found.iloc[(page - 1) * FILMS_A_PAGE : page * FILMS_A_PAGE]
        return {
            "page": page,
            "results": [self.short(film) for film in shown.to_dict("records")],
            "total_pages": -(-len(found) // FILMS_A_PAGE),
            "total_results": len(found),
        }


def _handler(
    films: _Films, token: str, pages: int, requests_per_second: float | None
) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()
    recent: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent: a notebook reads this server's output."""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
            try:
                if url.path.startswith("/t/p/"):
                    self._send(200, self._poster(url.path), "image/jpeg")
                else:
                    self._allow(asked)
                    self._send(200, self._answer(url.path, asked))
            except _Refused as refusal:
                code, message = ERRORS[refusal.status]
                told: dict[str, Any] = {"success": False, "status_code": code}
                told["status_message"] = message.format(pages=pages)
                self._send(refusal.status, told)

        def _allow(self, asked: dict[str, str]) -> None:
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in (bearer, asked.get("api_key")):
                raise _Refused(401)
            if requests_per_second is None:
                return
            with lock:
                now = time.monotonic()
                recent[:] = [moment for moment in recent if now - moment < 1]
                if len(recent) >= requests_per_second:
                    raise _Refused(429)
                recent.append(now)

        def _answer(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
            parts = path.strip("/").split("/")[1:]
            if parts == ["authentication"]:
                return {"success": True, "status_code": 1, "status_message": "Success."}
            if parts == ["configuration"]:
                return self._configuration()
            if parts == ["genre", "movie", "list"]:
                return {"genres": [{"id": n, "name": name} for n, name in genres.TMDB.items()]}
            if parts == ["discover", "movie"]:
                return films.discover(asked, pages)
            if parts[:1] == ["movie"] and len(parts) in (2, 3) and parts[1].isdigit():
                film = films.rows.get(int(parts[1]))
                if film is None:
                    raise _Refused(404)
                outside = _external(film)
                if parts[2:] == ["external_ids"]:
                    return {"id": int(film["tmdb_id"]), **outside}
                wanted = "external_ids" in asked.get("append_to_response", "").split(",")
                return films.long(film) | ({"external_ids": outside} if wanted else {})
            raise _Refused(404)

        def _configuration(self) -> dict[str, Any]:
            base = f"http://{self.headers['Host']}/t/p/"
            sizes = {f"{kind}_sizes": list(SIZES) for kind in ("backdrop", "logo", "poster")}
            sizes |= {f"{kind}_sizes": list(SIZES) for kind in ("profile", "still")}
            return {
                "images": {"base_url": base, "secure_base_url": base, **sizes},
                "change_keys": [],
            }

        def _poster(self, path: str) -> bytes:
            size, _, name = path.removeprefix("/t/p/").partition("/")
            file = films.posters / name
            if size not in SIZES or "/" in name or not file.is_file():
                raise _Refused(404)
            return file.read_bytes()

        def _send(self, status: int, body: Any, kind: str = "application/json") -> None:
            data = body if isinstance(body, bytes) else json.dumps(_told(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _told(body: Any) -> Any:
    """Leave out what is unknown: the description of the interface allows no null."""
    if isinstance(body, dict):
        return {name: _told(value) for name, value in body.items() if value is not None}
    return [_told(value) for value in body] if isinstance(body, list) else body


def _external(film: dict[str, Any]) -> dict[str, Any]:
    names = ("wikidata_id", "facebook_id", "instagram_id", "twitter_id")
    return {"imdb_id": film["imdb_id"], **dict.fromkeys(names)}


@contextmanager
def serve(
    drawn: Path,
    *,
    token: str = "demo",
    pages: int = 500,
    requests_per_second: float | None = None,
) -> Iterator[str]:
    """Serve a studio's films on the loopback address while the context lasts; yield the base address."""
    handler = _handler(_Films(drawn), token, pages, requests_per_second)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
