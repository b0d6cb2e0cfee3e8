"""A gate in a network of yours: STAC behind a layer of torchvision's ResNet-18, and its price."""

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, resnet18

import stac
from stacnet.attention import make_gate
from stacnet.cost import cost

network = resnet18(num_classes=10).eval()  # yours, with its trained weights
images = torch.randn(4, 3, 64, 64)
with torch.no_grad():
    before = network(images)

# `mul_res` adds a times the gated map, with a = 0 at the start: nothing changes until it learns.
gate = make_gate(128, stac.AttentionSpec(scale=2, kernel=3, reduction=16, fuse="mul_res"))
block = network.layer2[-1]
assert isinstance(block, BasicBlock)
block.bn2 = nn.Sequential(block.bn2, gate)  # the block's last norm, before the addition
with torch.no_grad():
    print("the same output as before:", torch.equal(network(images), before))
print("parameters of the gate:", sum(weight.numel() for weight in gate.parameters()))

for scale in (1, 2, 4, None):  # in every block of a ResNet-18; None is the map itself
    attention = stac.AttentionSpec(scale=scale, kernel=3, reduction=16)
    spec = stac.resnet(18, input_size=64, classes=10, attention=attention)
    more = cost(spec).macs / cost(spec.vanilla).macs - 1
    print(f"scale {scale or 'native'}: {more:.2%} more multiplications than vanilla")
