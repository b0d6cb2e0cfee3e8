"""A search with a prior, in this process: what is kept, what is refused, who suggested what."""

from dataclasses import replace
from pathlib import Path

import pytest
from searches import cheap
from trainables import smooth

from search.drive.run import Options, search
from search.errors import StudyError
from search.store.check import check
from search.store.hints import Hints
from search.store.sealed import seal
from search.store.store import Store
from search.study.networks import networks
from search.study.prior import turns
from search.study.study import Sampled, Study

pytestmark = pytest.mark.slow  # some searches
HERE = Options(in_process=True, progress=False, stand_in=smooth)


def sampled(trials: int) -> Study:
    """Random search on the cheap space, one seed."""
    plan = Sampled(sampler="random", trials=trials, concurrency=2)
    return replace(cheap(seeds=(0,)), name="sampled", strategy=plan)


def test_a_prior_is_kept_with_the_study_and_goes_on_when_it_is_resumed(tmp_path: Path) -> None:
    """Its networks are the best scored that the sampler has not chosen, as in an unbroken one."""
    study, among = sampled(15), networks(cheap().space)
    scores = [float(point) for point in among.points]
    pick = {"name": study.primary_rule, "scores": scores}
    file = tmp_path / "picks.json"
    file.write_text(seal({"network_ids": among.network_ids, "picks": [pick]}))
    for name, budgets in (("unbroken", (None,)), ("broken", (0.001, 0.001, None))):
        out = tmp_path / name
        for number, budget in enumerate(budgets):
            hints = Hints(prior="" if number else str(file))  # named once
            summary = search(study, out, options=replace(HERE, budget_s=budget), hints=hints)
            assert summary.finished == (budget is None)
        assert check(Store(out)) == []
        assert Store(out).study() == study
        rows = Store(out).trainings(["point", "suggested_by"]).to_pylist()
        priors = {row["point"] for row in rows if row["suggested_by"] == "prior R2+R5"}
        own = {row["point"] for row in rows if "RandomSampler(" in row["suggested_by"]}
        assert (len(priors), len(own)) == (turns(15), 15 - turns(15))
        best = [point for point in among.points[::-1] if point >= min(priors)]
        assert set(best) <= priors | own


def test_a_prior_that_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file, out = tmp_path / "picks.json", tmp_path / "out"
    file.write_text(seal({"network_ids": ["other"], "picks": [{"name": "R2+R5", "scores": [1]}]}))
    with pytest.raises(StudyError, match=r"picks\.json: network_ids: a prior must be of the 27"):
        search(sampled(9), out, options=HERE, hints=Hints(prior=str(file)))
    assert not out.exists()
