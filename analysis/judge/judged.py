"""One predictor judged: its pick, ranks, errors, and what may be said, as plain frozen values."""

from dataclasses import dataclass
from typing import Literal

from analysis.judge.agreement import Interval

Ranking = Literal["predicts", "not told apart from a random map", "misleads", "undecided"]
Choice = Literal["competitive", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network of the study and how it did. Accuracies are shares, on seeds B.

    Args:
        scales: cells per side per stage, 0 for no attention.
        accuracy: mean with 95 % interval over seeds B; value NaN if it was not trained.
    """

    label: str
    network_id: str
    scales: tuple[int, ...]
    params: float
    macs: float
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A paired difference in accuracy between two networks on seeds B.

    Args:
        difference: first minus second, share, with t interval.
        effect_size: Cohen's d of the pairs.
        equivalence_p: TOST with the study's margin.
        within_p: one-sided, that the first is better by the margin; loss_p: that it is no better.
        images_width: half of the interval that other test images would leave at any number of
            seeds; 0 where right answers are not stored.
    """

    label: str
    difference: Interval
    effect_size: float
    equivalence_p: float
    within_p: float
    loss_p: float
    images_width: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said about a predictor, or why not.

    Words about other predictors than the primary one rest on p-values corrected by Holm.

    Args:
        ranking: whether its scores rank networks.
        choice: whether its pick is competitive with the best found (within the margin).
        seeds_needed: per network on side B, for 80 % power at the margin; null if unknown.
        reason: one sentence.
    """

    ranking: Ranking
    choice: Choice
    seeds_needed: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One predictor against the results.

    Args:
        network: its pick; family and seen: see analysis.predict.picks.
        is_blind: whether its scores do not tell networks apart (see `Pick.is_blind`).
        pick_probability: share of draws of probe images and vanilla networks in which the rule
            picks the same network; null where nothing was drawn.
        regret: accuracy of the best (selected on seeds A) minus the pick's, paired on seeds B.
        regret_bound: how far the best network of all can be above the pick, 95 %: the best found
            need not be the best.
        tied_picks: networks that share the predictor's highest score, the pick among them;
            regret_over_ties: the mean of their regrets, which owes nothing to how ties are broken.
        normalised_regret: regret / (best - mean of all networks); NaN where the best is not above
            the mean by more than the margin, for sure.
        percentile: share of networks that the pick is at least as good as, on seeds B, percent.
        tied: whether the regret's interval holds 0.
        trials_to_match: random trials expected to find something as good as the pick.
        tau: Kendall's tau-b of scores and accuracy on B; interval: jackknife over seeds, and test
            images drawn anew where right answers are stored.
        tau_p: two-sided, scores dealt at random; tau_p_random_map: a random value for each scale
            of each stage instead, as any additive rule would give; tau_p_dealt: the predictor's
            own values, dealt anew within each stage; the largest one counts.
        tau_p_on_scales: the values dealt among scales only, off stays off: small if a predictor
            knows more than that attention helps; counts for no word.
        tau_needed: the |tau| that is told apart from random maps here, at the level of the word.
        fidelity: whether gaps in score are gaps in accuracy, each in its SD: Pearson's r.
        tau_within_macs: tau among networks of like MACs.
        top_overlap: share of the best tenth of networks among the tenth scored best; averaged over
            ties.
        hypervolume_ratio, epsilon: of the predicted front's networks against the true frontier,
            per cost (macs, params, latency).
        cost_s: device seconds of the prediction, vanilla training included.
        cost_ratio: the search's device seconds over cost_s.
        break_even_trials: trainings that cost as much as the prediction.
        equivalence_p: TOST on the regret; within_p: one-sided, that it is not within the margin;
            loss_p: one-sided, that there is none; *_holm: adjusted over all secondary predictors.
        effect_size: Cohen's d of the regret; images_width: see Contrast, of the regret.
    """

    name: str
    family: str
    seen: str | None
    network: Network
    is_blind: bool
    pick_probability: float | None
    regret: Interval
    regret_bound: float
    tied_picks: int
    regret_over_ties: float
    normalised_regret: float
    percentile: Interval
    tied: bool | None
    trials_to_match: float
    tau: Interval
    tau_p: float
    tau_p_random_map: float
    tau_p_dealt: float
    tau_p_on_scales: float
    tau_p_holm: float
    tau_needed: float
    spearman: float
    fidelity: float
    tau_within_macs: float
    top_overlap: float
    hypervolume_ratio: dict[str, float]
    epsilon: dict[str, float]
    cost_s: float
    cost_ratio: float
    break_even_trials: float
    equivalence_p: float
    equivalence_p_holm: float
    within_p: float
    within_p_holm: float
    loss_p: float
    loss_p_holm: float
    effect_size: float
    images_width: float
    verdict: Verdict

    @property
    def ranking_p(self) -> float:
        """The largest p of its tau, uncorrected; NaN if there is none."""
        found = (self.tau_p, self.tau_p_random_map, self.tau_p_dealt)
        return max((p for p in found if p == p), default=float("nan"))
