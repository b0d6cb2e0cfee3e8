"""Networks with STAC attention, their data, one training run; torch, torchvision, numpy, pyarrow."""
