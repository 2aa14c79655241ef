"""A server on this machine that answers as TMDB does, from what the demo studio has drawn."""

import functools
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
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

    def __init__(
        self,
        drawn: Path,
        changes: Mapping[int, Mapping[str, Any] | None],
        one_day: str | None,
    ) -> None:
        table = studio.truth(drawn).sort_values(["premiere", "tmdb_id"], ignore_index=True)
        table["release_date"] = table["release_date"].fillna("")
        gone = [number for number, change in changes.items() if change is None]
        self.table = table[~table["tmdb_id"].isin(gone)]
        if one_day:
            self.table = self.table.assign(premiere=one_day)
        self.folder = drawn
        self.rows = {int(row["tmdb_id"]): row for row in self.table.to_dict("records")}
        for number, change in changes.items():
            if change is not None:
                self.rows[number] |= change
        self.chosen = functools.lru_cache(32)(self._chosen)

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
        query = {name: value for name, value in asked.items() if name not in ("page", "api_key")}
        found = self.chosen(tuple(sorted(query.items())))
        shown = found[(page - 1) * FILMS_A_PAGE : page * FILMS_A_PAGE]
        return {
            "page": page,
            "results": [self.short(self.rows[number]) for number in shown],
            "total_pages": -(-len(found) // FILMS_A_PAGE),
            "total_results": len(found),
        }

    def _chosen(self, query: tuple[tuple[str, str], ...]) -> list[int]:
        asked = dict(query)
        # A film whose details lack a date is still found by the day of its premiere.
        chosen = self.table["premiere"].between(
            asked.get("primary_release_date.gte", ""), asked.get("primary_release_date.lte", "9999")
        )
        chosen &= self.table["vote_count"] >= float(asked.get("vote_count.gte", 0))
        if language := asked.get("with_original_language"):
            chosen &= self.table["original_language"] == language
        for name, wanted in (("with_genres", True), ("without_genres", False)):
            for number in filter(None, asked.get(name, "").split(",")):
                word = genres.TMDB[int(number)]
                chosen &= self.table["tmdb_genres"].map(lambda has, w=word: w in has) == wanted
        found = self.table[chosen]
        if asked.get("sort_by", "popularity.desc") == "popularity.desc":
            found = found.sort_values(["popularity", "tmdb_id"], ascending=False)
        return [int(number) for number in found["tmdb_id"]]


@dataclass
class Trouble:
    """What goes wrong with a share of the requests; each is spoilt a few times at most, then answered."""

    rate: float = 0.0
    seed: int = 0
    stall: float = 1.0  # seconds without a byte
    vanished: frozenset[int] = frozenset()  # in the lists, but without details
    one_day: str | None = None  # on which all films have their premiere
    kinds: Sequence[str] | None = None  # of trouble; all kinds that fit the request, by default
    most: int = 2  # times that one request is spoilt
    asked: Counter[str] = field(default_factory=Counter)
    spoilt: Counter[str] = field(default_factory=Counter)

    def kind(self, key: str, kinds: Sequence[str], *, more: int = 1) -> str | None:
        """Choose what happens to the next request for `key`, always the same for one seed."""
        self.asked[key] += 1
        said = f"{self.seed} {key} {self.asked[key]}".encode()
        chance = random.Random(hashlib.sha256(said).digest())
        kinds = kinds if self.kinds is None else self.kinds
        if self.asked[key] > self.most or chance.random() >= more * self.rate or not kinds:
            return None
        self.spoilt[chosen := chance.choice(kinds)] += 1
        return chosen


OF_ANSWERS = ("429", "500", "503", "reset", "stall", "cut", "html", "no json", "other json")
OF_POSTERS = ("503", "reset", "stall", "cut", "html", "half")
OF_PAGES = ("repeat", "vanish")


def _handler(
    films: _Films,
    token: str,
    pages: int,
    requests_per_second: float | None,
    trouble: Trouble,
    latency: float,
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
                    spoilt = trouble.kind(url.path, OF_POSTERS)
                    self._spoil(spoilt, self._poster(url.path), "image/jpeg")
                elif url.path.endswith(".tsv.gz"):
                    self._file(films.folder / url.path.strip("/"))
                else:
                    self._allow(asked)
                    query = {k: v for k, v in asked.items() if k != "api_key"}
                    later = query.get("page", "1") != "1"
                    kinds = OF_ANSWERS + (4 * OF_PAGES if later else ())
                    spoilt = trouble.kind(f"{url.path} {query}", kinds, more=4 if later else 1)
                    body = self._answer(url.path, asked)
                    if spoilt in OF_PAGES:
                        body = self._shifted(body, query, spoilt)
                    self._spoil(spoilt, json.dumps(_told(body)).encode(), "application/json")
            except _Refused as refusal:
                code, message = ERRORS[refusal.status]
                told: dict[str, Any] = {"success": False, "status_code": code}
                told["status_message"] = message.format(pages=pages)
                self._send(refusal.status, told)

        def _shifted(self, body: Any, query: dict[str, str], how: str | None) -> Any:
            """Answer as if a film had come, or gone, since the page before was asked for."""
            first = (int(query["page"]) - 1) * FILMS_A_PAGE + (1 if how == "vanish" else -1)
            found = films.chosen(tuple(sorted((k, v) for k, v in query.items() if k != "page")))
            shown = [films.short(films.rows[n]) for n in found[first : first + FILMS_A_PAGE]]
            total = len(found) + (-1 if how == "vanish" else 1)
            return body | {"results": shown, "total_results": total}

        def _spoil(self, how: str | None, body: bytes, kind: str) -> None:
            if how == "stall":
                time.sleep(trouble.stall)
            if how in ("stall", "reset"):
                linger = struct.pack("ii", 1, 0)  # closing sends a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
            elif how == "cut":
                self._send(200, body[: len(body) // 2], kind, length=len(body))
                self.close_connection = True
            elif how is not None and how.isdigit():
                if int(how) in ERRORS:
                    raise _Refused(int(how))
                self._send(int(how), b"<html>busy</html>", "text/html")
            else:
                told = {"html": studio.HTML, "half": body[: len(body) // 2]}
                told |= {"no json": b'{"page": 1, "resu', "other json": b'{"success": false}'}
                kind = "text/html" if how == "html" else kind
                self._send(200, told.get(how or "", body), kind)

        def _file(self, path: Path) -> None:
            """Send one of IMDb's files, or the rest of it."""
            if not path.is_file():
                raise _Refused(404)
            data = path.read_bytes()
            mark = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            start = 0
            if self.headers.get("If-Range") == mark:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            marks = {"ETag": mark, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            cut = trouble.kind(path.name, ["cut"]) is not None
            rest = data[start:]
            sent = rest[: len(rest) // 2] if cut else rest
            self._send(206 if start else 200, sent, "application/gzip", marks, len(rest))
            self.close_connection = cut

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
                if film is None or int(parts[1]) in trouble.vanished:
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
            file = films.folder / "posters" / name
            if size not in SIZES or "/" in name or not file.is_file():
                raise _Refused(404)
            return file.read_bytes()

        def _send(
            self,
            status: int,
            body: Any,
            kind: str = "application/json",
            marks: Mapping[str, str] = MappingProxyType({}),
            length: int | None = None,
        ) -> None:
            data = body if isinstance(body, bytes) else json.dumps(_told(body)).encode()
            time.sleep(latency)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data) if length is None else length))
            for name, value in marks.items():
                self.send_header(name, value)
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that was killed leaves its connections."""


@contextmanager
def serve(
    drawn: Path,
    *,
    token: str = "demo",
    pages: int = 500,
    requests_per_second: float | None = None,
    trouble: Trouble | None = None,
    latency: float = 0.0,
    changes: Mapping[int, Mapping[str, Any] | None] = MappingProxyType({}),
) -> Iterator[str]:
    """Serve a studio's films on the loopback address while the context lasts; yield the base address.

    `changes` holds what is told otherwise than drawn, by TMDB's number, None for films that are gone.
    """
    trouble = trouble or Trouble()
    films = _Films(drawn, changes, trouble.one_day)
    handler = _handler(films, token, pages, requests_per_second, trouble, latency)
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
