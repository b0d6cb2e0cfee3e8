"""Settings of the whole suite: properties have no deadline (machines differ), torch one thread."""

import torch
from hypothesis import settings

settings.register_profile("suite", deadline=None, max_examples=50)
settings.load_profile("suite")
torch.set_num_threads(1)
