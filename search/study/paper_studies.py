"""The paper's experiment as named studies: official data, published recipes, its cost envelope.

Each space holds vanilla, SE (STAC at scale 1, kernel 1), static gates and STAC. The widened
twins are no points of it, since how wide they are depends on which network wins: `stac finalists`
trains them beside it (search/study/twins.py).
"""

from collections.abc import Callable

from search.study.space import Space
from search.study.study import Exhaustive, Finalists, Resources, Sampled, Study
from stacnet.data_spec import Prepared
from stacnet.protocol import Protocol
from stacnet.spec import NetworkSpec, resnet

# The abstract's "up to 1.7 % FLOPs, 2x parameters", as it rounds them: its own cost, kernel 3,
# reduction 16, scale 2 everywhere in ResNet-50, is 1.0174 and 1.89 (docs/costs.md).
MAX_MACS_RATIO, MAX_PARAMS_RATIO = 1.0175, 2.0
# Networks of a whole space, so that a list of studies need not price them: a test counts.
WITHIN_ENVELOPE = {"cifar100-resnet20": 301}
# Training and test images of the official files, for a plan where they are not prepared yet.
OFFICIAL_IMAGES = {"imagenet64": (1_281_167, 50_000), "cifar100": (50_000, 10_000)}


def imagenet64_resnet18() -> Study:
    """The paper's question on ImageNet64x64, ResNet-18: is a pick as good as a search?"""
    return _imagenet64(18)


def imagenet64_resnet50() -> Study:
    """The paper's question on ImageNet64x64, ResNet-50, where its cost envelope comes from."""
    return _imagenet64(50)


def cifar100_resnet20() -> Study:
    """The paper's question on CIFAR-100, ResNet-20: small enough to train the whole space.

    Recipe of He et al. 2016 (arXiv 1512.03385, section 4.2): SGD 0.9, batch 128, rate 0.1, decay
    1e-4, 64,000 steps (182 epochs of 45,000 images), 5,000 images to validate on, flips, 4-pixel
    crop. Other than there: the rate falls as a cosine instead of by 10 after 32,000 and 48,000
    steps, momentum is Nesterov's, norms are not decayed, crops reflect instead of showing zeros,
    shortcuts between stages are 1x1 convolutions (their option B), bfloat16.
    """
    return Study(
        name="cifar100-resnet20",
        space=_space(resnet(20, input_size=32, classes=100), reductions=(4,)),
        protocol=Protocol(
            data=Prepared(name="cifar100", val_fraction=0.1),
            epochs=182,
            batch_size=128,
            lr=0.1,
            warmup_epochs=0.0,
            weight_decay=1e-4,
            flip=True,
            crop_padding=4,
            precision="bf16",
        ),
        seeds=(0, 1, 2, 3),
        strategy=Exhaustive(),
        resources=Resources(cpus=2, gpus=0.25),
        finalists=Finalists(top=6, seeds=(100, 101, 102, 103, 104, 105)),
    )


def _imagenet64(depth: int) -> Study:
    """64 networks by TPE, each with 4 seeds; the best and the picks get 6 fresh ones.

    Recipe of the data's authors (Chrabaszcz, Loshchilov & Hutter 2017, arXiv 1707.08819; their
    Imagenet32_Scripts): 3x3 stem of stride 1, SGD 0.9, batch 128, L2 5e-4, 40 epochs, rate 0.01
    times 0.2 every 10, flips, 4-pixel crop. Other than there: they train pre-activation Wide
    ResNets of three stages, this is the ResNet of torchvision but for its stem; their epoch shows
    each image and its mirror, ours one of the two; momentum is Nesterov's, norms are not decayed,
    crops reflect instead of showing zeros, 4 % of the training images (about as many as the test
    images) are kept to select on, bfloat16.
    """
    return Study(
        name=f"imagenet64-resnet{depth}",
        space=_space(resnet(depth, input_size=64, classes=1000), reductions=(16, 2)),
        protocol=Protocol(
            data=Prepared(name="imagenet64", val_fraction=0.04),
            epochs=40,
            batch_size=128,
            lr=0.01,
            schedule="step",
            warmup_epochs=0.0,
            weight_decay=5e-4,
            flip=True,
            crop_padding=4,
            precision="bf16",
        ),
        seeds=(0, 1, 2, 3),
        strategy=Sampled(sampler="tpe", trials=64),
        resources=Resources(cpus=4, gpus=1.0),
        finalists=Finalists(top=6, seeds=(100, 101, 102, 103, 104, 105)),
    )


def _space(base: NetworkSpec, *, reductions: tuple[int, ...]) -> Space:
    return Space(
        base=base,
        scales=("off", 1, 2, 4, 8),
        kinds=("stac", "static"),
        kernels=(3, 1),
        reductions=reductions,
        max_macs_ratio=MAX_MACS_RATIO,
        max_params_ratio=MAX_PARAMS_RATIO,
    )


def paper_studies() -> dict[str, Callable[[], Study]]:
    """Name -> function that gives the study."""
    return {
        "cifar100-resnet20": cifar100_resnet20,
        "imagenet64-resnet18": imagenet64_resnet18,
        "imagenet64-resnet50": imagenet64_resnet50,
    }
