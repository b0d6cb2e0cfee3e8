"""Whether a network, a recipe and data belong together; known without torch."""

from stacnet.data.images import Splits
from stacnet.protocol import Protocol
from stacnet.spec import NetworkSpec


def check_fit(spec: NetworkSpec, protocol: Protocol, splits: Splits) -> None:
    """Refuse a network, a recipe and data that do not belong together.

    Raises:
        ValueError: the rule that is broken, then the values.
    """
    wanted = (splits.classes, *splits.train.shape)
    got = (spec.classes, spec.in_channels, spec.input_size, spec.input_size)
    if got != wanted:
        raise ValueError(
            f"network must have the data's classes, channels, height and width {wanted}, got {got}"
        )
    if protocol.batch_size > len(splits.train):
        raise ValueError(
            f"batch_size must not exceed the training images, got {protocol.batch_size} "
            f"for {len(splits.train)} images"
        )
    if protocol.crop_padding >= spec.input_size:
        raise ValueError(
            f"crop_padding must be less than the image (it reflects), got "
            f"crop_padding={protocol.crop_padding} for {spec.input_size} pixels"
        )
