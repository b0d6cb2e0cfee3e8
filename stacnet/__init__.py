"""Networks with STAC attention, data, one training run; torch, torchvision, numpy, pyarrow."""
