"""A collection on a bad line, killed again and again, beside a calm one."""

import contextlib
import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postergenre import corpus, paths, sources, tmdb
from postergenre.demo import stand_in, studio

FILMS, PAGES, KILLS, WORKERS = 300, 3, 20, 8
VANISHED = frozenset({700_011, 700_042})  # listed, but gone when they are asked for


def collect(run: str, address: str) -> None:
    """Collect into a run from the stand-in, as a process of its own does."""
    os.environ["TQDM_DISABLE"] = "1"

    @contextlib.contextmanager
    def client_of(run: str, limit: int) -> Iterator[tuple[tmdb.Client, dict[str, Any]]]:
        how = {"patience": (2.0, 0.4), "backoff": 0.01, "workers": WORKERS, "pages": PAGES}
        client = tmdb.Client(address=address, token="demo", **how)  # type: ignore[arg-type]
        yield client, {"terms": [], "asked_of": "local stand-in"}

    sources._tmdb_client = client_of
    sources.collect(run, source="tmdb", limit=FILMS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studio.draw_all(tmp_path_factory.mktemp("studio"), films=FILMS)


def test_a_collection_killed_twenty_times_on_a_bad_line_ends_as_a_calm_one(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, bad = str(tmp_path / "calm"), str(tmp_path / "bad")
    monkeypatch.setattr(sources, "_tmdb_client", sources._tmdb_client)
    with stand_in.serve(drawn, pages=PAGES, trouble=stand_in.Trouble(vanished=VANISHED)) as address:
        collect(calm, address)

    spawn = multiprocessing.get_context("forkserver")
    spawn.set_forkserver_preload(["postergenre.sources"])
    rng = random.Random(3)
    trouble = stand_in.Trouble(rate=0.15, seed=3, stall=0.6, vanished=VANISHED)
    killed = 0
    with stand_in.serve(drawn, pages=PAGES, trouble=trouble, latency=0.05) as address:
        for kill in range(KILLS + 1):
            child = spawn.Process(target=collect, args=(bad, address))
            child.start()
            child.join(None if kill == KILLS else rng.uniform(0.1, 0.9))
            if child.exitcode is None:
                os.kill(child.pid or 0, signal.SIGKILL)
                killed += 1
            child.join()
            for stored in corpus.journal(bad).to_dict("records") if kill else []:
                whole = stored["poster"] is None or (Path(bad) / stored["poster"]).exists()
                assert whole  # whatever the journal names is there
        assert child.exitcode == 0
        asked = trouble.asked.total()
        collect(bad, address)
        assert trouble.asked.total() == asked  # finished: nothing is asked again

    assert killed == KILLS
    assert set(trouble.spoilt) == {*stand_in.OF_ANSWERS, *stand_in.OF_POSTERS, *stand_in.OF_PAGES}
    frames = [corpus.load(run).drop(columns="collected_at") for run in (calm, bad)]
    assert frames[0].to_json() == frames[1].to_json()
    assert len(frames[0]) == FILMS
    assert paths.fingerprint(calm) == paths.fingerprint(bad)
    assert (frames[1]["problem"] == corpus.GONE).sum() == len(VANISHED)
    for poster in frames[0]["poster"].dropna():
        assert (Path(calm) / poster).read_bytes() == (Path(bad) / poster).read_bytes()
    assert not list(Path(bad).glob("posters/*/.*"))
    kinds = Counter(n for key, n in trouble.asked.items() if "/t/p/" in key)
    assert sum(n * (times - 3) for times, n in kinds.items() if times > 3) <= 2 * WORKERS * KILLS
