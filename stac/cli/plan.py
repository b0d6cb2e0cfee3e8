"""`stac plan`: what a study could show, before anything is trained."""

import json
from dataclasses import asdict

from search.study.networks import LARGEST, is_too_large, networks
from search.study.studies import load_study, override
from stac.cli.flag_values import assignments
from stac.cli.study_commands import Plan


def run(command: Plan) -> None:
    """Print the sentences, or every number.

    Raises:
        ValueError: the space is too large to list.
    """
    from analysis.judge.comparison import plain
    from analysis.judge.plan import power_of, power_sentences

    study = override(load_study(command.study), assignments(command.override))
    if is_too_large(study):
        raise ValueError(
            f"a plan is made for a space of at most {LARGEST:,} points, got {study.space.size():,}"
        )
    power = power_of(study, networks(study.space))
    if command.json:
        print(json.dumps(plain(asdict(power))))
        return
    for sentence in power_sentences(power):
        print(sentence)
