"""One image file as an RGB square: what each kind of pixel becomes, and what is refused."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stacnet.data.decode import decode


def solid(mode: str, value) -> Image.Image:
    return Image.new(mode, (6, 4), value)


def transparent_palette() -> Image.Image:
    """Every pixel is of a colour that the palette says is transparent."""
    image = solid("P", 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.info["transparency"] = 1
    return image


def grey(dtype: str, value: float) -> Image.Image:
    return Image.fromarray(np.full((4, 6), value, dtype))


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (solid("1", 1), "png", (255, 255, 255)),
        (solid("L", 77), "png", (77, 77, 77)),
        (solid("LA", (0, 255)), "png", (0, 0, 0)),
        (solid("LA", (0, 0)), "png", (255, 255, 255)),  # transparent: laid on white
        (transparent_palette(), "png", (255, 255, 255)),
        (solid("RGB", (9, 8, 7)), "png", (9, 8, 7)),
        (solid("RGBA", (200, 100, 0, 51)), "png", (244, 224, 204)),
        (solid("CMYK", (0, 255, 255, 0)), "tif", (255, 0, 0)),
        (grey("u2", 65535), "png", (255, 255, 255)),  # I;16
        (grey("u2", 257 * 40), "png", (40, 40, 40)),
        (grey("u2", 300), "tif", (1, 1, 1)),
        (grey(">u2", 257 * 40), "tif", (40, 40, 40)),  # I;16B
        (grey("i4", 257 * 40), "tif", (40, 40, 40)),  # I
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_every_mode_becomes_the_colour_that_is_seen(tmp_path, image, suffix, expected):
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    pixels = decode(path, size=2)
    assert pixels.shape == (3, 2, 2)
    assert pixels.dtype == np.uint8
    assert {tuple(pixel) for pixel in pixels.reshape(3, -1).T.tolist()} == {expected}


def test_sixteen_bits_keep_their_order(tmp_path):
    """Today 62 of these 64 greys would be 255."""
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    pixels = decode(tmp_path / "ramp.png", size=8)[0]
    np.testing.assert_array_equal(pixels, np.rint(ramp / 257))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (grey("f4", 0.5), "a floating-point image has no defined white"),
        (grey("i4", 70000), r"greys must be in 0\.\.65535, got 70000\.\.70000"),
        (grey("i4", -1), r"greys must be in 0\.\.65535, got -1\.\.-1"),
    ],
    ids=["F", "I too large", "I negative"],
)
def test_greys_without_a_known_white_are_refused(tmp_path, image, reason):
    image.save(tmp_path / "image.tif")
    with pytest.raises(ValueError, match=f"image.tif: not a readable image: {reason}"):
        decode(tmp_path / "image.tif", size=2)


def test_a_photo_stands_upright_as_its_exif_orientation_says(tmp_path):
    image = Image.new("RGB", (8, 8))
    image.paste((255, 0, 0), (0, 0, 8, 4))  # red above black
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: red goes to the right
    image.save(tmp_path / "photo.png", exif=exif)
    red = decode(tmp_path / "photo.png", size=8)[0]
    assert red[:, 5:].min() > 250
    assert red[:, :3].max() < 5


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot identify image file"),
        (png(60000, 60000, chunk(b"IDAT", b"")), "exceeds limit"),
        (png(8, 8, b"\0\0\0\4IDAT0000" + b"0000"), ""),
        (png(8, 8, chunk(b"I\xffAT", b"") * 3), ""),
        (png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"0" * 9_000_000)) * 9), ""),
    ],
    ids=["empty", "bomb", "checksum", "chunk name", "text bomb"],
)
def test_a_damaged_or_hostile_image_is_named(tmp_path, content, reason):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(
        ValueError, match=re.escape("bad.png: not a readable image: ") + f".*{reason}"
    ):
        decode(tmp_path / "bad.png", size=8)


def test_an_image_with_any_damage_is_read_or_named(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "image"
    for number, kind in enumerate(("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM") * 30):
        good = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).save(good, kind)
        bad = bytearray(good.getvalue())
        for at in rng.integers(0, min(len(bad), 60 if number % 2 else len(bad)), 4):
            bad[at] = rng.integers(256)
        path.write_bytes(bad[: rng.integers(1, len(bad) + 1)] if number % 3 == 0 else bad)
        assert outcome(path) == "read" or outcome(path).startswith(
            f"{path}: not a readable image: "
        )


def outcome(path) -> str:
    """`read`, or the message of the refusal, which is one line."""
    try:
        assert decode(path, size=4).shape == (3, 4, 4)
    except ValueError as error:
        (line,) = str(error).splitlines()
        return line
    return "read"
