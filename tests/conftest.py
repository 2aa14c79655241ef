"""What the tests share: no device noise, and a handful of films worked out by hand."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TQDM_DISABLE", "1")

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from postergenre import corpus, films

if TYPE_CHECKING:
    import keras


def jpeg(seed: int, size: tuple[int, int] = (100, 150)) -> bytes:
    """Return a small poster-shaped picture of coarse coloured tiles."""
    tiles = np.random.default_rng(seed).integers(0, 255, (6, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(tiles).resize(size, Image.Resampling.NEAREST).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def record(number: int, **told: Any) -> dict[str, Any]:
    """Return the record of a film as sources give it."""
    return {
        "film_id": f"tt{number:07d}",
        "imdb_id": f"tt{number:07d}",
        "tmdb_id": number,
        "title": f"Film Nr {chr(65 + number % 26)}{number}",
        "year": 1990 + number % 30,
        "imdb_genres": ["Drama"],
        **told,
    }


def collected(run: str, triples: Iterable[corpus.Triple]) -> pd.DataFrame:
    """Collect films into a run and return its journal."""
    corpus.collect(run, triples)
    return corpus.journal(run)


def part(side: str, truth: np.ndarray, rows: Any = slice(None)) -> films.Part:
    """Return the films at `rows` as that part of a split in which all others are test films."""
    split = np.full(len(truth), "test", dtype=object)
    split[rows] = side
    return films.Part(pd.DataFrame({"split": split}), truth, side)


@pytest.fixture
def run(tmp_path: Any) -> str:
    """Return the path of an empty run directory."""
    return str(tmp_path / "run")


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> "keras.Model":
    """Return a network that tells the toys' patches apart; it is trained once for all tests."""
    from toys import trained  # loads TensorFlow, which most tests do without

    return trained(tmp_path_factory.mktemp("net"), epochs=6)[0]
