"""Where does a network of yours tell classes apart? Its map, without a study."""

import torch
from torchvision.models import resnet18

import stac

network = resnet18(num_classes=3)  # yours: with its trained weights, in any mode, on any device
images = torch.randn(90, 3, 32, 32)  # yours: not trained on, normalised as the network wants them
labels = torch.arange(90) % 3
for label in range(3):
    images[labels == label, :, 10 * label : 10 * label + 10] += 1

chart = stac.classrepsim(network, images, labels, scales=(1, 2))
for stage in chart.stages():
    print(stage[0].place, [f"{reading.cells}: {reading.crs:.2f}" for reading in stage])
stac.plot_map(chart).savefig("map.png")
