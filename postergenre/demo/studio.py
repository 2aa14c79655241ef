"""The demo's films and their posters: invented, drawn once into a folder, with the truth kept beside them."""

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from postergenre import paths
from postergenre.demo import drawing, grammar
from postergenre.errors import StudyError

VERSION = 3  # of what is drawn; a studio of another version is drawn anew
SEED = 7

# How often things go wrong in the demo, because they do in real collections.
RATES = {
    "franchise starts": 0.021,
    "no poster": 0.02,
    "broken file": 0.015,
    "no year": 0.01,
    "no IMDb id": 0.04,
    "unknown to IMDb": 0.01,
    "no genres": 0.005,
    "TMDB drops a genre": 0.08,
    "TMDB adds a genre": 0.08,
    "TMDB swaps a genre": 0.04,
}
SWAPS = {"Crime": "Action", "Action": "Crime", "Drama": "Romance", "Romance": "Drama"}
LANGUAGES = ("en", "fr", "es", "ja", "de", "it", "ko", "hi")

FIRST = [
    "Amber",
    "Borrowed",
    "Brass",
    "Cobalt",
    "Crooked",
    "Distant",
    "Eleventh",
    "Forgotten",
    "Gentle",
    "Hollow",
    "Idle",
    "Lantern",
    "Marble",
    "Northern",
    "Paper",
    "Quiet",
    "Reluctant",
    "Silver",
    "Tidal",
    "Unlikely",
    "Velvet",
    "Wandering",
    "Yonder",
    "Zinc",
]
SECOND = {
    "Action": "Ambush Convoy Gauntlet Overdrive Strikeline Pursuit",
    "Animation": "Acorn Balloonfish Kitebear Moonpuppy Puddle Snailship",
    "Comedy": "Babysitters Casserole In-Laws Picnic Wedding Roommates",
    "Crime": "Alibi Ledger Informant Safehouse Verdict Witness",
    "Documentary": "Archive Glaciers Harvest Voices Rivers Workshop",
    "Drama": "Daughters Inheritance Letters Orchard Silence Winter",
    "Horror": "Cellar Hunger Nightmother Ossuary Whisper Wake",
    "Romance": "Embrace Promise Serenade Sweetheart Valentine Waltz",
    "Sci-Fi": "Andromedon Cryostat Nebula Orbit Protocol Starfall",
    "Western": "Canyon Deputy Frontier Mesa Saddle Stagecoach",
}
NAME_HEADS = [
    "Ald",
    "Bram",
    "Cal",
    "Dor",
    "Els",
    "Fen",
    "Gav",
    "Hald",
    "Ist",
    "Jor",
    "Kess",
    "Lum",
    "Mar",
    "Nev",
    "Orv",
    "Tam",
]
NAME_TAILS = [
    "a",
    "aby",
    "ander",
    "ard",
    "ella",
    "en",
    "eric",
    "ild",
    "ina",
    "is",
    "olo",
    "ora",
    "oth",
    "ric",
    "ury",
    "wen",
]
PATTERNS = ("{1}'s {2}", "{0} {2} of {1}", "The {2} of {1}", "{1} and the {0} {2}", "The {0} {2}")
SPELLED = {"Sci-Fi": "Science Fiction"}
HTML = b"<!DOCTYPE html><html><body><h1>503 Service Unavailable</h1></body></html>"


def invent(count: int, *, seed: int = SEED) -> pd.DataFrame:
    """Invent films: one row each, with true genres, what each source says, and the poster's cues."""
    rows: list[dict[str, Any]] = []
    lead: dict[str, Any] = {}
    left = 0
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        film = _film(number, rng)
        if left:
            left -= 1
            shared = ("genres", "artwork", "franchise", "collection_id")
            film |= {key: lead[key] for key in shared}
            film |= {key: value for key, value in lead.items() if key.startswith("cue_")}
            film["title"] = f"{lead['title']} {lead['length'] - left}"
        elif rng.random() < RATES["franchise starts"]:
            left = int(rng.integers(1, 4))
            film |= {"franchise": f"{film['title']} Collection", "collection_id": 500 + number}
            lead = film | {"length": left + 1}
        rows.append(film | _sources(film, rng))
    table = pd.DataFrame(rows).drop(columns=["decade"])
    table["decade"] = [row["decade"] for row in rows]
    table["year"] = table["year"].astype("Int64")
    return table


def _film(number: int, rng: np.random.Generator) -> dict[str, Any]:
    year = int(1950 + 75 * rng.beta(2.2, 1.2))
    decade = year // 10 * 10
    genres = grammar.SETS[rng.choice(len(grammar.SETS), p=grammar.prior(decade))]
    word = rng.choice(SECOND[str(rng.choice(sorted(genres)))].split())
    person = f"{rng.choice(NAME_HEADS)}{rng.choice(NAME_TAILS)}"
    title = str(rng.choice(PATTERNS)).format(rng.choice(FIRST), person, word)
    name = f"tt{9_000_000 + number}" if rng.random() >= RATES["no IMDb id"] else None
    month, day = rng.integers(1, 13), rng.integers(1, 29)
    return {
        "film_id": name or f"tmdb-{700_000 + number}",
        "tmdb_id": 700_000 + number,
        "imdb_id": name,
        "title": title,
        "original_language": str(
            rng.choice(LANGUAGES, p=[0.6, 0.1, 0.08, 0.06, 0.05, 0.04, 0.04, 0.03])
        ),
        "premiere": f"{year}-{month:02d}-{day:02d}",
        "year": None if rng.random() < RATES["no year"] else year,
        "decade": decade,
        "genres": sorted(genres),
        "artwork": number,
        "franchise": None,
        "collection_id": None,
        "vote_count": int(rng.lognormal(5, 1.5)),
        "popularity": round(float(rng.lognormal(2, 1)), 3),
        **{f"cue_{slot}": cue for slot, cue in grammar.draw_cues(genres, rng).items()},
    }


def _sources(film: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    said = list(film["genres"])
    if len(said) > 1 and rng.random() < RATES["TMDB drops a genre"]:
        said.remove(rng.choice(said))
    if rng.random() < RATES["TMDB adds a genre"]:
        said.append(str(rng.choice([g for g in grammar.GENRES if g not in said])))
    if rng.random() < RATES["TMDB swaps a genre"]:
        said = sorted({SWAPS.get(genre, genre) for genre in said})
    known = film["imdb_id"] is not None and rng.random() >= RATES["unknown to IMDb"]
    nothing = rng.random() < RATES["no genres"]
    chance = rng.random()
    broken = RATES["no poster"] + RATES["broken file"]
    poster = "missing" if chance < RATES["no poster"] else "broken" if chance < broken else "ok"
    return {
        "release_date": film["premiere"] if film["year"] else "",
        "tmdb_genres": [] if nothing else [SPELLED.get(genre, genre) for genre in said],
        "imdb_genres": None if nothing or not known else list(film["genres"]),
        "poster": poster,
        "poster_path": None if poster == "missing" else f"/demo{film['tmdb_id']}.jpg",
    }


def draw_poster(film: dict[str, Any], *, seed: int = SEED) -> tuple[bytes, drawing.Box | None]:
    """Return a film's poster as JPEG bytes, and its motif's box; films of a franchise share artwork."""
    rng = np.random.default_rng([seed, int(film["artwork"]), 1])
    cues = {slot: film[f"cue_{slot}"] for slot in grammar.SLOTS}
    drawn_as = str(film["franchise"] or film["title"]).removesuffix(" Collection")
    image, box = drawing.draw(drawn_as, int(film["premiere"][:4]), cues, rng)
    if film["franchise"]:
        own = np.random.default_rng([seed, int(film["tmdb_id"]), 2])
        shifted = np.asarray(image, dtype=np.float32) + own.normal(0, 6, 3)
        image = Image.fromarray(shifted.clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=86)
    return buffer.getvalue(), box


def draw_all(directory: Path, *, films: int = 1300, seed: int = SEED) -> Path:
    """Draw a studio of `films` films into a folder; a finished one of the same kind is left as it is."""
    card = {"films": films, "seed": seed, "version": VERSION}
    stamp = directory / "studio.json"
    if stamp.exists() and paths.read_json(stamp) == card:
        return directory
    stamp.unlink(missing_ok=True)
    table = invent(films, seed=seed)
    boxes = []
    for film in table.to_dict("records"):
        data, box = draw_poster(film, seed=seed)
        boxes.append(box or (None,) * 4)
        if film["poster"] == "broken":
            data = HTML if film["tmdb_id"] % 2 else data[: len(data) // 2]
        if film["poster_path"]:
            path = directory / "posters" / film["poster_path"].strip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    sides = ["box_left", "box_top", "box_right", "box_bottom"]
    table = table.join(pd.DataFrame(boxes, columns=sides, dtype=float))
    paths.write_bytes(directory / "truth.parquet", table.to_parquet())
    paths.write_bytes(directory / "title.basics.tsv.gz", _title_basics(table, seed))
    paths.write_json(stamp, card)
    return directory


def _title_basics(table: pd.DataFrame, seed: int) -> bytes:
    head = "tconst titleType primaryTitle originalTitle isAdult startYear endYear runtimeMinutes genres"
    lines = ["\t".join(head.split())]
    for film in table[table["imdb_id"].notna()].to_dict("records"):
        genres = ",".join(film["imdb_genres"]) if film["imdb_genres"] is not None else r"\N"
        year = film["premiere"][:4] if film["release_date"] else r"\N"
        cells = [film["imdb_id"], "movie", film["title"], film["title"], "0", year, r"\N", "96"]
        lines.append("\t".join([*cells, genres]))
    rng = np.random.default_rng([seed, 99])
    for number in range(400):
        genre = grammar.GENRES[int(rng.integers(10))]
        cells = [f"tt{8_000_000 + number}", "tvSeries", f"Elsewhere {number}", "Elsewhere", "0"]
        lines.append("\t".join([*cells, "1999", r"\N", r"\N", genre]))
    return gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)


def truth(directory: Path) -> pd.DataFrame:
    """Read what the studio knows of its films: true genres, cues, and the box of each main motif."""
    path = directory / "truth.parquet"
    if not path.exists():
        raise StudyError(f"{directory} holds no studio; draw one first with `studio.draw_all`.")
    table = pd.read_parquet(path)
    for column in table.columns[table.columns.str.startswith("cue_")]:
        table[column] = [cue if isinstance(cue, str) else None for cue in table[column]]
    return table


def ceiling(truth: pd.DataFrame, genres: Sequence[str]) -> NDArray[np.float64]:
    """Return the scores (films, genres) of the best possible reader of these posters."""
    places = [grammar.GENRES.index(genre) for genre in genres]
    return grammar.posterior(truth)[:, places]


def painted(
    run: str | Path, posters: NDArray[np.uint8], vocabulary: Sequence[str], *, seed: int
) -> dict[str, NDArray[np.uint8]]:
    """Return posters (n, height, width, 3) by the genre whose drawn motif was painted into them.

    Of a run whose posters were not drawn here, nothing: its genres have no known motif.
    """
    if not (paths.run_directory(run) / "studio").is_dir():
        return {}
    return {
        genre: np.stack(
            [
                drawing.with_motif(poster, genre, seed=seed + place)[0]
                for place, poster in enumerate(posters)
            ]
        )
        for genre in vocabulary
        if genre in drawing.MOTIFS
    }
