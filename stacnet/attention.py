"""The gates: STAC with all its options, SE, Gather-Excite, SCConv's, and a static one as control.

Shapes: B images, C channels, H x W pixels of the map, h x w cells of the pooled map, M hidden
channels. STAC is a reconstruction (docs/method.md, section 1), not the authors' code.
"""

from typing import assert_never

import torch.nn.functional as F
from torch import Tensor, nn, zeros

from stacnet.attention_spec import AttentionSpec, Fuse, Padding, Pool, Upsample, hidden_channels


def make_gate(channels: int, spec: AttentionSpec) -> nn.Module:
    """The gate of one block: (B, channels, H, W) -> the same shape."""
    match spec.kind:
        case "stac":
            return STAC(channels, spec)
        case "se":
            return STAC(channels, AttentionSpec(scale=1, kernel=1, reduction=spec.reduction))
        case "ge":
            return GatherExcite(channels, spec)
        case "scconv":
            return SelfCalibration(channels, spec)
        case "static":
            return Static(channels, spec)
        case _:
            assert_never(spec.kind)


class STAC(nn.Module):
    """Spatial transformed attention condenser: condense, embed, expand, gate, upsample, select.

    The pooled map has min(scale, H) cells per side, so any map is accepted (with padding `zeros`;
    the other paddings need more cells than the kernel reaches, which `NetworkSpec` sees to).

    Args:
        channels: C.
        spec: its options; kind, position and placement are the network's business.

    Source: Hryniowski & Wong, arXiv 2306.10128 (abstract); SE: Hu et al., CVPR 2018; `affine`:
    Wong et al., TinySpeech, arXiv 2008.04245.
    """

    def __init__(self, channels: int, spec: AttentionSpec) -> None:
        super().__init__()
        self.scale = spec.scale
        self.pool: Pool = spec.pool
        self.upsample: Upsample = spec.upsample
        self.fuse: Fuse = spec.fuse
        hidden = hidden_channels(channels, spec.reduction)
        kernel = reachable_kernel(spec)
        has_norm = spec.norm == "batch"
        self.embed = _conv(channels, hidden, kernel, padding=spec.padding, bias=not has_norm)
        self.norm = nn.BatchNorm2d(hidden) if has_norm else nn.Identity()
        self.expand = _conv(hidden, channels, kernel, padding=spec.padding, bias=True)
        if spec.fuse != "mul":  # a of `mul_res`, S of `affine`
            self.strength = nn.Parameter(zeros(()))
        self.reset_strength()

    def reset_strength(self) -> None:
        """The scalar of the fusion at its start, where the gate changes nothing or little."""
        if self.fuse != "mul":
            nn.init.constant_(self.strength, 1.0 if self.fuse == "affine" else 0.0)

    def condense(self, x_BCHW: Tensor) -> Tensor:
        """Pooled map: (B, C, h, w)."""
        return condense(x_BCHW, self.scale, pool=self.pool)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Select what the gate lets through: (B, C, H, W)."""
        pooled_BChw = self.condense(x_BCHW)
        hidden_BMhw = F.relu(self.norm(self.embed(pooled_BChw)))
        attention_BChw = self.expand(hidden_BMhw)
        match self.fuse:
            case "mul":
                return multiply(x_BCHW, attention_BChw.sigmoid(), upsample=self.upsample)
            case "mul_res":
                gate_BChw = self.strength * attention_BChw.sigmoid()
                return x_BCHW + multiply(x_BCHW, gate_BChw, upsample=self.upsample)
            case "affine":
                up_BCuv = upsample_to(attention_BChw, x_BCHW, mode=self.upsample)
                return self.strength * x_BCHW + up_BCuv
            case _:
                assert_never(self.fuse)


class GatherExcite(STAC):
    """Gather-Excite with average gather and a 1x1 MLP: overlapping windows of side 2*extent - 1.

    The extent is ceil(H / scale), so that the map is gathered into about scale x scale cells.

    Source: Hu et al., Gather-Excite, NeurIPS 2018, section 3 (extent ratio e, windows 2e - 1 wide
    at stride e, nearest upsampling), as in timm's GatherExcite without norm.
    """

    def __init__(self, channels: int, spec: AttentionSpec) -> None:
        super().__init__(
            channels, AttentionSpec(scale=spec.scale, kernel=1, reduction=spec.reduction)
        )

    def condense(self, x_BCHW: Tensor) -> Tensor:
        """Averages over overlapping windows: (B, C, ceil(H / extent), ceil(W / extent))."""
        extent = -(-x_BCHW.shape[-1] // min(self.scale or x_BCHW.shape[-1], x_BCHW.shape[-1]))
        return F.avg_pool2d(
            x_BCHW, 2 * extent - 1, extent, padding=extent - 1, count_include_pad=False
        )


class SelfCalibration(nn.Module):
    """The gate of SCConv: V * sigmoid(V + up(conv(pool(V)))), average pool, nearest upsampling.

    Source: Liu et al., Improving CNNs with Self-Calibrated Convolutions, CVPR 2020, eq. 3 and 4,
    with V in place of their F3(X1), and without its norm.
    """

    def __init__(self, channels: int, spec: AttentionSpec) -> None:
        super().__init__()
        self.scale = spec.scale
        self.embed = _conv(channels, channels, reachable_kernel(spec), bias=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Select what the gate lets through: (B, C, H, W)."""
        context_BChw = self.embed(condense(x_BCHW, self.scale, pool="avg"))
        return x_BCHW * (x_BCHW + upsample_to(context_BChw, x_BCHW, mode="nearest")).sigmoid()


class Static(nn.Module):
    """The control of every gate: one for all images, V * up(sigmoid(10 w)), w = 0 at the start.

    What it reaches needs a template of positions and channels, and no attention. The factor lets a
    gate close within some epochs at learning rates that suit the network.

    Raises:
        ValueError: without a scale; that of a network's spec is always a number.
    """

    def __init__(self, channels: int, spec: AttentionSpec) -> None:
        super().__init__()
        if spec.scale is None:
            raise ValueError("scale of a static gate must be a number of cells, got scale=None")
        self.upsample: Upsample = spec.upsample
        self.logits = nn.Parameter(zeros(1, channels, spec.scale, spec.scale))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Select what the gate lets through: (B, C, H, W)."""
        gate_BChw = (10 * self.logits).sigmoid().expand(len(x_BCHW), -1, -1, -1)
        return multiply(x_BCHW, gate_BChw, upsample=self.upsample)


GATES = (STAC, SelfCalibration, Static)  # the classes of all that `make_gate` gives


def condense(x_BCHW: Tensor, scale: int | None, *, pool: Pool) -> Tensor:
    """Adaptive pooling to min(scale, H) x min(scale, W) cells; None leaves the map as it is."""
    height, width = x_BCHW.shape[-2:]
    cells = (min(scale or height, height), min(scale or width, width))
    if cells == (height, width):
        return x_BCHW
    match pool:
        case "avg":
            return F.adaptive_avg_pool2d(x_BCHW, cells)
        case "max":
            return F.adaptive_max_pool2d(x_BCHW, cells)
        case "both":
            average_BChw = F.adaptive_avg_pool2d(x_BCHW, cells)
            return 0.5 * average_BChw + 0.5 * F.adaptive_max_pool2d(x_BCHW, cells)
        case _:
            assert_never(pool)


def upsample_to(cells_BChw: Tensor, x_BCHW: Tensor, *, mode: Upsample) -> Tensor:
    """Cells at the size of the map; a single cell is left to broadcasting."""
    size = x_BCHW.shape[-2:]
    if cells_BChw.shape[-2:] in (size, (1, 1)):
        return cells_BChw
    match mode:
        case "nearest":
            return F.interpolate(cells_BChw, size=size, mode="nearest")
        case "bilinear":
            return F.interpolate(cells_BChw, size=size, mode="bilinear", align_corners=False)
        case _:
            assert_never(mode)


def multiply(x_BCHW: Tensor, gate_BChw: Tensor, *, upsample: Upsample) -> Tensor:
    """The map times its upsampled gate.

    Where nearest cells tile the map, a view of it is multiplied and the gate is never written out
    at full size: the same bits, and one map less that the backward pass has to remember.
    """
    height, width = x_BCHW.shape[-2:]
    rows, columns = gate_BChw.shape[-2:]
    if upsample == "bilinear" or height % rows or width % columns or rows * columns == 1:
        return x_BCHW * upsample_to(gate_BChw, x_BCHW, mode=upsample)
    x_BChmwn = x_BCHW.unflatten(3, (columns, -1)).unflatten(2, (rows, -1))
    return (x_BChmwn * gate_BChw[:, :, :, None, :, None]).flatten(4).flatten(2, 3)


def reachable_kernel(spec: AttentionSpec) -> int:
    """The kernel without the taps that would only ever see padding: at most 2 * scale - 1."""
    return spec.kernel if spec.scale is None else min(spec.kernel, 2 * spec.scale - 1)


def _conv(
    in_channels: int, out_channels: int, kernel: int, *, padding: Padding = "zeros", bias: bool
) -> nn.Conv2d:
    pad = kernel // 2
    return nn.Conv2d(
        in_channels, out_channels, kernel, padding=pad, padding_mode=padding, bias=bias
    )
