"""Eight networks of torchvision with gates, and the page that tells of them."""

from copy import deepcopy

import pytest
import torch
from networks_table import NETWORKS, PAGE, in_page, tried

from stacnet.attention_spec import AttentionSpec
from stacnet.cost import gate_cost

pytestmark = pytest.mark.slow  # takes seconds


def test_the_page_says_of_each_network_what_it_does() -> None:
    assert in_page() in PAGE.read_text(), "run: PYTHONPATH=. python tests/networks_table.py"


@pytest.mark.parametrize("name", NETWORKS)
def test_gates_in_the_last_two_stages_run_and_cost_what_they_cost_alone(name: str) -> None:
    one = tried(name)
    assert one.gated == [site.name for site in one.sites][-len(one.gated) :]
    gates = [
        gate_cost(AttentionSpec(scale=2), channels=site.channels, size=site.side)
        for site in one.sites[-len(one.gated) :]
    ]
    for field in ("params", "macs", "activations"):
        more = getattr(one.since, field) - getattr(one.before, field)
        assert more == sum(getattr(gate, field) for gate in gates) > 0
    model = deepcopy(one.model).to_empty(device="cpu").eval()
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(0.01)
    with torch.no_grad():
        logits_BN = model(torch.ones(2, 3, 64, 64))
    assert logits_BN.shape == (2, 10)
    assert logits_BN.isfinite().all()
