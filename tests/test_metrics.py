from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import part
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from postergenre import metrics, reading
from postergenre.films import Part

# Six films, three genres, worked out by hand.
TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=bool)
SCORES = np.array(
    [
        [0.9, 0.2, 0.1],
        [0.8, 0.7, 0.2],
        [0.6, 0.5, 0.1],
        [0.3, 0.1, 0.4],
        [0.2, 0.6, 0.3],
        [0.1, 0.3, 0.2],
    ]
)


def population(films: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((films, 3)) < [0.5, 0.3, 0.2]
    scores = np.clip(0.3 * truth + rng.random((films, 3)) * 0.7, 0.01, 0.99)
    names = np.array(["A", "B", "C"])
    major = [names[row][0] if row.sum() == 1 else None for row in truth]
    side = rng.choice(["train", "validation", "test"], films, p=[0.4, 0.3, 0.3])
    table = pd.DataFrame({"split": side, "major": major})
    test = table[(table["split"] == "test") & table["major"].notna()]
    chosen = test.groupby("major").sample(5, random_state=0).index
    return table.assign(balanced=table.index.isin(chosen)), truth, scores


def test_hits_and_accuracy_are_as_counted_by_hand() -> None:
    found = metrics.multilabel(TRUTH, SCORES, np.array([0.5, 0.5, 0.35]))
    assert found["hit_at_1"] == pytest.approx(3 / 6)  # films 1, 2 and 4
    assert found["hit_at_3"] == 1
    # above one half: films 3 and 5 wrong in genres 1 and 2, and both films of genre 3 missed
    assert found["label_accuracy"] == pytest.approx(12 / 18)
    # genre 1: 2 of 3 found, 1 false; genre 2: 2 of 2, 1 false; genre 3: 1 of 2
    assert found["macro_f1"] == pytest.approx((4 / 6 + 4 / 5 + 2 / 3) / 3)
    # above one threshold of 0.5: six answers, four of them among the seven right ones
    assert found["micro_f1"] == pytest.approx(8 / 13)
    lower = metrics.multilabel(TRUTH, SCORES, np.array([0.5, 0.5, 0.35]), 0.4)
    assert lower["micro_f1"] == pytest.approx(10 / 14)
    # genre 1 wins 7 of 9 pairs, genre 2 all but one of 8, genre 3 6.5 of 8
    assert found["macro_auroc"] == pytest.approx((7 / 9 + 7 / 8 + 6.5 / 8) / 3)


def test_a_constant_answer_has_the_base_rates() -> None:
    frequencies = np.tile(TRUTH.mean(axis=0), (6, 1))
    found = metrics.multilabel(TRUTH, frequencies, np.array([0.9, 0.9, 0.9]))
    assert found["macro_auroc"] == 0.5
    assert found["map"] == pytest.approx(TRUTH.mean())
    assert found["label_accuracy"] == pytest.approx(1 - TRUTH.mean())
    assert found["hit_at_1"] == pytest.approx(0.5)


def test_the_base_of_label_wise_accuracy_is_what_silence_scores() -> None:
    table, truth, scores = population(800)
    row = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=5).table
    silence = 1 - truth[table["split"] == "test"].mean()
    assert row.loc["label_accuracy", "base"] == pytest.approx(silence, abs=0.03)
    assert row.loc["balanced_top1", "base"] == pytest.approx(1 / 3)
    assert row.loc["macro_auroc", "base"] == 0.5


def test_the_threshold_is_the_best_one_on_the_given_films() -> None:
    cuts = metrics.thresholds(part("validation", TRUTH), SCORES)
    best = metrics.multilabel(TRUTH, SCORES, cuts)["macro_f1"]
    others = np.random.default_rng(0).random((300, 3))
    assert all(metrics.multilabel(TRUTH, SCORES, cut)["macro_f1"] <= best for cut in others)


def test_the_base_of_micro_f1_names_as_many_frequent_genres_as_pay() -> None:
    table, truth, scores = population(900)
    row = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=5).table
    held = truth[(table["split"] == "test").to_numpy()]
    by_hand = [2 * held[:, :k].sum() / (k * len(held) + held.sum()) for k in (1, 2, 3)]
    assert row.loc["micro_f1", "base"] == pytest.approx(max(by_hand))
    assert by_hand[0] > by_hand[2]  # naming everything, as for macro F1, would be a weaker base


def test_fixed_answers_are_taken_as_they_are() -> None:
    table, truth, _ = population(600)
    first = np.zeros(truth.shape)
    first[:, 0] = 1
    result = metrics.evaluate(table, truth, first, list("ABC"), list("ABC"), fixed=True, repeats=2)
    np.testing.assert_array_equal(result.chances, first)
    held = truth[(table["split"] == "test").to_numpy()]
    silence = (first[: len(held)].astype(bool) == held).mean()
    assert result.table.loc["label_accuracy", "value"] == pytest.approx(silence)


def test_balanced_top1_counts_each_genre_once() -> None:
    expected = np.array(["Drama"] * 8 + ["Horror"] * 2)
    assert metrics.balanced_top1(expected, np.array(["Drama"] * 10)) == 0.5
    table = metrics.major_report(expected, np.array(["Drama"] * 10), repeats=20)
    assert table.loc["top1", ["value", "base"]].tolist() == [0.8, 0.8]


def test_an_interval_holds_the_true_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for trial in range(120):
        sample = rng.normal(0, 1, 60)

        def mean(at: np.ndarray, sample: np.ndarray = sample) -> dict[str, float]:
            return {"mean": float(sample[at].mean())}

        drawn = metrics.resample(mean, 60, repeats=200, seed=trial)
        row = metrics.interval({"mean": sample.mean()}, drawn).loc["mean"]
        held += row["low"] <= 0 <= row["high"]
    assert 105 <= held <= 119


def test_the_same_scores_do_not_differ_from_themselves() -> None:
    same = lambda at: {"x": float(at.mean())}  # noqa: E731
    assert (metrics.difference(same, same, 50, repeats=20) == 0).all(axis=None)


def test_calibration_makes_chances_of_scores() -> None:
    rng = np.random.default_rng(2)
    chance = rng.random((4000, 2)) * 0.5
    truth = rng.random((4000, 2)) < chance
    overdone = 1 / (1 + np.exp(-(reading.logit(chance) * 2 + 2)))
    lines = metrics.fit_calibration(part("validation", truth, slice(2000)), overdone)
    before = metrics.calibration_error(truth[2000:], overdone[2000:])
    after = metrics.calibration_error(truth[2000:], reading.calibrate(overdone[2000:], lines))
    assert before > 0.1
    assert after < 0.03


def test_coverage_is_counted_from_the_surest_film() -> None:
    right, sure = np.array([True, False, True, True]), np.array([0.9, 0.1, 0.8, 0.7])
    chosen = part("validation", right[:, None])
    curve = metrics.coverage(right, sure)
    assert curve["accuracy"].tolist() == [1, 1, 1, 0.75]
    cut = metrics.sure_enough(chosen, right, sure, 0.9, at_least=1)
    assert cut == 0.7
    assert metrics.answered(curve, cut) == {"share": 0.75, "right": 1}
    assert (
        metrics.sure_enough(chosen, right, sure, 0.9) == np.inf
    )  # fewer than twenty films prove nothing
    none = metrics.answered(curve, np.inf)
    assert none["share"] == 0
    assert np.isnan(none["right"])


def test_the_base_of_hit_at_3_is_the_triple_that_is_on_most_films() -> None:
    truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)
    assert sorted(metrics._three_most(truth)) in ([0, 1, 3], [0, 2, 3])


def test_a_constant_answer_is_not_calibrated() -> None:
    same = np.tile([0.2, 0.7], (6, 1))
    np.testing.assert_allclose(
        reading.calibrate(same, metrics.fit_calibration(part("validation", TRUTH[:, :2]), same)),
        same,
    )


def test_test_films_choose_nothing() -> None:
    table, truth, scores = population(600)
    one = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=2)
    held = (table["split"] == "test").to_numpy()
    turned = scores.copy()
    turned[held] = 1 - turned[held]
    other = metrics.evaluate(table, truth, turned, list("ABC"), list("ABC"), repeats=2)
    np.testing.assert_array_equal(one.thresholds, other.thresholds)
    np.testing.assert_array_equal(one.calibration, other.calibration)
    assert one.table.loc["macro_auroc", "value"] > 0.6 > other.table.loc["macro_auroc", "value"]


def test_shares_are_chances_among_films_that_have_one_of_several_independent_genres() -> None:
    rng = np.random.default_rng(3)
    chances = np.tile([0.6, 0.3, 0.2], (200_000, 1))
    carried = rng.random(chances.shape) < chances

    def shares(given: np.ndarray, majors: str) -> np.ndarray:
        plain = reading.plain_scaling(majors)
        return reading.major_shares(given, ["A", "B", "C"], list(majors), plain)[0]

    one = carried.sum(axis=1) == 1
    np.testing.assert_allclose(shares(chances, "ABC"), carried[one].mean(axis=0), atol=0.005)
    one = carried[:, 1:].sum(axis=1) == 1
    two = shares(chances, "CB")
    np.testing.assert_allclose(two[::-1], carried[one, 1:].mean(axis=0), atol=0.005)
    np.testing.assert_allclose(shares(np.array([[0.0, 0.0, 1.0]]), "AB"), 0.5)
    assert reading.major_choice(np.array([[0.2, 0.8]]), ["A", "B"]).tolist() == ["B"]


def test_scaled_shares_are_chances_where_genres_keep_company() -> None:
    rng = np.random.default_rng(4)
    strength = rng.normal(size=(200_000, 3)) * 1.5 - [0, 1, 1]
    chances = 1 / (1 + np.exp(-strength))
    truth = rng.random(chances.shape) < chances
    truth[:, 0] |= truth[:, 1] & (rng.random(len(truth)) < 0.9)  # B seldom comes without A
    names = np.array(["A", "B", "C"])
    major = np.where(truth.sum(axis=1) == 1, names[truth.argmax(axis=1)], "none")
    side = rng.choice(["validation", "test"], len(truth))
    part = Part(pd.DataFrame({"split": side}), truth, "validation")
    scaling = metrics.fit_scaling(part, chances, major, list("ABC"), list("ABC"))
    asked = (side == "test") & (major != "none")
    shares = reading.major_shares(chances[asked], list("ABC"), list("ABC"), scaling)
    plain = reading.major_shares(
        chances[asked], list("ABC"), list("ABC"), reading.plain_scaling("ABC")
    )
    share_of_b = (major[asked] == "B").mean()
    assert plain[:, 1].mean() > 3 * share_of_b
    assert shares[:, 1].mean() == pytest.approx(share_of_b, abs=0.005)
    right = reading.major_choice(shares, list("ABC")) == major[asked]
    assert shares.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.01)
    few = Part(pd.DataFrame({"split": side}), truth, "validation", among=np.arange(len(side)) < 0)
    nothing = metrics.fit_scaling(few, chances, major, list("ABC"), list("ABC"))
    np.testing.assert_array_equal(nothing, reading.plain_scaling("ABC"))


def test_numbers_are_named_after_their_measure() -> None:
    table, truth, scores = population(600)
    result = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=5)
    told = result.numbers("custom")
    assert told["custom_map"] == result.table.loc["map", "value"]
    assert told["custom_map_low"] <= told["custom_map"] <= told["custom_map_high"]


def test_for_machines_each_measure_has_value_interval_and_base() -> None:
    table, truth, scores = population(2000)
    result = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=20)
    plain = result.plain()
    assert {"macro_auroc", "macro_f1", "balanced_top1", "coverage_at_85", "ece"} <= set(plain)
    assert all(set(row) == {"value", "low", "high", "base"} for row in plain.values())
    reached = plain["coverage_at_85"]
    assert reached["low"] <= reached["value"] <= reached["high"]
    assert reached["base"] == 0


def test_fewer_majors_ask_about_their_own_films_only() -> None:
    table, truth, scores = population(2000)
    few = metrics.evaluate(table, truth, scores, list("ABC"), list("AB"), repeats=2)
    asked = (table["split"] == "test") & table["major"].isin(["A", "B"])
    assert few.confusion.to_numpy().sum() == (asked & table["balanced"]).sum()
    assert len(few.coverage) == asked.sum()
    assert few.table.loc["balanced_top1", "base"] == 0.5


def test_hits_are_counted_part_by_part_with_an_interval() -> None:
    part = pd.Series(["old"] * 8 + ["new"] * 2, name="age")
    hit = np.array([True] * 6 + [False] * 2 + [True] * 2)
    base = np.array([True] * 4 + [False] * 6)
    found = metrics.hits_by(part, hit, base)
    assert found.loc["old", ["films", "value", "base"]].tolist() == [8, 0.75, 0.5]
    assert found.loc["new", ["films", "value", "base"]].tolist() == [2, 1, 0]
    # Of the eight, two are hit where the base is not and none the other way: 2/8, give or take
    # 1.96 times the root of (2/8 - (2/8)^2) 8/7 / 8.
    reach = 1.96 * np.sqrt((2 / 8 - 4 / 64) / 7)
    told = found.loc["old", ["ahead", "low", "high"]].tolist()
    assert told == pytest.approx([0.25, 0.25 - reach, 0.25 + reach])


def test_intervals_of_measures_that_repeated_films_raise_lie_about_their_value() -> None:
    table, truth, scores = population(2000)
    result = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=100)
    for measure in ("map", "ece"):
        value, low, high = result.table.loc[measure, ["value", "low", "high"]]
        assert low < value < high
    samples = pd.DataFrame({"map": [0.5, 0.6, 0.7], "x": [0.5, 0.6, 0.7]})
    found = metrics.interval({"map": 0.5, "x": 0.5}, samples, level=1)
    assert found.loc["map"].tolist() == pytest.approx([0.5, 0.3, 0.5])
    assert found.loc["x"].tolist() == pytest.approx([0.5, 0.5, 0.7])


def test_the_interval_of_a_difference_may_lie_below_zero() -> None:
    behind = metrics.difference(
        lambda at: {"map": float(at.mean())}, lambda at: {"map": 99.5}, 100, repeats=50
    )
    low, high = behind.loc["map", ["low", "high"]]
    assert -60 < low < -50 < high < -40


def test_the_interval_of_what_is_answered_knows_that_its_cut_was_chosen() -> None:
    table, truth, scores = population(2000)
    result = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=100)
    asked = len(result.named)
    low, high = result.passing.loc["share", ["low", "high"]]
    share = result.passing.loc["share", "value"]
    # With the cut held fixed, a share's interval is its binomial one.
    assert high - low > 1.2 * 2 * 1.96 * np.sqrt(share * (1 - share) / asked)


def test_always_naming_one_genre_has_an_interval_of_plain_top1() -> None:
    expected = np.repeat(["Drama", "War"], [200, 200])
    table = metrics.major_report(expected, np.full(400, "Drama"), repeats=400)
    low, high = table.loc["top1", ["low", "high"]]
    # Had each sample as many films of each genre, the interval would be a point.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 400), rel=0.2)
    assert table.loc["balanced_top1", ["low", "high"]].tolist() == [0.5, 0.5]


def test_what_is_answered_stands_beside_its_own_most_frequent_genre() -> None:
    table, truth, scores = population(300)
    result = metrics.evaluate(table, truth, scores, list("ABC"), list("ABC"), repeats=2)
    named = pd.DataFrame(
        {"major": list("AABAC"), "likeliest": list("AAABC"), "sure": [0.9, 0.8, 0.7, 0.6, 0.1]}
    )
    kept = replace(result, named=named, cut=0.6).kept()
    assert kept == {"films": 4, "right": 0.5, "base": 0.75, "named": "A 75%, B 25%"}
    none = replace(result, named=named, cut=float("inf")).kept()
    assert none["films"] == 0
    assert np.isnan(none["base"])
    assert none["named"] == ""


def test_genre_by_genre_only_what_chance_does_not_explain_is_ahead() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random((800, 3)) < 0.3
    noise = rng.normal(size=(2, 800, 3))
    told = truth * [1.0, 1.0, 0.0]
    found = metrics.ahead_by_genre(
        truth, noise[0] + told * [2, 1, 1], noise[1] + told * [1, 2, 1], list("ABC"), repeats=200
    )
    assert found["sure"].tolist() == [True, True, False]
    assert found.loc["A", "low"] > 0 > found.loc["B", "high"]
    assert found.loc["C", "low"] < 0 < found.loc["C", "high"]


def test_two_equal_sources_agree_fully() -> None:
    table = metrics.agreement(TRUTH, TRUTH, ["a", "b", "c"])
    assert (table[["precision", "recall", "kappa"]] == 1).all(axis=None)


def test_a_learning_curve_is_carried_on_by_its_own_law() -> None:
    sizes, ahead = [500, 1000, 2000, 4000, 8000], [16_000, 100_000]

    def law(size: int) -> float:
        return 0.8 - 0.9 * size**-0.35

    found = metrics.carried_on(sizes, [law(size) for size in sizes], ahead)
    np.testing.assert_allclose(found, [law(size) for size in ahead], atol=1e-4)
    assert np.isnan(metrics.carried_on(sizes[:2], [0.6, 0.7], ahead)).all()


def test_auroc_is_that_of_scikit_learn_and_unknown_where_nobody_or_everybody_carries_it() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((80, 5)) < 0.3
    truth[:, 3], truth[:, 4] = False, True
    scores = rng.random((80, 5)).round(1)  # with ties
    found = metrics.auroc_by_genre(truth, scores)
    for genre in range(3):
        assert found[genre] == pytest.approx(roc_auc_score(truth[:, genre], scores[:, genre]))
    assert np.isnan(found[3:]).all()


def test_auroc_within_strata_compares_films_of_one_decade_only() -> None:
    decade = np.repeat([1940.0, 1990.0], 4)
    carried = np.array([1, 1, 1, 0, 0, 0, 0, 1], dtype=bool)
    by_decade = np.where(decade == 1940, 0.9, 0.1)
    assert metrics.macro_auroc(carried[:, None], by_decade[:, None]) == pytest.approx(0.75)
    assert metrics.auroc_within(carried, by_decade, decade) == pytest.approx(0.5)
    inside = np.array([3, 2, 1, 0, 2, 1, 0, 3]) / 10
    assert metrics.auroc_within(carried, inside, decade) == pytest.approx(1)
    assert metrics.auroc_within(carried, inside, np.zeros(8)) < 1
    assert np.isnan(metrics.auroc_within(carried, inside, np.arange(8.0)))


def test_macro_auroc_leaves_out_what_no_film_carries() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], dtype=bool)
    assert metrics.macro_auroc(truth, np.array([[0.9, 0], [0.8, 1], [0.7, 0], [0.1, 1]])) == 0.75


def test_kappa_is_that_of_scikit_learn_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(1)
    first = rng.random((400, 3)) < [0.5, 0.2, 0.05]
    second = first ^ (rng.random((400, 3)) < 0.1)
    table = metrics.agreement(first, second, ["a", "b", "c"])
    plain = [cohen_kappa_score(a, b) for a, b in zip(first.T, second.T, strict=True)]
    np.testing.assert_allclose(table["kappa"], plain)
    assert (table["kappa_low"] < table["kappa"]).all()
    assert (table["kappa"] < table["kappa_high"]).all()
    width = table["kappa_high"] - table["kappa_low"]
    few = metrics.agreement(first[:100], second[:100], ["a", "b", "c"])
    ratio = (few["kappa_high"] - few["kappa_low"]) / width
    assert ratio[["a", "b"]].between(1.4, 2.8).all()  # a quarter of the films: twice as wide


def test_a_genre_that_one_source_has_no_word_for_is_neither_compared_nor_confused() -> None:
    first = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=bool)
    second = np.array([[0, 1, 1], [1, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=bool)
    table = metrics.agreement(first, second, ["a", "b", "c"])
    assert table.loc["c", ["kappa", "kappa_low", "kappa_high"]].isna().all()
    found = metrics.confusions(first, second, ["a", "b", "c"])
    assert found[["first", "second", "films"]].to_numpy().tolist() == [["a", "b", 1], ["b", "a", 1]]
    assert [places.tolist() for places in found["places"]] == [[0], [3]]
    assert metrics.ceiling(first, second) == {"macro_f1": 0.5, "micro_f1": 0.5, "same": 0.5}


def test_without_films_that_two_sources_know_nothing_is_confused() -> None:
    none = np.empty((0, 2), dtype=bool)
    assert metrics.confusions(none, none, ["a", "b"]).empty
    assert np.isnan(metrics.ceiling(none, none)["macro_f1"])
    assert metrics.agreement(none, none, ["a", "b"])["kappa_low"].isna().all()
