import numpy as np
import pandas as pd
import pytest

from postergenre import films
from postergenre.errors import StudyError

MAJORS = ("Drama", "Comedy", "Horror")


def catalogue(*rows: dict[str, object]) -> pd.DataFrame:
    plain = {"title": "A Title", "year": 2000, "franchise": None, "poster": "p.jpg", "sha256": ""}
    genres = {"imdb_genres": None, "tmdb_genres": None, "other_genres": None}
    ids = [{"film_id": str(n), "phash": f"{n * 0x1F3F_0F5A_3C69:016x}"} for n in range(len(rows))]
    return pd.DataFrame(
        [{**plain, **genres, **known, **row} for known, row in zip(ids, rows, strict=True)]
    )


def many(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lists = [sorted(rng.choice([*MAJORS, "War"], rng.integers(1, 3), False)) for _ in range(count)]
    table = pd.DataFrame({"film_id": [str(n) for n in range(count)], "genres": lists})
    table["group"] = np.arange(count) // 3
    table["major"] = [row[0] if len(row) == 1 and row[0] in MAJORS else None for row in lists]
    return table


def test_imdb_comes_before_tmdb_and_others() -> None:
    table = catalogue(
        {"imdb_genres": ["Drama"], "tmdb_genres": ["Comedy"]},
        {"tmdb_genres": ["Science Fiction"], "other_genres": ["War"]},
        {"imdb_genres": ["Short"], "tmdb_genres": ["Comedy"]},
        {"other_genres": ["War"]},
        {},
    )
    assert films.study_genres(table).tolist() == [["Drama"], ["Sci-Fi"], ["Comedy"], ["War"], []]


def test_the_funnel_counts_every_step() -> None:
    table = catalogue(
        {"imdb_genres": ["Drama"]},
        {"imdb_genres": ["Drama", "Horror"]},
        {"imdb_genres": ["War"]},
        {"imdb_genres": ["Drama"], "poster": None},
        {},
        {"imdb_genres": ["Drama"], "tmdb_genres": ["Comedy"]},
    )
    chosen, funnel = films.population(table, minimum_films=2, majors=MAJORS)
    assert funnel.tolist() == [6, 5, 4, 3, 1]
    assert chosen["genres"].tolist() == [["Drama"]] * 3
    assert chosen["major"].tolist() == ["Drama", None, None]  # two majors; sources disagree


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Ring", "Ring Two"),
        ("Toy Story", "Toy Story 3"),
        ("Rocky", "Rocky IV"),
        ("The Hobbit", "The Hobbit: The Battle of the Five Armies"),
        ("Kill Bill: Vol. 1", "Kill Bill: Vol. 2"),
        ("Saw", "Saw II"),
        ("It", "It Chapter Two"),
        ("300", "300: Rise of an Empire"),
        ("Harry Potter and the Chamber of Secrets", "Harry Potter and the Goblet of Fire"),
    ],
)
def test_sequels_share_a_title_stem(one: str, other: str) -> None:
    assert films.title_stem(one) == films.title_stem(other)


@pytest.mark.parametrize(("one", "other"), [("Alien", "Aliens in the Attic"), ("Up", "Us")])
def test_other_films_do_not(one: str, other: str) -> None:
    assert films.title_stem(one) != films.title_stem(other)


def test_a_title_that_begins_with_anothers_words_is_of_its_series() -> None:
    titles = [
        "The Dark Knight Rises",
        "The Dark Knight",
        "Love Actually",
        "Love",
        "New York Minute",
    ]
    assert films.series(titles) == [
        "dark knight",
        "dark knight",
        "love actually",
        "love",
        "new york minute",
    ]


@pytest.mark.parametrize("title", ["", "2", "II", "X", ": a subtitle"])
def test_a_title_that_is_nothing_but_a_number_keeps_itself(title: str) -> None:
    assert films.title_stem(title) == title.casefold()


def test_hashes_a_few_bits_apart_are_near_duplicates() -> None:
    hashes = ["00000000000000ff", "00000000000000f0", "ffffffffffffffff", "00000000000000fe"]
    assert films.near_duplicates(hashes, bits=1).tolist() == [[0, 3]]
    assert films.near_duplicates(hashes, bits=4).tolist() == [[0, 1], [0, 3], [1, 3]]
    lots = [f"{n:016x}" for n in np.random.default_rng(0).integers(0, 2**63, 1300)]
    assert films.near_duplicates([*lots, lots[3]], bits=0).tolist() == [[3, 1300]]


def test_artwork_franchise_and_title_join_films_into_one_group() -> None:
    table = catalogue(
        {"title": "Jaws", "phash": "0" * 16},
        {"title": "Jaws 2", "phash": "f" * 16},
        {"title": "Sharks", "phash": "f" * 15 + "e"},
        {"title": "Other", "phash": "0f" * 8, "franchise": "X"},
        {"title": "Another", "phash": "33" * 8, "franchise": "X"},
        {"title": "Alone", "phash": "5a" * 8},
    )
    found = films.groups(table)
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4]
    assert found.nunique() == 3


def test_a_film_is_in_exactly_one_split_and_a_group_on_one_side() -> None:
    table = many(900)
    table["split"] = films.split(table, validation=0.12, test=0.24, seed=1)
    films.check(table)
    shares = table["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.24, abs=0.02)
    assert shares["validation"] == pytest.approx(0.12, abs=0.02)
    again = films.split(table, validation=0.12, test=0.24, seed=1)
    assert again.equals(table["split"])
    assert not films.split(table, validation=0.12, test=0.24, seed=2).equals(table["split"])


def test_a_leaking_split_is_caught() -> None:
    table = many(30)
    table["split"] = ["train", "test", "validation"] * 10
    with pytest.raises(ValueError, match="10 groups stand on both sides"):
        films.check(table)


@pytest.mark.parametrize("shares", [(0, 0.2), (0.5, 0.5), (0.2, -0.1)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"together below 0\.9"):
        films.split(many(30), validation=shares[0], test=shares[1], seed=1)


def test_the_balanced_set_has_equally_many_test_films_of_each_major_genre() -> None:
    table = many(900)
    table["split"] = films.split(table, validation=0.12, test=0.24, seed=1)
    chosen = table[films.balanced(table, MAJORS, seed=1)]
    assert chosen["major"].value_counts().nunique() == 1
    assert set(chosen["major"]) == set(MAJORS)
    assert set(chosen["split"]) == {"test"}


def test_truth_has_the_order_of_the_vocabulary() -> None:
    found = films.truth([["War", "Drama"], ["Comedy"]], ["Comedy", "Drama", "War"])
    assert found.tolist() == [[False, True, True], [True, False, False]]


def test_too_few_films_are_refused_with_what_came_and_what_to_do() -> None:
    table = catalogue({"imdb_genres": ["Drama"]}, {"imdb_genres": ["Drama", "War"]})
    with pytest.raises(StudyError, match=r"No genre is on 9 films.*Drama 2, War 1.*Lower"):
        films.population(table, minimum_films=9, majors=MAJORS)
    foreign = catalogue(
        {"imdb_genres": ["drama", "Kom\u00f6die"]}, {"imdb_genres": ["drama", "Short"]}
    )
    with pytest.raises(
        StudyError, match=r"Not understood: drama, Kom\u00f6die\. Words are those of"
    ):
        films.population(foreign, minimum_films=1, majors=MAJORS)
    with pytest.raises(StudyError, match=r"such as Action, Animation, Comedy; 'Horor' came"):
        films.population(table, minimum_films=1, majors=["Drama", "Horor"])
    with pytest.raises(StudyError, match=r"40 films in 14 groups came, 25 groups of one genre"):
        films.split(many(40), validation=0.12, test=0.24, seed=1)
    table = many(90).assign(split=["test"] * 90, major="Drama")
    with pytest.raises(StudyError, match=r"Drama 90, Comedy 0 came"):
        films.balanced(table, ["Drama", "Comedy"], seed=1)
    table = many(90).assign(split=np.repeat(["train", "validation", "test"], 30))
    table.loc[table["split"] == "test", "genres"] = pd.Series([["Drama"]] * 90)
    with pytest.raises(StudyError, match=r"too few carry Comedy, Horror, War"):
        films.check(table)
