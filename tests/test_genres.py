from postergenre import genres


def test_tmdb_and_imdb_meet_in_one_vocabulary() -> None:
    assert genres.common(["Science Fiction", "Drama"]) == ["Drama", "Sci-Fi"]
    assert genres.common(["Sci-Fi", "Drama"]) == ["Drama", "Sci-Fi"]


def test_formats_are_no_genres() -> None:
    assert genres.common(["Short", "TV Movie", "Talk-Show", "Comedy"]) == ["Comedy"]


def test_words_of_neither_source_are_left_out() -> None:
    assert genres.common(["Blaxploitation", "Western"]) == ["Western"]


def test_every_genre_of_tmdb_is_understood() -> None:
    understood = {name for name in genres.TMDB.values() if genres.common([name])}
    assert set(genres.TMDB.values()) - understood == {"TV Movie"}


def test_a_film_with_two_major_genres_has_no_major_genre() -> None:
    assert genres.major(["Drama", "War"]) == "Drama"
    assert genres.major(["Drama", "Horror"]) is None
    assert genres.major(["War"]) is None
