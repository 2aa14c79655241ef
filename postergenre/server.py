"""The service: posters in over HTTP, genres out, with a page for people. No poster is kept."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from pydantic import BaseModel, Field
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postergenre import __version__, pictures
from postergenre.alterations import covered
from postergenre.classifier import AT_ONCE, Classifier, Posters
from postergenre.errors import StudyError

SLICE = 65_536  # bytes of a form that are parsed at once
LIGHT = 6_000_000  # pixels: larger pictures wait for each other, and no other waits for them
PAGE = Path(__file__).parent / "page"
PROBLEM = "application/problem+json"
TYPES = "multipart/form-data, image/jpeg, image/png, image/webp"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
}
DOCS = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
DOCS += "; img-src 'self' data:"
# Which status a picture that cannot be read gets.
UNREADABLE = {"empty": 422, "type": 415, "size": 413, "broken": 422}


@dataclass(frozen=True)
class Limits:
    """What the service takes on."""

    body: int = 16 * 2**20  # bytes of one request
    files: int = 32  # posters of one request
    waiting: int = 256  # posters taken and not yet answered, of all requests
    requests: int = 64  # requests whose body is being received or read
    seconds: float = 20.0  # for receiving a body


class ProblemDetails(BaseModel):
    """A problem in the form of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Model(BaseModel):
    """Which network answered."""

    name: str
    version: str
    fingerprint: str = Field(description="of the corpus that it was trained on")
    form: str = Field(description="float or int8 (LiteRT), or keras")


class Answer(BaseModel):
    """What the network says of one poster."""

    file: str
    scores: dict[str, float] = Field(description="calibrated chances by genre")
    genres: list[str] = Field(description="genres above their threshold")
    major: str = Field(description="the likeliest, if the film has just one major genre")
    sure: float = Field(description="its chance, if the film has just one of the major genres")
    abstain: bool = Field(description="whether the network would rather not say")
    warnings: list[str]


class Unread(BaseModel):
    """A poster of several that could not be read."""

    file: str
    problem: ProblemDetails


class Classified(BaseModel):
    """The answers, in the order of the posters."""

    model: Model
    answers: list[Answer | Unread]
    milliseconds: float


class Explained(BaseModel):
    """One answer, and where covering the poster lowers each genre's chance."""

    model: Model
    answer: Answer
    maps: dict[str, list[list[float]]] = Field(
        description="by genre, rows of log odds lost when that part is covered, from the top left"
    )
    milliseconds: float


class ModelCard(BaseModel):
    """The network that serves, and what it is worth on test films."""

    model: Model
    vocabulary: list[str]
    majors: list[str]
    size: tuple[int, int] = Field(description="height and width of posters as it sees them")
    sure: float | None = Field(description="confidence under which it would rather not say")
    book: str | None = Field(description="where the study can be read, when it is served, too")
    card: dict[str, Any]


class Problem(Exception):
    """Stop a request, with a status and what is wrong."""

    def __init__(self, status: int, title: str, detail: str, *, later: int | None = None) -> None:
        super().__init__(detail)
        self.told = ProblemDetails(title=title, status=status, detail=detail)
        self.headers = {"Retry-After": str(later)} if later else {}


def unreadable(error: pictures.PictureError) -> Problem:
    """Return the problem of a picture that cannot be read."""
    detail = {
        "empty": "The file is empty; send a picture.",
        "type": f"The file is no picture that is read here; send {', '.join(pictures.FORMATS)}.",
        "size": f"The picture has more than {pictures.LARGEST:,} pixels, or takes as long to decode; "
        "send a smaller one.",
        "broken": "The picture breaks off or contradicts itself; send a whole one.",
    }[error.kind]
    return Problem(UNREADABLE[error.kind], str(error).capitalize(), detail)


class Desk:
    """Takes pictures from all requests and hands those that wait to the network together."""

    def __init__(self, reader: Classifier, limits: Limits, gauge: Gauge) -> None:
        self.reader, self.limits, self.gauge = reader, limits, gauge
        self.taken = 0  # posters
        self.requests = 0
        self.closing = False
        self._queue: asyncio.Queue[tuple[NDArray[np.uint8], asyncio.Future[Any]]] = asyncio.Queue()
        self._network = ThreadPoolExecutor(1, "network")
        self._eyes = ThreadPoolExecutor(2, "decoding")
        self._large = ThreadPoolExecutor(1, "decoding-large")

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Hold a place among the requests at work, or refuse."""
        if self.closing or self.requests >= self.limits.requests:
            raise self._full("requests", self.requests)
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @asynccontextmanager
    async def places(self, posters: int) -> AsyncIterator[None]:
        """Hold places for so many posters, or refuse."""
        if self.taken and self.taken + posters > self.limits.waiting:
            raise self._full("posters", self.taken)
        self.taken += posters
        self.gauge.set(self.taken)
        try:
            yield
        finally:
            self.taken -= posters
            self.gauge.set(self.taken)

    def _full(self, what: str, many: int) -> Problem:
        if self.closing:
            return Problem(503, "Closing", "The service is being stopped; ask another.", later=5)
        return Problem(503, "Busy", f"{many} {what} are at work; ask again soon.", later=1)

    async def look(self, data: bytes) -> tuple[NDArray[np.uint8], list[str]]:
        """Decode a poster beside the event loop."""
        run = asyncio.get_running_loop().run_in_executor
        try:
            return await run(self._eyes, partial(self.reader.look, data, largest=LIGHT))
        except pictures.PictureError as error:
            if error.kind != "size":
                raise
        return await run(self._large, self.reader.look, data)

    async def score(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the scores (genres,) of one picture, computed with whatever else waits."""
        future = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((picture, future))
        return np.asarray(await future)

    async def work(self) -> None:
        """Answer what waits, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            pictures_, futures = zip(*batch, strict=True)
            try:
                stack = np.stack(pictures_)
                scores = await loop.run_in_executor(self._network, self.reader.score, stack)
            except Exception as error:
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            else:
                for future, row in zip(futures, scores, strict=True):
                    if not future.done():
                        future.set_result(row)

    async def close(self, seconds: float) -> None:
        """Take nothing more, and wait until what was taken is answered."""
        self.closing = True
        until = time.monotonic() + seconds
        while self.requests and time.monotonic() < until:
            await asyncio.sleep(0.02)


async def body(request: Request, limits: Limits) -> bytes:
    """Return a request's body, refused as soon as it is seen to be too long or too slow."""
    too_long = Problem(
        413, "Too long", f"A request may have {limits.body:,} bytes; send fewer or smaller posters."
    )
    told = request.headers.get("content-length", "")
    if told.isdecimal() and (len(told) > 18 or int(told) > limits.body):
        raise too_long
    parts, length = [], 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                length += len(part)
                if length > limits.body:
                    raise too_long
                parts.append(part)
    except TimeoutError:
        raise Problem(
            408,
            "Too slow",
            f"The body did not arrive within {limits.seconds:.0f} s; send it again.",
        ) from None
    except ClientDisconnect:
        raise Problem(400, "Broken off", "The body broke off; send it again.") from None
    return b"".join(parts)


class _Form(MultiPartParser):
    """A form whose names are UTF-8, whatever it says, and that knows whether it came whole."""

    whole = False

    def on_part_begin(self) -> None:
        self._charset = "utf-8"  # some of Python's codecs take minutes for a megabyte
        super().on_part_begin()

    def on_end(self) -> None:
        self.whole = True
        super().on_end()


async def posters(request: Request, limits: Limits) -> list[tuple[str, bytes]]:
    """Return the (name, bytes) of the posters in a request: a form's files, or the body itself."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        return [("", await body(request, limits))]
    if kind != "multipart/form-data":
        came = kind[:100] or "no content type"
        raise Problem(415, "Unsupported media type", f"Send {TYPES}; {came} came.")
    data = await body(request, limits)

    async def slices() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), SLICE):
            yield data[start : start + SLICE]
            await asyncio.sleep(0)  # others go on in between
        if not parser.whole:
            raise MultiPartException("The form breaks off before its end; send it again")

    try:
        parser = _Form(
            Headers(raw=request.headers.raw),
            slices(),
            max_files=limits.files,
            max_fields=limits.files,
        )
        parser.spool_max_size = limits.body + 1  # nothing of a poster touches a disk
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, "Broken form", f"{error.message.rstrip('.')}.") from None
    except (ValueError, KeyError, UnicodeError):
        raise Problem(400, "Broken form", "The multipart body cannot be parsed.") from None
    files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
    if not files:
        raise Problem(422, "No poster", "The form holds no file; send posters as `posters`.")
    found = [(_name(file.filename), await file.read()) for file in files]
    await form.close()
    return found


def _name(given: str | None) -> str:
    """Return the last part of a file's name, without what cannot be printed."""
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:120]


FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["posters"],
                    "properties": {
                        "posters": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                        }
                    },
                }
            },
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in TYPES.split(", ")[1:]
            },
        },
    }
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": name,
        "content": {PROBLEM: {"schema": ProblemDetails.model_json_schema()}},
    }
    for status, name in {
        400: "The request is broken",
        408: "The body came too slowly",
        413: "Too many bytes or pixels",
        415: "Not a form, not a picture",
        422: "No poster, or one that cannot be read",
        503: "Busy or closing; see Retry-After",
    }.items()
}


def create(
    reader: Classifier, *, limits: Limits | None = None, book: Path | None = None
) -> FastAPI:
    """Return the service for one network; `book` is a folder of pages shown under /book/."""
    limits = limits or Limits()
    registry = CollectorRegistry()
    asked = Counter("postergenre_requests", "Requests", ["path", "status"], registry=registry)
    took = Histogram("postergenre_seconds", "Time of an answer", ["path"], registry=registry)
    said = Counter(
        "postergenre_posters", "Posters answered", ["major", "abstain"], registry=registry
    )
    share = Histogram(
        "postergenre_sure", "Confidence of answers", registry=registry,
        buckets=[step / 20 for step in range(1, 21)],
    )  # fmt: skip
    shown = bool(book and (book / "index.html").is_file())
    desk = Desk(reader, limits, Gauge("postergenre_waiting", "Posters at work", registry=registry))
    model = Model(
        name=str(reader.card.get("network", reader.folder.name)),
        version=__version__,
        fingerprint=str(reader.card.get("run", "")),
        form=reader.form,
    )

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        for many in (1, AT_ONCE):  # the first pass of each size is slow
            await asyncio.to_thread(reader.score, np.zeros((many, *reader.size, 3), np.uint8))
        worker = asyncio.create_task(desk.work())
        yield
        await desk.close(limits.seconds)
        worker.cancel()

    app = FastAPI(
        title="postergenre",
        version=__version__,
        description="Genres of films from their posters. No poster is kept.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.desk = desk

    def tell(inside: ASGIApp) -> ASGIApp:
        # Plain ASGI: Starlette's `middleware("http")` costs a task and two queues a request.
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await inside(scope, receive, send)
            began, status, head = time.perf_counter(), 500, scope["method"] == "HEAD"
            if head:
                scope = {**scope, "method": "GET"}  # answered as GET is, without its body

            async def sent(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status, headers = message["status"], MutableHeaders(scope=message)
                    for name, value in HEADERS.items():
                        headers.setdefault(name, value)
                elif head:
                    message = {**message, "body": b""}
                await send(message)

            try:
                await inside(scope, receive, sent)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                asked.labels(route, status).inc()
                took.labels(route).observe(time.perf_counter() - began)

        return answer

    app.add_middleware(tell)

    def answer_problem(problem: Problem) -> Response:
        told = problem.told
        return JSONResponse(
            told.model_dump(), told.status, media_type=PROBLEM, headers=problem.headers
        )

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> Response:
        return answer_problem(problem)

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> Response:
        detail = {
            404: "There is nothing here; see /docs.",
            405: "This method is not answered here; see /docs.",
        }.get(error.status_code, str(error.detail))
        problem = Problem(error.status_code, str(error.detail), detail)
        problem.headers = dict(error.headers or {})
        return answer_problem(problem)

    @app.exception_handler(Exception)
    async def on_fault(_: Request, __: Exception) -> Response:
        return answer_problem(Problem(500, "Fault", "The fault is ours, and it is in the log."))

    async def see(data: bytes) -> tuple[NDArray[np.uint8], list[str]]:
        try:
            return await desk.look(data)
        except pictures.PictureError as error:
            raise unreadable(error) from None

    def read(name: str, scores: NDArray[np.float32], warnings: list[str]) -> Answer:
        (told,) = reader.read(scores[None])
        said.labels(told["major"], told["abstain"]).inc()
        share.observe(told["sure"])
        return Answer(file=name, warnings=warnings, **told)

    @app.post("/v1/classify", responses=PROBLEMS, openapi_extra=FORM, operation_id="classify")
    async def classify(request: Request) -> Classified:
        """Name the genres of one or several posters.

        Of several posters, one that cannot be read has its problem in its place.
        """
        async with desk.request():
            found = await posters(request, limits)
            began = time.perf_counter()
            turn = asyncio.Semaphore(1)  # of two threads, one is left to others

            async def one(name: str, data: bytes) -> Answer | Unread:
                try:
                    async with turn:
                        if len(found) > 1 and await request.is_disconnected():
                            raise Problem(400, "Broken off", "Nobody waits for the answer.")
                        picture, warnings = await see(data)
                except Problem as problem:
                    if len(found) == 1:
                        raise
                    return Unread(file=name, problem=problem.told)
                return read(name, await desk.score(picture), warnings)

            async with desk.places(len(found)):
                answers = await asyncio.gather(*(one(name, data) for name, data in found))
        return Classified(model=model, answers=list(answers), milliseconds=_since(began))

    @app.post("/v1/explain", responses=PROBLEMS, openapi_extra=FORM, operation_id="explain")
    async def explain(request: Request) -> Explained:
        """Name the genres of one poster, and say which parts of it speak for each."""
        async with desk.request():
            found = await posters(request, limits)
            if len(found) != 1:
                raise Problem(422, "One poster", f"One poster is explained; {len(found)} came.")
            began = time.perf_counter()
            (name, data), *_ = found
            async with desk.places(1):
                picture, warnings = await see(data)
                views = [picture, *covered(picture)]
                rows = await asyncio.gather(*(desk.score(view) for view in views))
            scores = np.stack(rows)
        answer = read(name, scores[0], warnings)
        maps = reader.maps(scores)
        return Explained(model=model, answer=answer, maps=maps, milliseconds=_since(began))

    @app.get("/v1/model", operation_id="model")
    async def card() -> ModelCard:
        """Say which network answers, and what it is worth on test films."""
        return ModelCard(
            model=model,
            vocabulary=reader.vocabulary,
            majors=reader.majors,
            size=reader.size,
            sure=reader.sure if np.isfinite(reader.sure) else None,
            book="/book/" if shown else None,
            card=dict(reader.card),
        )

    @app.get("/healthz", operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "alive"}

    @app.get("/readyz", operation_id="readyz", responses={503: PROBLEMS[503]})
    async def readyz() -> dict[str, str]:
        """Say whether posters are taken."""
        if desk.closing:
            raise Problem(503, "Closing", "The service is being stopped.", later=5)
        return {"status": "ready"}

    @app.get("/metrics", operation_id="metrics", response_class=Response)
    async def metrics() -> Response:
        """Return counts and times for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="postergenre",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/logo.svg",
        )
        page.headers["Content-Security-Policy"] = DOCS
        return page

    for path, file in {"/": "index.html", "/page.css": "", "/page.js": "", "/logo.svg": ""}.items():
        app.add_api_route(
            path, _file(PAGE / (file or path[1:])), include_in_schema=False, methods=["GET", "HEAD"]
        )
    from swagger_ui_bundle import swagger_ui_path

    app.mount("/swagger", StaticFiles(directory=swagger_ui_path))
    if book and shown:
        app.mount("/book", StaticFiles(directory=book, html=True))
    return app


class _Service(uvicorn.Server):
    """A server that refuses what comes over open connections as soon as it is told to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.desk.closing = True  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """Take a port, or say why it cannot be had; 0 takes any that is free."""
    place = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if not host:
            raise OSError("no address came")
        place.bind((host, port))
    except (OSError, OverflowError, TypeError, UnicodeError) as error:
        place.close()
        reason = getattr(error, "strerror", None) or error
        raise StudyError(
            f"{host}, port {port} cannot be listened at ({reason}). Choose another with --host or "
            "--port, from 0 (any that is free) to 65535."
        ) from None
    return place


def run(app: FastAPI, place: socket.socket) -> None:
    """Answer at a port until told to end; what was taken is answered first, for 30 s at most."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=30,
        http="h11",  # it bounds the size of headers, which httptools does not
        ws="none",
    )
    _Service(config).run(sockets=[place])


def _since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 2)


def _file(path: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def send() -> FileResponse:
        return FileResponse(path)

    return send


def description() -> dict[str, Any]:
    """Return the OpenAPI description, which is the same for every network."""
    none = np.zeros(0)

    def nothing(posters: Posters) -> NDArray[np.float32]:
        return np.zeros((len(posters), 0), np.float32)

    anyone = Classifier(
        Path("network"), "float", (3, 2), [], [], none, none, none, 0.0, {}, nothing
    )
    return create(anyone).openapi()
