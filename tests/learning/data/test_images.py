"""Folders of images: what is read, pixel for pixel, and every refusal in a sentence."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from channelwise.learning.data.image_files import ImageError
from channelwise.learning.data.images import (
    Images,
    digits,
    fit_normalization,
    load_images,
    split_images,
    subset,
)


def shade(value, size=(4, 6), mode="L"):
    """A picture of one colour; size is (height, width)."""
    return Image.new(mode, size[::-1], value)


@pytest.fixture
def folder(tmp_path):
    """Two classes, three grey pictures each, brighter from file to file."""
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(3):
            shade(10 * (3 * k + i)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_the_digits_are_scikit_learns_from_0_to_1():
    images, reference = digits(), load_digits()
    assert images.x.shape == (1797, 8, 8, 1)
    assert (images.x.dtype, images.y.dtype) == (np.float32, np.int32)
    assert (images.x.min(), images.x.max()) == (0, 1)
    np.testing.assert_array_equal(images.x[..., 0] * 16, reference.images)
    np.testing.assert_array_equal(images.y, reference.target)


def test_a_folder_is_read_in_the_order_of_its_paths_with_sub_folders_as_classes(folder):
    images = load_images(folder)
    assert images.labels == ("cat", "dog")
    assert images.files[:2] == ("cat/0.png", "cat/1.png")
    assert images.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert (images.shape, images.notes, images.source) == ((4, 6, 1), (), "yours")
    np.testing.assert_allclose(images.x[:, 2, 3, 0] * 255, [0, 10, 20, 30, 40, 50], rtol=1e-6)


def test_pixels_keep_their_places(folder):
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(values).save(folder / "cat" / "0.png")
    np.testing.assert_allclose(load_images(folder).x[0, :, :, 0] * 255, values, rtol=1e-6)


def test_deeper_folders_belong_to_their_class_and_hidden_files_to_none(folder):
    (folder / "cat" / "persian").mkdir()
    shade(99).save(folder / "cat" / "persian" / "a.png")
    for litter in (".DS_Store", "cat/.hidden.png", "dog/Thumbs.db", "dog/desktop.ini"):
        (folder / litter).write_text("no image")
    (folder / ".git").mkdir()
    (folder / "__MACOSX").mkdir()
    images = load_images(folder)
    assert images.files[3] == "cat/persian/a.png"
    assert images.y.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_one_coloured_image_makes_three_channels_unless_one_is_asked_for(folder):
    shade((255, 0, 0), mode="RGB").save(folder / "dog" / "2.png")
    images = load_images(folder)
    assert images.shape == (4, 6, 3)
    assert images.x[5, 0, 0].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(images.x[1, 0, 0], images.x[1, 0, 0, 0])
    assert "5 of 6 images are grey" in images.notes[0]
    grey = load_images(folder, channels=1)
    assert grey.x[5, 0, 0, 0] == pytest.approx(0.299, abs=0.003)
    assert "lost their colour" in grey.notes[0]


def test_transparent_places_are_white_in_every_form_of_transparency(folder):
    shade((0, 0, 0, 0), mode="RGBA").save(folder / "cat" / "0.png")
    shade((0, 255), mode="LA").save(folder / "cat" / "1.png")
    palette = shade(1, mode="P")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(folder / "cat" / "2.png", transparency=0)
    images = load_images(folder)
    assert images.x[0, 0, 0].tolist() == [1, 1, 1]
    assert images.x[1, 0, 0].tolist() == [0, 0, 0]
    assert images.x[2, 0, 0].tolist() == [0, 1, 0]
    assert "Transparent places were made white." in images.notes


def test_sixteen_bits_and_one_bit_come_out_on_the_same_scale(folder):
    Image.fromarray(np.full((4, 6), 32768, np.uint16)).save(folder / "cat" / "0.png")
    shade(1, mode="1").save(folder / "cat" / "1.png")
    x = load_images(folder).x
    assert x[0, 0, 0, 0] == pytest.approx(32768 / 65535, rel=1e-6)
    assert x[1, 0, 0, 0] == 1
    half = load_images(folder, size=(2, 3), channels=3).x
    np.testing.assert_allclose(half[0], 32768 / 65535, rtol=1e-6)


def test_a_photograph_is_turned_upright_as_its_camera_noted(folder):
    lying = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(6, 4))
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    lying.save(folder / "cat" / "0.png", exif=exif)
    upright = np.rot90(np.arange(24).reshape(6, 4), -1)
    np.testing.assert_allclose(load_images(folder).x[0, :, :, 0] * 255, upright, rtol=1e-6)


def test_images_of_many_sizes_are_brought_to_the_one_asked_for(folder):
    shade(100, size=(9, 5)).save(folder / "cat" / "0.png")
    images = load_images(folder, size=(2, 2))
    assert images.shape == (2, 2, 1)
    np.testing.assert_allclose(images.x[0] * 255, 100, rtol=1e-6)
    assert images.notes == ("6 of 6 images were resized to 2 x 2 pixels.",)


def test_of_several_frames_the_first_is_taken(folder):
    shade(7).save(folder / "cat" / "0.gif", save_all=True, append_images=[shade(200)])
    images = load_images(folder)
    np.testing.assert_allclose(images.x[0] * 255, 7, atol=0.51)
    assert "Of files with several frames the first was taken." in images.notes


def bomb():
    """A png of a few bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"these are words", "is not an image that Pillow can read"),
        (bomb(), "claims more than 89 million pixels"),
    ],
)
def test_a_file_that_is_no_image_is_named(folder, content, says):
    (folder / "dog" / "bad.png").write_bytes(content)
    with pytest.raises(ImageError, match=rf"1 of 7 files .* dog/bad.png {says}.*Remove or replace"):
        load_images(folder)


def test_a_truncated_image_is_named(folder):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    for kind in ("png", "jpg"):
        path = folder / "cat" / f"noise.{kind}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:1500])
        with pytest.raises(ImageError, match=rf"cat/noise.{kind} is damaged"):
            load_images(folder, size=(4, 6))
        path.unlink()


def test_decimal_numbers_are_refused_as_their_range_is_unknown(folder):
    Image.fromarray(np.ones((4, 6), np.float32)).save(folder / "cat" / "a.tiff")
    with pytest.raises(ImageError, match=r"cat/a.tiff holds decimal numbers"):
        load_images(folder)


def test_all_bad_files_are_told_at_once(folder):
    for i in range(7):
        (folder / "cat" / f"bad{i}.jpg").write_text("x")
    with pytest.raises(ImageError, match=r"7 of 13 files.*bad0\.jpg.*bad4\.jpg[^;]*; …"):
        load_images(folder)


def test_two_sizes_are_named_with_their_files_and_the_remedy(folder):
    shade(1, size=(5, 3)).save(folder / "dog" / "1.png")
    says = r"cat/0.png is 4 x 6 pixels .* dog/1.png is 5 x 3.*size=\(4, 3\)"
    with pytest.raises(ImageError, match=says):
        load_images(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: [p.unlink() for p in f.rglob("dog/*.png")], "Class 'dog' has no images"),
        (lambda f: [(f / f"dog/{i}.png").unlink() for i in (0, 1)], "'dog' has one image, 2.png"),
        (lambda f: (f / "dog").rename(f / ".dog"), "one class only, 'cat'"),
    ],
)
def test_classes_that_cannot_be_learnt_are_named(folder, spoil, says):
    spoil(folder)
    with pytest.raises(ImageError, match=says):
        load_images(folder)


def test_folders_without_classes_are_refused(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ImageError, match=r"is empty. Give a folder with one sub-folder for each"):
        load_images(empty)
    with pytest.raises(ImageError, match="does not exist"):
        load_images(empty / "nowhere")
    with pytest.raises(ImageError, match="is a file, not a folder"):
        load_images(folder / "cat" / "0.png")
    with pytest.raises(ImageError, match="holds 3 files but no sub-folders"):
        load_images(folder / "cat")


def test_settings_out_of_range_are_refused(folder):
    with pytest.raises(ImageError, match="channels must be 1"):
        load_images(folder, channels=2)
    with pytest.raises(ImageError, match="size must be"):
        load_images(folder, size=(0, 4))
    with pytest.raises(ImageError, match=r"need 86 GB of memory. .*size=\(64, 64\)"):
        load_images(folder, size=(60_000, 60_000))
    with pytest.raises(ImageError, match="shares of the images"):
        split_images(digits(), test=1.0)


def ordered(rows=40):
    x = np.arange(rows, dtype=np.float32).reshape(rows, 1, 1, 1)
    return Images("toy", "yours", x, np.arange(rows, dtype=np.int32) % 2, ("a", "b"))


@pytest.mark.parametrize("how", ["random", "blocked"])
def test_a_split_uses_every_row_once_with_each_class_in_its_share(how):
    images = ordered()
    split = split_images(images, validation=0.1, test=0.3, how=how, seed=3)
    assert sorted(np.concatenate(split[:3])) == list(range(40))
    assert [len(part) for part in split[:3]] == [24, 4, 12]
    assert (images.y[split.test] == 0).sum() == 6
    assert split.how == how


def test_a_blocked_split_keeps_neighbours_together():
    for seed in range(5):
        test = split_images(ordered(), test=0.3, how="blocked", seed=seed).test
        assert (np.diff(test) > 2).sum() <= 1  # one run, which may pass the end and begin again
    assert (np.diff(split_images(ordered(), test=0.3).test) > 2).sum() > 1


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ImageError, match="Class 'a' has 2 images: 2 held out"):
        split_images(ordered(4), validation=0.3, test=0.3)


def test_a_subset_has_its_classes_in_turn_and_grows_without_losing_rows():
    images, rows = ordered(), np.arange(30)
    few, more = (subset(images, rows, n, seed=5) for n in (6, 20))
    assert (images.y[few] == 0).sum() == 3
    assert set(few) < set(more) < set(rows)
    assert sorted(subset(images, rows, 99)) == list(rows)


def test_normalization_comes_from_the_rows_given_and_black_is_what_nothing_becomes():
    rng = np.random.default_rng(0)
    x = rng.random((50, 4, 4, 2), np.float32) * np.array([1.0, 0.0], np.float32)
    scaled = fit_normalization(x[:30])
    z = scaled.apply(x[:30])
    np.testing.assert_allclose(z[..., 0].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(z[..., 0].std(), 1, rtol=1e-5)
    np.testing.assert_array_equal(z[..., 1], 0)
    assert scaled.mean[0] != fit_normalization(x).mean[0]
    black = scaled.apply(np.zeros((1, 1, 1, 2), np.float32))[0, 0, 0]
    np.testing.assert_allclose(black, scaled.black, rtol=1e-6)


def test_the_description_counts_classes_and_exact_repetitions():
    images = ordered(6)
    images = images._replace(x=images.x[[0, 1, 2, 3, 0, 5]])
    described = images.describe()
    assert described["images"].tolist() == [3, 3]
    assert described["repeated"].tolist() == [1, 0]
