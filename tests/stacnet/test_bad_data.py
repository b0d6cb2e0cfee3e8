"""Damaged, foreign and hostile data: one line that names the file, never a traceback or a hang."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from official_data import dump, nested, raw_batch, write_cifar10, write_imagenet

from stac.cli.main import main
from stacnet.data.cache import open_cache, verify
from stacnet.data.prepare import open_source, prepare
from stacnet.names import check_name

ROUNDS = 60


@pytest.fixture
def imagenet(tmp_path):
    write_imagenet(tmp_path / "official", per_batch=3)
    return tmp_path / "official"


@pytest.fixture
def cache(imagenet, tmp_path):
    prepare(open_source(imagenet), tmp_path / "cache")
    return tmp_path / "cache"


def damaged(good: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, cut off, put in, or doubled."""
    bad, at = bytearray(good), int(rng.integers(len(good)))
    match rng.integers(4):
        case 0:
            for place in rng.integers(0, min(len(bad), int(rng.choice([80, len(bad)]))), 3):
                bad[place] = rng.integers(256)
        case 1:
            del bad[at:]
        case 2:
            bad[at:at] = rng.bytes(5)
        case _:
            bad[at:at] = bad[: int(rng.integers(1, 200))]
    return bytes(bad)


def assert_names(error: ValueError, folder: Path) -> None:
    assert str(folder) in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize("write", [write_imagenet, write_cifar10])
def test_official_files_with_any_damage_are_read_or_named(tmp_path, write):
    write(tmp_path, per_batch=3)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(ROUNDS):
        path = rng.choice(sorted(tmp_path.iterdir()))
        good = path.read_bytes()
        path.write_bytes(damaged(good, rng))
        try:
            for part in open_source(tmp_path).parts:
                assert len(part.read(0, len(part.labels_N))) == len(part.labels_N)
        except ValueError as error:
            assert_names(error, tmp_path)
            refused += 1
        path.write_bytes(good)
    assert refused > ROUNDS / 4


def test_a_cache_with_any_damage_is_the_same_or_named(cache):
    rng = np.random.default_rng(0)
    names = [*sorted(cache.iterdir()), *[cache / "meta.json"] * 4]
    before, refused = open_cache(cache), 0
    for _ in range(ROUNDS):
        path = names[rng.integers(len(names))]
        good = path.read_bytes()
        path.write_bytes(damaged(good, rng))
        try:
            verify(cache)
            found = open_cache(cache)
            np.testing.assert_array_equal(found.train[0], before.train[0])
            np.testing.assert_array_equal(found.test[1], before.test[1])
            assert (found.mean_C, found.class_names) == (before.mean_C, before.class_names)
        except ValueError as error:
            assert_names(error, cache)
            refused += 1
        path.write_bytes(good)
    assert refused > ROUNDS / 2


ODD = (None, [], {}, "x", -1, 0.5, True, 2**61, [[]], {"train": [1, 3, 2, 2]}, [float("nan")] * 3)


@pytest.mark.parametrize(
    "field", ["classes", "class_names", "shapes", "mean", "std", "blocks", "checksum", "source"]
)
def test_each_field_of_meta_json_is_checked(cache, field):
    plain = json.loads((cache / "meta.json").read_text())
    del plain["seal"]
    for odd in ODD:
        if isinstance(odd, str) and field in ("checksum", "source"):
            continue
        (cache / "meta.json").write_text(json.dumps(plain | {field: odd}))
        with pytest.raises(ValueError, match=rf"meta.json: {field} must"):
            open_cache(cache)


@pytest.mark.parametrize(
    "text", ["[]", "3", "null", "", "{", "[" * 100_000, '{"format": 1}', '{"format": 9}', "\udcff"]
)
def test_a_meta_json_of_another_kind_is_named(cache, text):
    (cache / "meta.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"meta.json: "):
        open_cache(cache)


def test_a_cache_made_before_there_was_a_seal_stays_readable(cache):
    plain = json.loads((cache / "meta.json").read_text())
    del plain["seal"], plain["test_split"]
    (cache / "meta.json").write_text(json.dumps(plain))
    verify(cache)


def test_a_changed_mean_is_found_with_or_without_the_seal(cache):
    plain = json.loads((cache / "meta.json").read_text())
    plain["mean"][0] += 1
    (cache / "meta.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=r"meta.json: damaged: it has changed"):
        open_cache(cache)
    del plain["seal"]
    (cache / "meta.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError, match=r"mean or std in meta\.json have changed"):
        verify(cache)


@pytest.mark.parametrize("text", ["[]", "{}", "nonsense", '{"source": 3, "blocks": 7}'])
def test_a_note_on_a_begun_cache_that_is_not_ours_means_a_fresh_start(imagenet, tmp_path, text):
    partial = tmp_path / ".again.partial"
    partial.mkdir()
    (partial / "progress.json").write_text(text)
    prepare(open_source(imagenet), tmp_path / "again")
    verify(tmp_path / "again")


class KillError(Exception):
    """Stands for a kill."""


def test_a_begun_cache_that_lost_its_images_starts_again(imagenet, tmp_path):
    def kill(done, total):
        raise KillError

    with pytest.raises(KillError):
        prepare(open_source(imagenet), tmp_path / "cache", progress=kill)
    (tmp_path / ".cache.partial" / "train_images.npy").unlink()
    prepare(open_source(imagenet), tmp_path / "cache")
    verify(tmp_path / "cache")


def test_nested_labels_are_refused_at_once(imagenet):
    data = pickle.dumps(np.zeros((3, 768), np.uint8), protocol=4)[2:-1]
    body = b"}(\x8c\x04data" + data + b"\x8c\x06labels" + nested() + b"u."
    (imagenet / "val_data").write_bytes(b"\x80\x04" + body)
    with pytest.raises(ValueError, match="val_data: labels must be one whole number for each of 3"):
        open_source(imagenet)


def test_class_names_of_another_shape_are_named(tmp_path):
    write_cifar10(tmp_path, per_batch=3)
    for content in ([1, 2], {b"label_names": 3}, {b"label_names": [1] * 10}, {}):
        dump(tmp_path / "batches.meta", content)
        with pytest.raises(ValueError, match=r"batches.meta: (a batch must be a dict|label_names)"):
            open_source(tmp_path)


@pytest.mark.parametrize("labels", [np.int64(3), np.ones((3, 1), np.int64), np.array(3), [10**30]])
def test_labels_of_another_shape_are_named(imagenet, labels):
    dump(imagenet / "val_data", raw_batch(imagenet, "val_data") | {"labels": labels})
    with pytest.raises(ValueError, match=r"val_data: (labels must be one whole number|refused)"):
        open_source(imagenet)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hid", "../../esc", "a/b", "/x", "a\\b", "a\0b", "a\n", "-", "x" * 101]
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(ValueError, match="name must be 1 to 100 printable"):
        check_name(name)


def test_names_that_people_use_are_taken():
    for name in ("imagenet64", "cifar-10", "my data", "größe_2", "v1.2"):
        assert check_name(name) == name


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--name", "../../esc"], "name must be 1 to 100 printable"),
        (["--name", "digits"], "name must not be one of"),
        (["--name", "x", "--size", "0"], "size must be in 1..2048 pixels, got size=0"),
        (["--name", "x", "--size", "100000"], "size must be in 1..2048 pixels"),
        (["--name", "x", "--size", "-3"], "size must be in 1..2048 pixels"),
        (["--name", "x", "--size", "32"], "imagenet here has size 16, got size=32"),
    ],
)
def test_stac_data_prepare_refuses_in_one_line(
    imagenet, tmp_path, monkeypatch, capsys, words, rule
):
    monkeypatch.setenv("STACNET_DATA", str(tmp_path / "deep" / "data"))
    with pytest.raises(SystemExit) as stop:
        main(["data", "prepare", str(imagenet), *words])
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert rule in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [imagenet]


def test_stac_data_inspect_reads_everything_and_tells_how_the_test_split_came_about(
    tmp_path, monkeypatch, capsys
):
    write_cifar10(tmp_path / "official")
    monkeypatch.setenv("STACNET_DATA", str(tmp_path))
    for words in (
        ["prepare", str(tmp_path / "official"), "--name", "x"],
        ["inspect", "x", "--json"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(["data", *words])
        assert stop.value.code == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (facts["source"], facts["test_split"]) == ("cifar10", "of the source")
    path = tmp_path / "x" / "test_images.npy"
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    with pytest.raises(SystemExit) as stop:
        main(["data", "inspect", "x"])
    assert stop.value.code == 2
    assert "damaged: test_batch from image 0 has changed" in capsys.readouterr().err
