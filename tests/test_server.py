"""The service, asked over HTTP, with a network that answers by the poster's colour."""

import asyncio
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import schemathesis
import uvicorn
from conftest import jpeg
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image, PngImagePlugin
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from postergenre import __version__, alterations, classifier, paths, pictures, server
from postergenre.errors import StudyError

GENRES = ["Comedy", "Horror", "Western"]


def by_colour(posters: np.ndarray) -> np.ndarray:
    """Return the mean of each colour as the score of a genre."""
    return (posters.mean(axis=(1, 2)) / 255).clip(0.01, 0.99).astype(np.float32)


def reader(score: Callable[[np.ndarray], np.ndarray] = by_colour) -> classifier.Classifier:
    return classifier.Classifier(
        folder=Path("network"),
        form="float",
        size=(24, 16),
        vocabulary=GENRES,
        majors=["Comedy", "Horror"],
        thresholds=np.full(3, 0.5),
        calibration=np.array([[1.0, 0.0]] * 3),
        scaling=np.array([1.0, 0.0, 0.0]),
        sure=0.7,
        card={"network": "by_colour", "run": "0123456789abcdef"},
        score=score,
    )


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(server.create(reader()), raise_server_exceptions=False) as client:
        yield client


def poster(
    colour: tuple[int, int, int] = (200, 20, 20), size: tuple[int, int] = (100, 150), **how: Any
) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", size, colour).save(sink, **({"format": "PNG"} | how))
    return sink.getvalue()


def form(*data: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [
        ("posters", (f"{number}.png", one, "image/png")) for number, one in enumerate(data, start=1)
    ]


def test_a_poster_is_answered_with_all_that_a_caller_needs(client: TestClient) -> None:
    response = client.post("/v1/classify", files=form(poster()))
    assert response.status_code == 200
    told = response.json()
    assert told["model"] == {
        "name": "by_colour",
        "version": __version__,
        "fingerprint": "0123456789abcdef",
        "form": "float",
    }
    assert told["milliseconds"] > 0
    (answer,) = told["answers"]
    assert answer.pop("scores") == pytest.approx(
        {"Comedy": 200 / 255, "Horror": 20 / 255, "Western": 20 / 255}, abs=1e-3
    )
    assert answer == {
        "file": "1.png",
        "genres": ["Comedy"],
        "major": "Comedy",
        "sure": pytest.approx(200 / 55 / (200 / 55 + 20 / 235), abs=1e-3),
        "abstain": False,
        "warnings": [],
    }


def test_a_network_that_is_not_sure_says_so(client: TestClient) -> None:
    response = client.post("/v1/classify", files=form(poster((120, 100, 10))))
    (answer,) = response.json()["answers"]
    assert answer["abstain"] is True
    assert answer["sure"] == pytest.approx(120 / 135 / (120 / 135 + 100 / 155), abs=1e-3)


def test_a_picture_can_be_the_body_itself(client: TestClient) -> None:
    sent = client.post("/v1/classify", content=poster(), headers={"Content-Type": "image/png"})
    assert sent.json()["answers"][0]["major"] == "Comedy"


def test_of_several_posters_a_broken_one_has_its_problem_in_its_place(client: TestClient) -> None:
    response = client.post("/v1/classify", files=form(poster(), b"<html>", poster((0, 200, 0))))
    assert response.status_code == 200
    first, second, third = response.json()["answers"]
    assert (first["major"], third["major"]) == ("Comedy", "Horror")
    assert second["problem"]["status"] == 415
    assert second["file"] == "2.png"


def test_odd_pictures_are_answered_with_a_warning(client: TestClient) -> None:
    for size, warnings in {
        (150, 100): ["not poster-shaped"],
        (30, 45): ["too small"],
        (1, 1): ["too small", "not poster-shaped"],
        (20_000, 1): ["too small", "not poster-shaped"],
    }.items():
        response = client.post("/v1/classify", files=form(poster(size=size)))
        assert response.json()["answers"][0]["warnings"] == warnings


def test_a_file_name_comes_back_without_its_path(client: TestClient) -> None:
    for given_name, name in {
        "../../etc/passwd": "passwd",
        "C:\\posters\\a.png": "a.png",
        "a\u202eb.png": "ab.png",
        "x" * 500: "x" * 120,
    }.items():
        files = {"posters": (given_name, poster(), "image/png")}
        assert client.post("/v1/classify", files=files).json()["answers"][0]["file"] == name


def bomb() -> bytes:
    """Return a PNG of a few kilobytes that says it has 400 million pixels."""
    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1_000_000)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        ({"files": form(b"<html>")}, 415, "JPEG, PNG"),
        ({"files": form(b"")}, 422, "empty"),
        ({"files": form(jpeg(1)[:700])}, 422, "breaks off"),
        ({"files": form(bomb())}, 413, "30,000,000 pixels"),
        ({"content": b"0" * 3_000_000, "headers": {"Content-Type": "image/png"}}, 413, "bytes"),
        ({"content": b"x"}, 415, "no content type came"),
        ({"json": {"poster": "http://elsewhere/p.jpg"}}, 415, "application/json came"),
        ({"data": {"posters": "text"}, "files": {}}, 415, "x-www-form-urlencoded came"),
        ({"files": form(*[b"x"] * 40)}, 400, "Too many files"),
        (
            {"content": b"junk", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "boundary",
        ),
        (
            {"content": b"junk", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            400,
            "",
        ),
        (
            {
                "content": b"".join(
                    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
                    for _ in range(10_000)
                )
                + b"--x--\r\n",
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            400,
            "Too many fields",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/v1/classify", "/v1/explain"])
def test_what_cannot_be_answered_is_refused_with_a_reason(
    path: str, request_: dict[str, Any], status: int, detail: str
) -> None:
    service = server.create(reader(), limits=server.Limits(body=2_000_000))
    with TestClient(service, raise_server_exceptions=False) as client:
        response = client.post(path, **request_)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert detail in told["detail"]
    assert told["title"]


def test_a_form_without_a_file_and_two_posters_to_explain_are_refused(client: TestClient) -> None:
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    field = b'--x\r\nContent-Disposition: form-data; name="posters"\r\n\r\ntext\r\n--x--\r\n'
    response = client.post("/v1/classify", content=field, headers=boundary)
    assert (response.status_code, response.json()["title"]) == (422, "No poster")
    response = client.post("/v1/explain", files=form(poster(), poster()))
    assert (response.status_code, response.json()["title"]) == (422, "One poster")


def test_paths_and_methods_that_do_not_exist_are_problems_too(client: TestClient) -> None:
    assert client.get("/v1/classify").status_code == 405
    for path in ("/nothing", "/v1/../../etc/passwd", "/book/"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    ["/", "/page.js", "/healthz", "/readyz", "/metrics", "/v1/model", "/docs", "/openapi.json"],
)
def test_what_can_be_got_answers_head_with_the_same_headers(client: TestClient, path: str) -> None:
    asked, got = client.head(path), client.get(path)
    assert (asked.status_code, asked.content) == (200, b"")
    if path != "/metrics":  # which counts what it is asked
        assert asked.headers == got.headers
    assert int(asked.headers["content-length"]) > 0
    assert client.head("/v1/classify").status_code == 405


def test_a_form_that_breaks_off_is_refused_and_not_half_answered(client: TestClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="posters"; filename="a.png"\r\n\r\n'
    whole = part + poster() + b"\r\n" + part + poster() + b"\r\n--x--\r\n"
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/classify", content=whole, headers=boundary).status_code == 200
    for cut in (len(whole) // 2 - 30, len(whole) // 2 + 30, len(whole) - 10):
        response = client.post("/v1/classify", content=whole[:cut], headers=boundary)
        assert (response.status_code, response.json()["title"]) == (400, "Broken form")


def test_a_forms_charset_costs_no_time(client: TestClient) -> None:
    text = b"a" * 100_000 + b"-" + b"a" * 100_000
    field = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + text + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x; charset=punycode"}
    began = time.monotonic()
    assert client.post("/v1/classify", content=field, headers=kind).status_code == 422
    assert time.monotonic() - began < 1


def test_few_bytes_that_ask_for_hours_of_decoding_are_refused_at_once() -> None:
    sink = io.BytesIO()
    Image.new("L", (5000, 5000)).save(sink, "JPEG", progressive=True)
    data = sink.getvalue()
    place = data.rindex(b"\xff\xda")
    small, png = jpeg(1), poster()
    webp = poster(size=(4000, 3001), format="WEBP", lossless=True, method=0)
    chunk = struct.pack(">I4sI", 0, b"abCd", zlib.crc32(b"abCd"))
    began = time.monotonic()
    for hostile_ in (
        data[:place] + data[place:-2] * 100,
        small[:2] + b"\xff" * 4_000_000 + small[2:],
        small[:2] + b"\xff\xfe\0\2" * 1_000_000 + small[2:],
        small[:20] + b"\0" * 4_000_000,
        png[:33] + chunk * 300_000 + png[33:],
        webp,
    ):
        with pytest.raises(pictures.PictureError, match="too large"):
            pictures.read(hostile_)
    assert time.monotonic() - began < 2
    assert pictures.read(data).size == (5000, 5000)


def test_a_port_that_cannot_be_had_is_told() -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen()
        for port in (place.getsockname()[1], 99_999):
            with pytest.raises(StudyError, match="cannot be listened at"):
                server.listen("127.0.0.1", port)


def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    service = server.create(reader(), limits=server.Limits(seconds=0.2))

    async def ask() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.05)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/classify",
            "headers": [(b"content-type", b"image/png")],
            "query_string": b"",
        }
        await service(scope, receive, send)
        return sent

    assert asyncio.run(ask())[0]["status"] == 408


class Slow:
    """A network that waits, and remembers how many posters came together."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.passes = seconds, list[int]()

    def __call__(self, posters: np.ndarray) -> np.ndarray:
        if posters.any():  # the service warms up with black posters
            self.passes.append(len(posters))
            time.sleep(self.seconds)
        return by_colour(posters)


def many(client: TestClient, requests: int) -> list[httpx2.Response]:
    files = form(poster())
    with ThreadPoolExecutor(requests) as pool:
        jobs = [pool.submit(client.post, "/v1/classify", files=files) for _ in range(requests)]
        return [job.result() for job in jobs]


def test_requests_that_arrive_together_are_one_pass() -> None:
    network = Slow(0.2)
    with TestClient(server.create(reader(network))) as client:
        answers = many(client, 12)
    assert {answer.status_code for answer in answers} == {200}
    assert sum(network.passes) == 12
    assert len(network.passes) <= 6


def test_a_full_queue_says_when_to_come_again() -> None:
    limits = server.Limits(waiting=4, requests=8)
    with TestClient(server.create(reader(Slow(0.3)), limits=limits)) as client:
        answers = many(client, 16)
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["title"] == "Busy"
        assert client.post("/v1/classify", files=form(poster())).status_code == 200


def test_a_fault_of_the_network_is_ours_and_the_next_poster_is_answered() -> None:
    faults = [True]

    def network(posters: np.ndarray) -> np.ndarray:
        if posters.any() and faults:
            faults.pop()
            raise RuntimeError("no memory")
        return by_colour(posters)

    with TestClient(server.create(reader(network)), raise_server_exceptions=False) as client:
        response = client.post("/v1/classify", files=form(poster()))
        assert response.status_code == 500
        assert "no memory" not in response.text
        assert client.post("/v1/classify", files=form(poster())).status_code == 200


def test_an_explanation_says_where_the_genre_is(client: TestClient) -> None:
    image = Image.new("RGB", (96, 144), (40, 40, 40))
    image.paste((40, 250, 40), (0, 96, 96, 144))
    sink = io.BytesIO()
    image.save(sink, "PNG")
    told = client.post("/v1/explain", files=form(sink.getvalue())).json()
    heat = np.array(told["maps"]["Horror"])
    assert heat.shape == (alterations.ROWS, alterations.COLUMNS)
    assert heat[:3].max() < 0 < 0.05 < heat[-2:].min()  # below it is green; above it is not
    assert set(told["maps"]) == set(GENRES)
    plain = client.post("/v1/classify", files=form(sink.getvalue())).json()
    assert told["answer"]["scores"] == plain["answers"][0]["scores"]


def test_what_was_taken_is_answered_before_the_service_ends() -> None:
    with TestClient(server.create(reader(Slow(0.5)))) as client, ThreadPoolExecutor(1) as pool:
        job = pool.submit(client.post, "/v1/classify", files=form(poster()))
        time.sleep(0.2)
        client.app.state.desk.closing = True  # type: ignore[attr-defined]
        refused = client.post("/v1/classify", files=form(poster()))
        assert (refused.status_code, refused.json()["title"]) == (503, "Closing")
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
    assert job.result().status_code == 200


def test_counts_are_kept_by_route_and_nothing_of_a_poster(client: TestClient) -> None:
    client.post("/v1/classify", files={"posters": ("secret-name.png", poster(), "image/png")})
    client.get("/a/path/nobody/asked/for")
    told = client.get("/metrics").text
    assert 'postergenre_requests_total{path="/v1/classify",status="200"} 1.0' in told
    assert 'postergenre_requests_total{path="other",status="404"} 1.0' in told
    assert 'postergenre_posters_total{abstain="False",major="Comedy"} 1.0' in told
    assert "nobody" not in told
    assert "secret-name" not in told


def test_the_card_tells_what_serves(client: TestClient) -> None:
    told = client.get("/v1/model").json()
    assert told["vocabulary"] == GENRES
    assert told["size"] == [24, 16]
    assert told["sure"] == 0.7
    assert told["book"] is None


def test_the_page_asks_no_other_host(client: TestClient) -> None:
    for path in ("/", "/page.css", "/page.js", "/logo.svg", "/docs"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in response.headers["content-security-policy"]
        hosts = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", response.text)
        assert [host for host in hosts if "www.w3.org" not in host] == []
    for script in re.findall(r'(?:src|href)="(/swagger/[^"]+)"', client.get("/docs").text):
        assert client.get(script).status_code == 200


def test_the_description_in_the_book_is_the_services_own(client: TestClient) -> None:
    stored = paths.project() / "book" / "_static" / "openapi.json"
    assert json.loads(stored.read_text()) == client.get("/openapi.json").json(), (
        "store it anew: python -m postergenre openapi > book/_static/openapi.json"
    )


def hostile() -> Iterator[tuple[str, bytes]]:
    """Yield more than two hundred pictures that somebody might send."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (150, 100, 3), dtype=np.uint8))
    whole: dict[str, bytes] = {}
    for kind in (*pictures.FORMATS, "GIF", "BMP", "TIFF"):
        sink = io.BytesIO()
        noise.save(sink, kind)
        whole[kind] = sink.getvalue()
        for cut in np.linspace(1, len(whole[kind]) - 1, 15).astype(int):
            yield f"{kind} cut at {cut}", whole[kind][:cut]
        for place in np.linspace(0, len(whole[kind]) - 1, 15).astype(int):
            data = bytearray(whole[kind])
            data[place : place + 8] = rng.bytes(min(8, len(data) - place))
            yield f"{kind} spoiled at {place}", bytes(data)
        yield f"{kind} then a page", whole[kind] + b"<script>alert(1)</script>"
        yield f"a page then {kind}", b"<html>" + whole[kind]
    for length in (1, 2, 100, 10_000):
        yield f"{length} zeros", b"\0" * length
        yield f"{length} random", rng.bytes(length)
    yield "bomb", bomb()
    for name, text in {
        "svg": "<svg/>",
        "pdf": "%PDF-1.7",
        "eps": "%!PS-Adobe-3.0",
        "zip": "PK",
    }.items():
        yield name, text.encode()
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"):
        sink = io.BytesIO()
        kind = {"CMYK": "JPEG", "F": "TIFF", "I": "TIFF"}.get(mode, "PNG")
        (Image.new("I;16", (100, 150), 30_000) if mode == "I;16" else noise.convert(mode)).save(
            sink, kind
        )
        yield f"mode {mode}", sink.getvalue()
    for size in ((1, 1), (20_000, 1), (1, 20_000), (3000, 4000)):
        yield f"{size}", poster(size=size)
    sink = io.BytesIO()
    noise.save(sink, "GIF", save_all=True, append_images=[noise.rotate(90)] * 20)
    yield "animated", sink.getvalue()
    for orientation in range(10):
        exif = Image.Exif()
        exif[pictures.ORIENTATION] = orientation
        sink = io.BytesIO()
        noise.save(sink, "JPEG", exif=exif)
        yield f"orientation {orientation}", sink.getvalue()
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 3_000_000, zip=True)
    sink = io.BytesIO()
    noise.save(sink, "PNG", pnginfo=info)
    yield "metadata", sink.getvalue()


def test_no_picture_brings_the_service_down(client: TestClient) -> None:
    good = form(jpeg(3))
    before = client.post("/v1/classify", files=good).json()["answers"]
    statuses: dict[int, int] = {}
    for name, data in hostile():
        response = client.post("/v1/classify", files=form(data))
        assert response.status_code in (200, 413, 415, 422), name
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
    assert sum(statuses.values()) >= 200
    assert min(statuses.get(status, 0) for status in (200, 413, 415, 422)) > 0
    assert client.post("/v1/classify", files=good).json()["answers"] == before


def test_a_picture_on_its_side_is_turned_upright() -> None:
    upright = Image.new("RGB", (100, 150), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 100, 40))
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 6
    sink = io.BytesIO()
    upright.rotate(90, expand=True).save(sink, "PNG", exif=exif)
    seen = pictures.read(sink.getvalue())
    assert seen.size == (100, 150)
    assert np.asarray(seen)[:30].mean() > 250 > 5 > np.asarray(seen)[60:].mean()


@pytest.mark.parametrize(("mode", "value"), [("I;16", 32_768), ("F", 128.0)])
def test_deep_pictures_are_brought_to_eight_bits(mode: str, value: float) -> None:
    image = Image.new(mode, (100, 150), value)
    if mode == "F":
        image.paste(255.0, (0, 0, 100, 75))
    assert pictures.rgb(image).getpixel((50, 100)) == pytest.approx((128,) * 3, abs=1)


@pytest.fixture(scope="module")
def live() -> Iterator[str]:
    """Return the address of the service on a port of this machine."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    app = server.create(reader(), limits=server.Limits(body=2_000_000))
    config = uvicorn.Config(app, port=port, log_level="critical", ws="none")
    service = uvicorn.Server(config)
    thread = threading.Thread(target=service.run)
    thread.start()
    until = time.monotonic() + 20
    while not service.started and time.monotonic() < until:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    service.should_exit = True
    thread.join(10)


def test_whatever_the_description_allows_or_forbids_is_no_fault_of_the_server(live: str) -> None:
    schema = schemathesis.openapi.from_url(f"{live}/openapi.json")
    checks = [
        not_a_server_error,
        status_code_conformance,
        response_schema_conformance,
        response_headers_conformance,
    ]
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]

        @given(case=operation.as_strategy())
        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(checks=checks)

        ask()
    assert tried >= 50


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """Run `python -m postergenre serve` as a user would; yield it and a client of it."""
    asked = [sys.executable, "-m", "postergenre", "serve", "--port", "0"]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, cwd=paths.project()) as service:
        try:
            assert service.stdout
            address = service.stdout.readline().partition(" answers at ")[2].strip()
            with httpx2.Client(base_url=address, trust_env=False, timeout=60) as client:
                until = time.monotonic() + 30
                while True:
                    try:
                        client.get("readyz")
                        break
                    except httpx2.ConnectError:
                        assert time.monotonic() < until
                        time.sleep(0.02)
                yield service, client
        finally:
            service.terminate()
        assert service.wait(20) in (0, -signal.SIGTERM)


def ask(client: httpx2.Client, data: bytes) -> httpx2.Response:
    return client.post("v1/classify", files=form(data))


def test_the_network_that_ships_answers_within_seconds_and_ends_when_told() -> None:
    with served() as (_, client):
        told = ask(client, jpeg(2)).json()
    assert told["model"]["name"] == "custom_cnn_distilled"
    assert len(told["answers"][0]["scores"]) == 22


def test_hostile_pictures_hold_nobody_up_and_leave_nothing_behind() -> None:
    corpus = [*[poster(size=(5000, 5900))] * 12, *[data for _, data in hostile()]]
    waits, memory = [], []
    with served() as (service, client), ThreadPoolExecutor(12) as pool:
        for _ in range(2):
            jobs = [pool.submit(ask, client, data) for data in corpus]
            while not all(job.done() for job in jobs):
                began = time.monotonic()
                assert ask(client, jpeg(2)).status_code == 200
                waits.append(time.monotonic() - began)
            assert {job.result().status_code for job in jobs} == {200, 413, 415, 422}
            status = Path(f"/proc/{service.pid}/status").read_text()
            memory.append(int(status.partition("VmRSS:")[2].split()[0]) / 1024)
    assert max(waits) < 1.5
    assert memory[1] < memory[0] + 50


def test_two_files_over_one_slow_wire_do_not_stop_the_others(live: str) -> None:
    address = live.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as wire:
        wire.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000000\r\n\r\nabc"
        )
        began = time.monotonic()
        with httpx2.Client(trust_env=False) as client:
            response = client.post(f"{live}/v1/classify", files=form(poster()))
        assert response.status_code == 200
        assert time.monotonic() - began < 2
