"""Letters of fonts: two tasks on the same pictures, and what a folder of fonts may hold."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from font_files import SHIPPED, fonts
from PIL import Image

from stac.cli.main import main
from stacnet.data.cache import verify
from stacnet.data.faces import LETTERS, Face, find_faces
from stacnet.data.font_origin import Origin, licences, origins
from stacnet.data.glyphs import render
from stacnet.data.images import load
from stacnet.data.prepare import open_source, prepare
from stacnet.data_spec import Prepared


@pytest.fixture
def folder(tmp_path):
    return fonts(tmp_path / "fonts")


def why(folder: Path) -> dict[str, str]:
    return {one.path.name: one.why for one in find_faces(folder)[1]}


def pictures(source, split):
    (part,) = [part for part in source.parts if part.split == split]
    return part.read(0, len(part.labels_N))


def test_the_letters_of_a_family_are_in_one_split_and_all_are_there(folder, tmp_path):
    cache = prepare(open_source(folder, size=16, task="letters"), tmp_path / "letters")
    verify(tmp_path / "letters")
    assert cache.class_names == tuple(LETTERS)
    assert cache.group_names == ("cmr", "cmss", "cmtt", "dejavu", "stixgeneral")
    assert len(cache.train[1]) + len(cache.test[1]) == 6 * 26
    splits = load(Prepared(name="letters", val_fraction=0.25), folder=tmp_path)
    sides = [set(one.groups_N) for one in (splits.train, splits.val, splits.test)]
    assert [len(side) for side in sides] == [3, 1, 1]
    assert len(set().union(*sides)) == 5
    for one in (splits.train, splits.val, splits.test):
        assert len(set(np.bincount(one.labels_N, minlength=26))) == 1


def test_a_typeface_of_each_family_is_asked_for_by_letters_that_were_not_trained(folder, tmp_path):
    cache = prepare(open_source(folder, size=16, task="typefaces"), tmp_path / "typefaces")
    assert cache.group_names == tuple(LETTERS)
    assert [name.split()[0] for name in cache.class_names][:3] == ["cmr10", "cmss10", "cmtt10"]
    assert cache.classes == 5
    assert len(set(cache.groups["test"])) == 8
    assert len(set(cache.groups["train"])) == 18
    assert np.bincount(cache.test[1]).tolist() == [8 * 6] * 5


def test_both_tasks_show_the_same_pictures(folder):
    def of(task):
        source = open_source(folder, size=16, task=task)
        return {one.tobytes() for split in ("train", "test") for one in pictures(source, split)}

    letters, typefaces = of("letters"), of("typefaces")
    assert len(letters) == 6 * 26
    assert len(typefaces) == 5 * 26 * 6
    assert len(letters & typefaces) == 5 * 26


def test_the_same_fonts_elsewhere_give_the_same_checksum(folder, tmp_path):
    there = prepare(open_source(folder, size=12, task="letters"), tmp_path / "there")
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        (tmp_path / "more" / "deep" / f"{number}.TTF").symlink_to(path)
    elsewhere = open_source(tmp_path / "more", size=12, task="letters")
    assert prepare(elsewhere, tmp_path / "elsewhere").checksum == there.checksum


@pytest.mark.parametrize("size", [8, 32, 64])
def test_a_letter_is_black_on_white_and_keeps_the_margin(folder, size):
    face = find_faces(folder)[0][0]
    for number in range(20):
        image = render(face, "W", number, size=size)
        ink = Image.fromarray(255 - image).getbbox()
        assert ink is not None
        edge = int(size / 16)
        assert min(ink[:2]) >= edge
        assert max(ink[2:]) <= size - edge
        assert max(ink[2] - ink[0], ink[3] - ink[1]) >= 0.6 * size
    assert len({render(face, "W", n, size=size).tobytes() for n in range(20)}) == 20


def test_what_gives_no_typeface_is_left_out_with_its_reason(folder):
    fonts(folder, ("LastResortHE-Regular", "STIXSizFiveSymReg", "DejaVuSerifDisplay"))
    (folder / "text.ttf").write_text("no font")
    (folder / "empty.otf").touch()
    shutil.copy(folder / "cmr10.ttf", folder / "copy.ttf")
    (folder / "link.ttf").symlink_to("cmr10.ttf")
    (folder / "circle").symlink_to(".")
    faces, dropped = find_faces(folder)
    assert len(faces) == 6
    reasons = {one.path.name: one.why for one in dropped}
    assert reasons.pop("copy.ttf", reasons.pop("cmr10.ttf", "")) == "the letters of another file"
    assert reasons == {
        "LastResortHE-Regular.ttf": "one picture for several letters",
        "STIXSizFiveSymReg.ttf": "a lacking letter",
        "DejaVuSerifDisplay.ttf": "a lacking letter",
        "text.ttf": "no readable font",
        "empty.otf": "no readable font",
    }
    remark = open_source(folder, size=8, task="letters").remark
    assert (
        "6 typefaces in 12 font files; left out: a lacking letter 2, no readable font 2" in remark
    )


def test_a_font_with_any_damage_is_read_or_left_out(tmp_path):
    good = (SHIPPED / "cmtt10.ttf").read_bytes()
    rng = np.random.default_rng(0)
    left_out = 0
    for _ in range(100):
        bad = bytearray(good)
        for place in rng.integers(0, rng.choice([300, len(bad)]), 20):
            bad[place] = rng.integers(256)
        (tmp_path / "bad.ttf").write_bytes(bad)
        faces, dropped = find_faces(tmp_path)
        assert len(faces) + len(dropped) == 1
        for face in faces:
            render(face, "A", 0, size=8)
        left_out += len(dropped)
    assert 20 < left_out < 100


def test_fewer_than_two_families_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="0 typefaces in 0 font files; letters need at least 2"):
        open_source(tmp_path / "empty", size=8, task="letters")
    fonts(tmp_path / "one", ("DejaVuSans", "DejaVuSerif"))
    with pytest.raises(ValueError, match=r"2 typefaces in 2 .* at least 2 families, got 1"):
        open_source(tmp_path / "one", size=8, task="typefaces")


def test_two_families_leave_none_to_validate_on_and_that_is_said(tmp_path):
    fonts(tmp_path / "two", ("DejaVuSans", "cmr10"))
    prepare(open_source(tmp_path / "two", size=8, task="letters"), tmp_path / "cache")
    with pytest.raises(ValueError, match=r"a split by groups must leave .* of 1 groups"):
        load(Prepared(name="cache"), folder=tmp_path)


def test_what_is_no_file_is_named_and_not_waited_for(folder):
    os.mkfifo(folder / "pipe.ttf")
    with pytest.raises(ValueError, match=r"pipe\.ttf: a font must be a file, or a link to one"):
        find_faces(folder)
    (folder / "pipe.ttf").unlink()
    (folder / "self.ttf").symlink_to("self.ttf")
    with pytest.raises(ValueError, match=r"self\.ttf: a font must be a file, or a link to one"):
        find_faces(folder)


def test_a_picture_may_be_one_pixel_and_a_size_must_be_given(folder, tmp_path):
    cache = prepare(open_source(folder, size=1, task="letters"), tmp_path / "cache")
    assert cache.train[0].shape[1:] == (3, 1, 1)
    with pytest.raises(ValueError, match="a folder of fonts needs a size, got size=None"):
        open_source(folder, task="letters")


@pytest.mark.parametrize(
    ("family", "group"),
    [("Lato Black", "lato"), ("cmr10", "cmr"), ("18 Holes", "18 holes"), ("E-Z", "e"), ("", "")],
)
def test_families_that_begin_with_the_same_word_are_one(family, group):
    assert Face(Path(), family, "Bold", "").group == group


def test_fonts_and_their_origin_are_recorded_and_a_change_is_found(folder, tmp_path):
    prepare(open_source(folder, size=8, task="letters"), tmp_path / "cache")
    path = tmp_path / "cache" / "fonts.json"
    record = json.loads(path.read_text())
    assert len(record["faces"]) == 6
    first = record["faces"][0]
    assert (first["family"], first["package"], first["licences"]) == ("DejaVu Sans", "unknown", [])
    assert len(first["sha256"]) == 64
    path.write_text(path.read_text().replace("unknown", "mine"))
    with pytest.raises(ValueError, match=r"fonts\.json: damaged"):
        verify(tmp_path / "cache")


def test_licences_are_those_of_the_files_and_not_of_the_packaging():
    text = "Format: x\n\nFiles: *\nLicense: OFL-1.1\n text\n\nFiles: debian/*\nLicense: GPL-2+\n"
    assert licences(text) == ("OFL-1.1",)
    assert licences("see /usr/share/common-licenses/GPL-2.") == ("GPL-2",)
    assert licences("ask me") == ()


def test_without_dpkg_every_origin_is_unknown(monkeypatch, folder):
    monkeypatch.setenv("PATH", "")
    (path, *_) = folder.iterdir()
    assert origins([path]) == {path: Origin(package="unknown")}


def test_the_command_prepares_letters_and_says_what_it_left_out(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("STACNET_DATA", str(tmp_path / "data"))
    (folder / "text.ttf").write_text("no font")
    words = f"data prepare {folder} --name letters --size 8 --task letters"
    with pytest.raises(SystemExit, match="0"):
        main(words.split())
    said = capsys.readouterr().out
    assert "6 typefaces in 7 font files; left out: no readable font 1" in said
    assert "test images: 25% of the groups, drawn with seed 0" in said
    with pytest.raises(SystemExit, match="0"):
        main(["data", "inspect", "letters", "--json"])
    assert json.loads(capsys.readouterr().out)["groups"] == 5
