"""Networks with STAC attention, the data they see, and one training run; needs torch, torchvision, numpy, pyarrow."""
