"""Bandits against published regrets, bounds, brute force and each other."""

import numpy as np
import pytest

from channelwise.decisions.bandits.divergence import kl_bernoulli, kl_upper
from channelwise.decisions.bandits.policies import (
    Policy,
    Seen,
    epsilon_greedy,
    fixed_split,
    kl_ucb,
    sliding_window_ucb,
    thompson_beta,
    thompson_gaussian,
    ucb1,
)
from channelwise.decisions.bandits.runs import play
from channelwise.decisions.bandits.theory import lai_robbins, ucb1_bound

NEAR = np.array([0.45, 0.55])
RARE = np.array([0.05, 0.06])
POLICIES = [fixed_split(50), epsilon_greedy(), ucb1(), kl_ucb(), sliding_window_ucb(100)]
POLICIES += [thompson_beta(), thompson_beta(discount=0.99), thompson_gaussian(0.5)]
each_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)


def final(policy, means, steps=10_000, replicas=100, **options):
    regret = play(policy, means, steps, replicas=replicas, **options).regret[-1]
    return regret.mean(), regret.std() / replicas**0.5


@pytest.mark.parametrize(
    ("policy", "published"),
    [(thompson_beta(), 20.6), (ucb1(), 87.6), (epsilon_greedy(0.1), 65.1)],
    ids=["Thompson", "UCB1", "epsilon"],
)
def test_the_regret_after_ten_thousand_steps_is_the_published_one(policy, published):
    mean, error = final(policy, NEAR)
    assert abs(mean - published) < 4 * np.hypot(error, 1.1)


def test_a_fixed_split_loses_half_the_gap_at_every_step():
    mean, error = final(fixed_split(), NEAR, steps=2000)
    assert abs(mean - 2000 * 0.05) < 4 * error


def test_the_asymptotic_line_lies_far_above_what_thompson_sampling_loses():
    mean, error = final(thompson_beta(), RARE)
    assert lai_robbins(RARE, 1e4) == pytest.approx(98.3, abs=0.05)
    assert abs(mean - 17.9) < 4 * np.hypot(error, 1.0)


def test_the_finite_bound_of_ucb1_holds_and_is_the_formula():
    mean, _ = final(ucb1(), NEAR, steps=2000)
    assert mean < ucb1_bound(NEAR, 2000)
    assert ucb1_bound(NEAR, 2000) == pytest.approx(80 * np.log(2000) + (1 + np.pi**2 / 3) * 0.1)
    three = np.array([0.2, 0.5, 0.5])
    assert ucb1_bound(three, 10) == pytest.approx(8 * np.log(10) / 0.3 + (1 + np.pi**2 / 3) * 0.3)


def test_kl_ucb_loses_less_than_ucb1():
    assert final(kl_ucb(), NEAR, 2000, 60)[0] < 0.7 * final(ucb1(), NEAR, 2000, 60)[0]


def test_the_upper_rate_solves_its_equation():
    p, level = np.array([0.0, 0.05, 0.5, 0.97]), np.array([0.3, 0.01, 1.0, 0.001])
    q = kl_upper(p, level, 50)
    assert np.allclose(kl_bernoulli(p, q), level, atol=1e-8)
    assert q[0] == pytest.approx(1 - np.exp(-0.3), abs=1e-9)
    assert kl_upper(np.array([0.4]), np.array([np.inf]))[0] == pytest.approx(1)


def test_the_divergence_is_the_sum_over_both_outcomes():
    assert kl_bernoulli(0.3 * np.ones(1), 0.6 * np.ones(1))[0] == pytest.approx(
        0.3 * np.log(0.3 / 0.6) + 0.7 * np.log(0.7 / 0.4)
    )


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize(("window", "discount"), [(None, 1.0), (7, 1.0), (None, 0.8)])
def test_what_a_policy_sees_is_what_was_played(delay, window, discount):
    """Brute force: a policy that plays by lot and notes what it is shown."""
    shown = []

    def spy(seen: Seen, rng):
        shown.append((seen.n.copy(), seen.s.copy()))
        return rng.random(seen.n.shape)

    policy = Policy("spy", spy, discount=discount, window=window, random=True)
    certain = np.array([0.0, 1.0])
    plays = play(policy, certain, 30, replicas=4, delay=delay)
    rng = np.random.default_rng(0)
    rng.random((4, 2))  # the lots for equal scores
    arms = []
    for t in range(30):
        arms.append(np.argmax(rng.random((4, 2)), axis=1))
        rng.random(4)  # the reward
        known = range(max(0, t - delay - (window or t)), max(0, t - delay))
        n = np.zeros((4, 2))
        for u in known:
            n[np.arange(4), arms[u]] += discount ** (t - delay - 1 - u)
        assert np.allclose(shown[t][0], n)
        assert np.allclose(shown[t][1], n * certain)
    assert np.allclose(plays.pulls[:, 1], np.sum(arms, axis=0))
    assert np.allclose(plays.regret[-1], plays.pulls[:, 0])


@each_policy
def test_a_policy_comes_to_prefer_the_better_arm(policy):
    plays = play(policy, np.array([0.2, 0.8, 0.3]), 600, replicas=40)
    assert plays.pulls.argmax(axis=1).tolist() == [1] * 40
    assert np.all(plays.pulls.sum(axis=1) == 600)


@each_policy
def test_the_order_of_the_arms_does_not_matter(policy):
    ahead, behind = (final(policy, m, 400, 400) for m in (NEAR, NEAR[::-1].copy()))
    assert abs(ahead[0] - behind[0]) < 4 * np.hypot(ahead[1], behind[1])


@each_policy
def test_equal_arms_cost_nothing(policy):
    assert play(policy, np.array([0.3, 0.3]), 200, replicas=5).regret.max() == 0


def test_forgetting_pays_when_the_best_arm_wears_out_and_costs_when_it_does_not():
    worn = np.where(np.arange(3000)[:, None] < 2000, [0.7, 0.4], [0.1, 0.4])
    still = np.tile([0.7, 0.4], (3000, 1))
    for fixed, moving in (
        (thompson_beta(), thompson_beta(discount=0.99)),
        (sliding_window_ucb(3000), sliding_window_ucb(400)),
    ):
        assert final(moving, worn, 3000, 30)[0] < 0.5 * final(fixed, worn, 3000, 30)[0]
        assert final(moving, still, 3000, 30)[0] > 1.5 * final(fixed, still, 3000, 30)[0]


def test_a_window_that_holds_everything_is_ucb1():
    wide = play(sliding_window_ucb(500, xi=2.0), NEAR, 500, replicas=20)
    assert np.array_equal(wide.regret, play(ucb1(), NEAR, 500, replicas=20).regret)


def test_late_rewards_cost_thompson_sampling_what_is_lost_before_the_first_comes_in():
    prompt, late = (final(thompson_beta(), NEAR, 1500, 100, delay=d) for d in (0, 400))
    assert abs(late[0] - prompt[0] - 400 * 0.05) < 4 * np.hypot(prompt[1], late[1])


def test_gaussian_thompson_sampling_knows_the_posterior():
    policy = thompson_gaussian(2.0, center=1.0, spread=0.5)
    seen = Seen(np.full((200_000, 1), 3.0), np.full((200_000, 1), 9.0), 3)
    drawn = policy.scores(seen, np.random.default_rng(0))
    v = 1 / (1 / 0.25 + 3 / 4)
    assert drawn.mean() == pytest.approx(v * (1 / 0.25 + 9 / 4), abs=0.005)
    assert drawn.var() == pytest.approx(v, rel=0.02)


def test_bandit_data_read_as_a_fixed_split_are_biased_and_weights_repair_it():
    plays = play(epsilon_greedy(0.2), NEAR, 300, replicas=8000)
    error = np.nanstd(plays.weighted, axis=0) / 8000**0.5
    assert np.all(np.abs(plays.weighted.mean(axis=0) - NEAR) < 4 * error)
    naive = np.nanmean(plays.mean, axis=0) - NEAR
    assert naive[0] < -4 * np.nanstd(plays.mean[:, 0]) / 8000**0.5
    greedy = play(thompson_beta(), NEAR, 300, replicas=4000)
    assert np.nanmean(greedy.mean[:, 0]) < 0.45 - 0.01
    assert np.isnan(greedy.weighted).all()


def test_a_fixed_split_is_unbiased():
    plays = play(fixed_split(), NEAR, 300, replicas=4000)
    assert np.allclose(plays.mean.mean(axis=0), NEAR, atol=4 * 0.5 / np.sqrt(150 * 4000))


def test_the_same_seed_gives_the_same_plays():
    one, two, other = (
        play(thompson_beta(), NEAR, 50, replicas=9, seed=s).regret for s in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: play(ucb1(), np.array([0.5]), 10), "two arms or more"),
        (lambda: play(ucb1(), np.array([0.5, 1.5]), 10), r"outside \[0, 1\]"),
        (lambda: play(ucb1(), NEAR, 0), "steps is 0"),
        (lambda: play(ucb1(), np.zeros((5, 2)), 10), "5 steps, but 10"),
        (lambda: play(thompson_beta(), NEAR, 10, noise=1.0), "thompson_gaussian"),
        (lambda: epsilon_greedy(1.5), "epsilon is 1.5"),
        (lambda: thompson_beta(discount=0.0), "discount is 0"),
        (lambda: sliding_window_ucb(0), "window is 0"),
        (lambda: fixed_split(0), "trial is 0"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(call, says):
    with pytest.raises(ValueError, match=says):
        call()
