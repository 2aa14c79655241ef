"""One polite way to ask over HTTP: not too often, not for ever, and never half an answer."""

import itertools
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import requests
from pyrate_limiter import Limiter, Rate
from requests.adapters import HTTPAdapter
from requests_ratelimiter import LimiterAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from postergenre.errors import SourceError

TRIES = 8  # of one request: with the waits between them, more than a minute of a line that is down
PATIENCE = (10.0, 30.0)  # seconds to connect, and between two bytes
PASSING = (429, 500, 502, 503, 504)  # what may be otherwise a moment later
LARGEST = 64 * 2**20  # bytes of an answer; no poster and no page comes near
SLOWEST = 300.0  # seconds that an answer may take in all
LONGEST = 120.0  # seconds that a server may ask us to wait

BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    HTTPError,
)
Item = TypeVar("Item")
Result = TypeVar("Result")
_KEY = re.compile(r"(api_key=)[^&\s\"']+")


class Unreachable(SourceError):
    """Report that nobody answered, or never a whole answer; what came before is kept."""


class Fetcher:
    """Fetch addresses: at most so many a second under `limited`, each at most `tries` times."""

    def __init__(
        self,
        *,
        limited: str = "http",
        requests_per_second: float | None = None,
        workers: int = 16,
        patience: tuple[float, float] = PATIENCE,
        tries: int = TRIES,
        backoff: float = 0.5,
    ) -> None:
        self.session = requests.Session()
        self.patience = patience
        self.tries = tries
        self._backoff = backoff
        self._pause_until = 0.0
        self._lock = threading.Lock()
        self._limited = limited
        plain = HTTPAdapter(pool_maxsize=workers)
        self.session.mount("http://", plain)
        self.session.mount("https://", plain)
        if requests_per_second is not None:
            # One bucket for all threads; every try goes through it, the second as the first. A
            # quarter of a second's worth may go at once, so that delays do not pile up to too many.
            most = max(1, int(requests_per_second / 4))
            rate = Rate(most, math.ceil(1000 * most / requests_per_second))
            adapter = LimiterAdapter(
                limiter=Limiter(rate, buffer_ms=10),
                per_host=False,
                limit_statuses=(),
                pool_maxsize=workers,
            )
            for start in ("http://", "https://") if limited == "http" else (limited,):
                self.session.mount(start, adapter)
        logger = logging.getLogger("urllib3.connectionpool")
        if _without_keys not in logger.filters:
            logger.addFilter(_without_keys)

    def get(
        self, url: str, *, whole: Callable[[requests.Response], bool] | None = None, **how: Any
    ) -> requests.Response:
        """Return the answer; what may be otherwise a moment later is asked for again.

        `whole` tells whether an answer of status 200 is one; when none is, the last comes back all
        the same, and so does the last refusal. Raise `Unreachable` when no answer came at all.
        """
        said: requests.Response | None = None
        for attempt in range(self.tries):
            if attempt:
                time.sleep(min(60.0, self._backoff * 2**attempt) * random.uniform(0.5, 1))
            self._wait_for_leave(url)
            try:
                said = self._whole_body(url, how)
            except BROKEN as error:
                # Its text holds the whole address, and with it perhaps a key: only its kind is told.
                reason = type(error).__name__
                continue
            except requests.RequestException as error:
                reason = type(error).__name__
                break
            if said.status_code == 200 and (whole is None or whole(said)):
                return said
            if said.status_code != 200 and said.status_code not in PASSING:
                return said
            self._heed(said, url)
        if said is not None:
            return said
        raise Unreachable(
            f"{'/'.join(url.split('/')[:3])} could not be reached ({reason}). What came so far is "
            "kept: look at the connection, then call again."
        ) from None

    def _whole_body(self, url: str, how: dict[str, Any]) -> requests.Response:
        with self.session.get(url, timeout=self.patience, stream=True, **how) as answer:
            parts, size, end = [], 0, time.monotonic() + SLOWEST
            for part in answer.iter_content(2**16):
                parts.append(part)
                size += len(part)
                if time.monotonic() > end:
                    raise requests.Timeout
                if size > LARGEST:
                    raise SourceError(
                        f"An answer of more than {LARGEST // 2**20} MiB came from "
                        f"{'/'.join(url.split('/')[:3])}: neither a poster nor a list of films."
                    )
            answer._content = b"".join(parts)
            return answer

    def _heed(self, answer: requests.Response, url: str) -> None:
        """Wait as long as the server says; where a rate is shared, all threads do."""
        told = answer.headers.get("Retry-After")
        if told is None:
            return
        try:
            seconds = min(Retry().parse_retry_after(told), LONGEST)
        except HTTPError:
            return
        if not url.startswith(self._limited):
            time.sleep(seconds)
            return
        with self._lock:
            self._pause_until = max(self._pause_until, time.monotonic() + seconds)

    def _wait_for_leave(self, url: str) -> None:
        if url.startswith(self._limited) and (left := self._pause_until - time.monotonic()) > 0:
            time.sleep(left)


def instead(answer: requests.Response) -> str | None:
    """Return what came where a picture was asked for: another status, or a page by its own account."""
    if answer.status_code != 200:
        return str(answer.status_code)
    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    page = not kind.startswith("image/") and answer.content.lstrip()[:1] in (b"<", b"{")
    return kind if page and kind else None


def as_they_come(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Yield what `work` makes of each item, in parallel, as it comes; few are under way at a time."""
    left = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(work, item) for item in itertools.islice(left, 2 * workers)}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(work, item) for item in itertools.islice(left, len(done))}
                for job in done:
                    yield job.result()
        finally:
            for job in waiting:
                job.cancel()


def _without_keys(record: logging.LogRecord) -> bool:
    """Take keys out of what urllib3 logs of the addresses it asks for."""
    record.msg = _KEY.sub(r"\1…", record.getMessage())
    record.args = ()
    return True
