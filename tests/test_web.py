"""One polite way to ask, against a server on this machine that answers as it is told."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from postergenre import web
from postergenre.errors import SourceError

Answers = list[tuple[int, dict[str, str], bytes]]


@pytest.fixture
def server() -> Iterator[tuple[str, Answers, list[float]]]:
    """Yield an address, the answers that it gives in turn (the last again and again), and the times."""
    answers: Answers = []
    times: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

        def do_GET(self) -> None:
            times.append(time.monotonic())
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/", answers, times
        running.shutdown()


def fetcher(**how: Any) -> web.Fetcher:
    return web.Fetcher(**{"backoff": 0.01, "tries": 4} | how)


def test_what_may_pass_is_asked_for_again_and_what_may_not_once(
    server: tuple[str, Answers, list[float]],
) -> None:
    address, answers, times = server
    for status in web.PASSING:
        answers[:] = [(status, {}, b""), (200, {}, b"here")]
        assert fetcher().get(address).content == b"here"
    for status in (400, 401, 403, 404):
        times.clear()
        answers[:] = [(status, {}, b"no"), (200, {}, b"here")]
        assert fetcher().get(address).status_code == status
        assert len(times) == 1


def test_tries_are_bounded_and_the_last_answer_comes_back(
    server: tuple[str, Answers, list[float]],
) -> None:
    address, answers, times = server
    answers[:] = [(503, {}, b"busy")]
    assert fetcher().get(address).status_code == 503
    assert len(times) == 4


def test_half_an_answer_is_none(server: tuple[str, Answers, list[float]]) -> None:
    address, answers, _ = server
    answers[:] = [(200, {"Content-Length": "9"}, b"half"), (200, {}, b"whole")]
    assert fetcher().get(address).content == b"whole"
    answers[:] = [(200, {"Content-Length": "9"}, b"half")]
    with pytest.raises(web.Unreachable, match=r"could not be reached \(ChunkedEncodingError\)"):
        fetcher().get(address)


def test_an_answer_that_is_not_what_was_asked_for_is_asked_for_again(
    server: tuple[str, Answers, list[float]],
) -> None:
    address, answers, _ = server
    answers[:] = [(200, {}, b"<html>"), (200, {}, b"{}")]
    found = fetcher().get(address, whole=lambda answer: answer.content == b"{}")
    assert found.content == b"{}"


def test_what_came_instead_of_a_picture_is_told_where_the_answer_says_it(
    server: tuple[str, Answers, list[float]],
) -> None:
    address, answers, _ = server
    page, mime = b"<!DOCTYPE html>", "Content-Type"
    for status, kind, body, told in [
        (404, "text/html", page, "404"),
        (200, "text/html; charset=utf-8", page, "text/html"),
        (200, "text/html", b"\xff\xd8\xff", None),  # a picture under a wrong name is one
        (200, "image/jpeg", page, None),  # and what is none under a right name fails to decode
    ]:
        answers[:] = [(status, {mime: kind}, body)]
        assert web.instead(fetcher().get(address)) == told


@pytest.mark.parametrize("status", [429, 503])
def test_all_threads_wait_as_long_as_a_server_says(
    server: tuple[str, Answers, list[float]], status: int
) -> None:
    address, answers, times = server
    answers[:] = [(status, {"Retry-After": "1"}, b""), (200, {}, b"here")]
    asked = fetcher()
    asked.get(address)
    assert times[1] - times[0] >= 1
    answers[:] = [(status, {"Retry-After": "1"}, b""), (200, {}, b"here")]
    list(web.as_they_come(lambda _: asked.get(address), range(20), workers=3))
    refused = times[2]
    late = [moment for moment in times[2:] if moment > refused + 0.2]
    assert len(late) >= 12  # a few may have left before the refusal was read
    assert min(late) - refused >= 1


def test_where_no_rate_is_shared_only_the_refused_request_waits(
    server: tuple[str, Answers, list[float]],
) -> None:
    address, answers, times = server
    answers[:] = [(429, {"Retry-After": "1"}, b""), (200, {}, b"here")]
    asked = fetcher(limited="http://elsewhere/")
    assert asked.get(address).content == b"here"
    assert times[1] - times[0] >= 1
    assert asked._pause_until == 0


def test_a_wait_that_no_one_can_read_is_none(server: tuple[str, Answers, list[float]]) -> None:
    address, answers, times = server
    answers[:] = [(429, {"Retry-After": "soon"}, b""), (200, {}, b"here")]
    assert fetcher().get(address).content == b"here"
    assert times[1] - times[0] < 1


def test_a_rate_holds_for_all_threads_together(server: tuple[str, Answers, list[float]]) -> None:
    address, answers, times = server
    answers[:] = [(200, {}, b"here")]
    asked = fetcher(requests_per_second=20)
    done = web.as_they_come(lambda _: asked.get(address).status_code, range(40), workers=8)
    assert set(done) == {200}
    times.sort()
    for start in times:
        assert sum(start <= moment < start + 0.9 for moment in times) <= 20


def test_an_answer_without_end_is_cut_short(
    server: tuple[str, Answers, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, answers, _ = server
    monkeypatch.setattr(web, "LARGEST", 1000)
    answers[:] = [(200, {}, b"x" * 2000)]
    with pytest.raises(SourceError, match="neither a poster nor a list of films"):
        fetcher().get(address)


@pytest.mark.parametrize("address", ["http://", "nowhere", "http://[", "ftp://127.0.0.1/x"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(web.Unreachable, match="could not be reached"):
        fetcher().get(address)


def test_work_that_fails_ends_the_others() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise SourceError("three")
        return number

    done: list[int] = []
    found = web.as_they_come(work, range(1000), workers=2)
    with pytest.raises(SourceError, match="three"):
        done.extend(found)
    assert len(done) < 20
