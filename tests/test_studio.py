import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from postergenre import paths
from postergenre.demo import drawing, grammar, studio
from postergenre.errors import StudyError


@pytest.fixture(scope="module")
def films() -> pd.DataFrame:
    return studio.invent(2000)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studio.draw_all(tmp_path_factory.mktemp("studio"), films=120)


def test_the_same_seed_draws_the_same_posters_and_another_does_not(films: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(studio.invent(50), films.head(50))
    assert not studio.invent(50, seed=8)["title"].equals(films["title"].head(50))
    film = films.iloc[3].to_dict()
    assert studio.draw_poster(film) == studio.draw_poster(film)


def test_what_goes_wrong_goes_wrong_at_the_stated_rates(films: pd.DataFrame) -> None:
    def about(share: float, rate: float) -> bool:
        return abs(share - rate) < 4 * np.sqrt(rate * (1 - rate) / len(films))

    rates = studio.RATES
    assert about((films["poster"] == "missing").mean(), rates["no poster"])
    assert about((films["poster"] == "broken").mean(), rates["broken file"])
    assert about(films["year"].isna().mean(), rates["no year"])
    assert about(films["imdb_id"].isna().mean(), rates["no IMDb id"])
    assert 0.03 < films["franchise"].notna().mean() < 0.11
    assert films["poster_path"].isna().equals(films["poster"] == "missing")


def test_genre_sets_come_as_often_as_their_prior_says() -> None:
    rng = np.random.default_rng(0)
    chances = grammar.prior(1980)
    assert chances.sum() == pytest.approx(1)
    drawn = rng.choice(len(chances), 20_000, p=chances)
    sizes = pd.Series([len(grammar.SETS[k]) for k in drawn]).value_counts(normalize=True)
    for size, share in grammar.SIZES.items():
        assert sizes[size] == pytest.approx(share, abs=0.015)
    western = [("Western" in genres) for genres in grammar.SETS]
    assert grammar.prior(1950)[western].sum() > 2 * grammar.prior(2020)[western].sum()


@pytest.mark.parametrize("slot", grammar.SLOTS)
def test_the_chances_of_a_slots_cues_add_up_to_one(slot: str) -> None:
    total = sum(grammar.likelihood(slot, cue) for cue in (*grammar.GENRES, None))
    np.testing.assert_allclose(total, 1)


def test_cues_are_drawn_with_the_stated_probabilities() -> None:
    rng = np.random.default_rng(1)
    genres = frozenset({"Horror", "Sci-Fi"})
    cues = pd.DataFrame([grammar.draw_cues(genres, rng) for _ in range(6000)])
    told = grammar.probabilities()
    for slot in grammar.SLOTS:
        own = cues[slot].isin(genres).mean()
        assert own == pytest.approx(told.loc[slot, "own genre"], abs=0.03)
        assert cues[slot].isna().mean() == pytest.approx(told.loc[slot, "neutral"], abs=0.03)
    np.testing.assert_allclose(told.sum(axis=1), 1)


def test_the_best_possible_reader_is_calibrated_and_cannot_be_beaten_by_the_prior(
    films: pd.DataFrame,
) -> None:
    single = films[films["franchise"].isna()]
    chances = studio.ceiling(single, grammar.GENRES)
    truth = np.array([[g in genres for g in grammar.GENRES] for genres in single["genres"]])
    assert roc_auc_score(truth, chances) > 0.87
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.0)):
        inside = (chances >= low) & (chances < high)
        assert truth[inside].mean() == pytest.approx(chances[inside].mean(), abs=0.05)


@pytest.mark.parametrize("genre", grammar.GENRES)
def test_the_box_is_where_the_motif_is(genre: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cues: dict[str, str | None] = dict.fromkeys(grammar.SLOTS) | {"motif": genre}
    drawn = [drawing.draw("", 2005, cues, np.random.default_rng(seed)) for seed in range(4)]
    monkeypatch.setitem(drawing.MOTIFS, genre, lambda *_: 1.0)
    for seed, (poster, box) in enumerate(drawn):
        empty, _ = drawing.draw("", 2005, cues, np.random.default_rng(seed))
        assert box is not None
        left, top, right, bottom = box
        assert 0.03 < (right - left) * (bottom - top) < 0.35
        difference = np.asarray(poster, np.float32) - np.asarray(empty, np.float32)
        rows, columns = np.nonzero(np.abs(difference).sum(axis=2) > 120)
        above = rows < 0.85 * drawing.HEIGHT  # the credits below draw on, from other numbers
        x, y = columns[above] / drawing.WIDTH, rows[above] / drawing.HEIGHT
        inside = (left - 0.02 <= x) & (x <= right + 0.02) & (top - 0.02 <= y) & (y <= bottom + 0.02)
        assert len(inside) > 300
        assert inside.mean() > 0.95


def test_posters_have_tmdbs_size_and_some_files_are_broken(drawn: Path) -> None:
    truth = studio.truth(drawn)
    for film in truth.to_dict("records"):
        if film["poster"] == "ok":
            with Image.open(drawn / "posters" / film["poster_path"].strip("/")) as image:
                image.load()
                assert image.size == (185, 278)
    assert len(list((drawn / "posters").iterdir())) == truth["poster_path"].notna().sum()


def test_films_of_a_franchise_share_their_artwork_but_not_their_file(films: pd.DataFrame) -> None:
    family = films[films["franchise"] == films["franchise"].dropna().iloc[0]].to_dict("records")
    assert len(family) > 1
    one, other = (studio.draw_poster(film)[0] for film in family[:2])
    pixels = [
        np.asarray(Image.open(io.BytesIO(x)).resize((8, 12)), np.float32) for x in (one, other)
    ]
    assert one != other
    assert np.abs(pixels[0] - pixels[1]).mean() < 40


def test_imdbs_file_has_its_form(drawn: Path) -> None:
    with gzip.open(drawn / "title.basics.tsv.gz", "rt") as file:
        head, *lines = file.read().splitlines()
    assert head.split("\t")[0] == "tconst"
    assert all(len(line.split("\t")) == 9 for line in lines)
    assert sum("\ttvSeries\t" in line for line in lines) == 400


def test_a_finished_studio_is_left_as_it_is(drawn: Path) -> None:
    before = (drawn / "truth.parquet").stat().st_mtime_ns
    studio.draw_all(drawn, films=120)
    assert (drawn / "truth.parquet").stat().st_mtime_ns == before
    assert paths.read_json(drawn / "studio.json")["films"] == 120


def test_an_empty_folder_is_no_studio(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no studio"):
        studio.truth(tmp_path)


@pytest.mark.parametrize("genre", grammar.GENRES)
def test_a_motif_painted_into_a_poster_changes_its_own_place(genre: str) -> None:
    down, right = np.mgrid[: drawing.HEIGHT, : drawing.WIDTH]
    poster = np.stack([down * 0.4, right * 0.6, (down + right) * 0.3], axis=2).astype(np.uint8)
    kept = poster.copy()
    painted, box = drawing.with_motif(poster, genre)
    np.testing.assert_array_equal(poster, kept)
    assert painted.shape == poster.shape
    assert painted.dtype == np.uint8
    assert box is not None
    left, top, side, foot = box
    assert 0.03 < (side - left) * (foot - top) < 0.35
    x, y = (right + 0.5) / drawing.WIDTH, (down + 0.5) / drawing.HEIGHT
    inside = (left - 0.03 <= x) & (x <= side + 0.03) & (top - 0.03 <= y) & (y <= foot + 0.03)
    changed = np.abs(painted.astype(int) - poster).max(axis=2)
    assert (changed[inside] > 20).mean() > 0.1
    # Animation's sparkles and Action's sparks fly about the box, and little else does.
    assert (changed[~inside] > 20).mean() < 0.02
    again, _ = drawing.with_motif(poster, genre)
    np.testing.assert_array_equal(painted, again)


def test_a_motif_is_painted_into_posters_of_any_size_and_leaves_fine_detail_outside_alone() -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    poster = tiles.repeat(24, axis=0).repeat(21, axis=1)
    painted, box = drawing.with_motif(poster, "Western")
    assert painted.shape == poster.shape == (192, 126, 3)
    assert box is not None
    above = slice(0, int((box[1] - 0.05) * 192))
    np.testing.assert_array_equal(painted[above], poster[above])


def test_a_motif_nobody_draws_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Motifs are drawn for Action, .*'Opera' came"):
        drawing.with_motif(np.zeros((48, 32, 3), np.uint8), "Opera")


def test_motifs_are_painted_where_posters_were_drawn_and_nowhere_else(tmp_path: Path) -> None:
    posters = np.full((3, 48, 32, 3), 120, dtype=np.uint8)
    assert studio.painted(tmp_path, posters, ["Horror", "Western"], seed=1) == {}
    (tmp_path / "studio").mkdir()
    painted = studio.painted(tmp_path, posters, ["Horror", "Opera", "Western"], seed=1)
    assert list(painted) == ["Horror", "Western"]  # an opera has no motif here
    for one in painted.values():
        assert one.shape == posters.shape
        assert ((one != posters).any(axis=(1, 2, 3))).all()
    assert (painted["Horror"][0] != painted["Horror"][1]).any()  # each in colours of its own
    again = studio.painted(tmp_path, posters, ["Horror"], seed=1)
    np.testing.assert_array_equal(again["Horror"], painted["Horror"])
