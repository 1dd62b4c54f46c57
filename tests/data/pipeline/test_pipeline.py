"""Batches: what they hold, and that nothing but (seed, epoch, position) decides it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import encoded, write_folder
from tfface.data.augment import AUGMENTATIONS
from tfface.data.pipeline.epoch_order import EpochOrder, PKOrder
from tfface.data.pipeline.pipeline import Batch, image_pipeline
from tfface.data.records.conversion import convert
from tfface.data.sources.folder import FolderSource
from tfface.data.sources.image_source import Subset
from tfface.data.sources.tfrecord import DatasetSource
from tfface.errors import InputError
from tfface.images.decoding import decode

SIZE = (16, 16)
NUM_IMAGES = 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    return FolderSource(write_folder(root / "faces", {"ann": 6, "bob": 8, "cleo": 9}))


@pytest.fixture(scope="module")
def dataset(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("dataset") / "out"
    convert([folder._root.decode()], output, num_shards=3)
    return DatasetSource(output)


@pytest.fixture(params=["folder", "dataset"])
def source(request):
    return request.getfixturevalue(request.param)


def stages():
    # Two only: compiling is what takes most of these tests' time.
    return [AUGMENTATIONS["random_flip"](), AUGMENTATIONS["gaussian_noise"](5.0)]


def make(source, *, indices=None, batch_size=4, seed=3, samples_per_identity=None, **options):
    """A pipeline of options of an order and of `image_pipeline`."""
    indices = np.arange(NUM_IMAGES) if indices is None else indices
    given = {key: options.pop(key) for key in ("shuffle", "last_batch", "shard") if key in options}
    if samples_per_identity is None:
        order = EpochOrder(len(indices), batch_size, seed=seed, **given)
    else:
        labels = np.asarray(options.get("labels", source.labels))[indices]
        order = PKOrder(labels, batch_size, samples_per_identity, seed=seed, **given)
    return image_pipeline(source, indices, order, image_size=SIZE, **options)


def batches(dataset):
    return [(images.numpy(), labels.numpy()) for images, labels in dataset]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_batches_hold_the_images_with_their_labels(source, cache, tmp_path):
    pipeline = make(source, cache=cache, cache_dir=tmp_path)
    assert pipeline.num_images == NUM_IMAGES
    assert pipeline.steps_per_epoch == 5
    epoch = pipeline.epoch(0)
    assert epoch.cardinality() == 5
    assert epoch.element_spec == Batch(
        images=tf.TensorSpec((4, *SIZE, 3), tf.uint8), labels=tf.TensorSpec((4,), tf.int32)
    )
    known = {}
    for index, image in source.encoded(np.arange(NUM_IMAGES)).as_numpy_iterator():
        known[decode(tf.constant(image), *SIZE).numpy().tobytes()] = source.labels[index]
    seen = set()
    for images, labels in batches(epoch):
        for image, label in zip(images, labels, strict=True):
            assert known[image.tobytes()] == label
            seen.add(image.tobytes())
    assert len(seen) == 20


@pytest.mark.parametrize(
    ("kind", "cache"),
    [
        ("folder", "none"),
        ("dataset", "disk"),
        pytest.param("folder", "memory", marks=pytest.mark.slow),
        pytest.param("dataset", "none", marks=pytest.mark.slow),
    ],
)
def test_made_again_it_is_the_same(request, kind, cache, tmp_path):
    source = request.getfixturevalue(kind)
    options = {"cache": cache, "cache_dir": tmp_path, "augment": stages()}
    tf.random.set_seed(1)
    first = make(source, **options)
    batches(first.epoch(0))
    expected = batches(first.epoch(2))
    tf.random.set_seed(2)
    second = make(source, **options | {"augment": stages()})
    assert_equal(batches(second.epoch(2)), expected)
    assert_equal(batches(second.epoch(2, first_step=3)), expected[3:])
    assert_equal(batches(second.epoch(2, first_step=5)), [])


def test_batches_of_one_size_say_so_though_others_were_read_before(tmp_path):
    source = FolderSource(write_folder(tmp_path / "faces", {"ann": 3, "bob": 2}))
    for last_batch, size in (("keep", None), ("drop", 2)):
        order = EpochOrder(5, batch_size=2, last_batch=last_batch)
        pipeline = image_pipeline(source, np.arange(5), order, image_size=(9, 7))
        assert pipeline.epoch(0).element_spec.images.shape.as_list() == [size, 9, 7, 3]


@pytest.mark.parametrize(("shuffle", "augment"), [(True, stages()), (False, [])])
def test_cached_or_not_the_pixels_are_the_same(folder, shuffle, augment, tmp_path):
    options = {"shuffle": shuffle, "augment": augment, "indices": np.arange(NUM_IMAGES)[::-2]}
    expected = batches(make(folder, **options).epoch(1))
    for cache in ("memory", "disk"):
        pipeline = make(folder, cache=cache, cache_dir=tmp_path, **options)
        assert_equal(batches(pipeline.epoch(1)), expected)


def test_epochs_and_seeds_differ(source):
    def content(seed, epoch):
        # Every image differs, so the first pixels tell the order.
        return [
            images[:, 0, 0, 0].tolist()
            for images, _ in batches(make(source, seed=seed).epoch(epoch))
        ]

    assert len({str(content(*key)) for key in ((0, 0), (0, 1), (1, 0))}) == 3


def test_augmentation_differs_between_batches(tmp_path):
    (tmp_path / "ann").mkdir()
    for number in range(12):
        (tmp_path / "ann" / f"{number:02d}.jpg").write_bytes(encoded(1))
    pipeline = make(
        FolderSource(tmp_path),
        cache="memory",
        indices=np.arange(12),
        augment=stages(),
        shuffle=False,
    )
    images = np.concatenate([images for images, _ in batches(pipeline.epoch(0))])
    assert len({image.tobytes() for image in images}) == 12


def test_without_shuffling_in_the_given_order(source):
    indices = np.array([2, 3, 5, 7, 11, 13])
    pipeline = make(source, indices=indices, shuffle=False, last_batch="keep")
    assert pipeline.steps_per_epoch == 2
    found = batches(pipeline.epoch(0))
    assert [len(labels) for _, labels in found] == [4, 2]
    np.testing.assert_array_equal(np.concatenate([x[1] for x in found]), source.labels[indices])


def test_the_smaller_last_batch_is_augmented_too(folder):
    pipeline = make(folder, augment=stages(), last_batch="keep")
    assert [images.shape[0] for images, _ in batches(pipeline.epoch(0))] == [4, 4, 4, 4, 4, 3]


def test_other_labels_than_the_sources(folder):
    labels = np.arange(NUM_IMAGES) + 100
    pipeline = make(folder, labels=labels, indices=np.array([4, 9]), shuffle=False, batch_size=2)
    assert batches(pipeline.epoch(0))[0][1].tolist() == [104, 109]


def test_fewer_images_than_a_batch(folder, capsys):
    pipeline = make(folder, batch_size=64)
    assert "batch_size 64 is more than the 23 images there are" in capsys.readouterr().err
    assert [len(labels) for _, labels in batches(pipeline.epoch(0))] == [23]


def test_a_small_last_batch_is_nothing_to_warn_of(folder, capsys):
    pipeline = make(folder, batch_size=64, last_batch="keep")
    assert not capsys.readouterr().err
    assert [len(labels) for _, labels in batches(pipeline.epoch(0))] == [23]


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_crop_loads_larger_images(folder, cache):
    crop = AUGMENTATIONS["random_crop"](20, image_size=SIZE)
    pipeline = make(folder, augment=[crop], cache=cache, shuffle=False)
    images, _ = batches(pipeline.epoch(0))[0]
    assert images.shape == (4, *SIZE, 3)
    for index in range(4):
        large = decode(tf.constant(folder.read(index).encoded), 20, 20).numpy()
        places = [(y, x) for y in range(5) for x in range(5)]
        assert any((images[index] == large[y : y + 16, x : x + 16]).all() for y, x in places)


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_crop_enlarges_images_of_known_size(dataset, folder, tmp_path, shuffle):
    assert dataset.image_size == SIZE
    crop = AUGMENTATIONS["random_crop"](20, image_size=SIZE)
    augment = [crop, *stages()]
    # Without shuffling, record files that are cached are in the order of the indices.
    options = {"augment": augment, "shuffle": shuffle, "indices": np.arange(NUM_IMAGES)}
    found = {
        cache: batches(make(dataset, cache=cache, cache_dir=tmp_path, **options).epoch(1))
        for cache in ("none", "memory", "disk")
    }
    assert_equal(found["memory"], found["disk"])
    if not shuffle:
        assert_equal(found["none"], found["memory"])
    pipeline = make(dataset, augment=[crop], shuffle=False)
    assert pipeline.augmentation.load_size == SIZE
    images, _ = batches(pipeline.epoch(0))[0]
    for index in range(4):
        small = decode(tf.constant(dataset.read(index).encoded), *SIZE)
        large = np.round(tf.image.resize(small, (20, 20)))
        places = [(y, x) for y in range(5) for x in range(5)]
        differences = [np.abs(images[index] - large[y : y + 16, x : x + 16]) for y, x in places]
        # Compiled code may join a product and a sum, so that a half is rounded the other way.
        assert min(difference.max() for difference in differences) <= 1
    # Where the size is not known, or another stage comes first, they are loaded enlarged.
    assert make(folder, augment=[crop]).augmentation.load_size == (20, 20)
    flip = AUGMENTATIONS["random_flip"]()
    assert make(dataset, augment=[flip, crop]).augmentation.load_size == (20, 20)


def test_bytes_between_stages_change_nothing(folder):
    flip = AUGMENTATIONS["random_flip"]()
    color = AUGMENTATIONS["color_jitter"](brightness=0.1, saturation=[0.6, 1.4])
    pipeline = make(folder, augment=[flip, color], shuffle=False)
    images, _ = batches(make(folder, shuffle=False).epoch(0))[0]
    seeds = pipeline.augmentation.seeds(0, 1)[0]
    expected = tf.cast(images, tf.float32)
    for stage, seed in zip((flip, color), seeds, strict=True):
        expected = stage(expected, tf.constant(seed))
    found, _ = batches(pipeline.epoch(0))[0]
    assert np.abs(found.astype(int) - np.round(expected)).max() <= 1
    assert (found == np.round(expected)).mean() > 0.99


def test_augmentation_apart_from_loading(folder):
    pipeline = make(folder, augment=stages())
    loading, augment = pipeline.split_augmentation()
    for batch, expected in zip(loading.epoch(1), pipeline.epoch(1), strict=True):
        images, labels = augment(batch.images.images, batch.labels, batch.images.seeds)
        np.testing.assert_array_equal(images, expected.images)
        np.testing.assert_array_equal(labels, expected.labels)


def test_a_stage_without_xla_is_not_for_the_training_step(folder):
    def stage(images, seed):
        return images

    stage.uses_xla = False
    with pytest.raises(InputError, match=r"^data\.augment_on: device compiles .* use .*: host"):
        make(folder, augment=[stage]).split_augmentation()


def test_one_crop_only(folder):
    crop = AUGMENTATIONS["random_crop"](20, image_size=SIZE)
    with pytest.raises(InputError, match=r"only one stage .* may load images at its own size"):
        make(folder, augment=[crop, crop])


def test_no_images(folder):
    with pytest.raises(InputError, match="there are no images to make batches of"):
        make(folder, indices=np.array([], np.int64))


def test_disk_needs_a_folder(folder):
    with pytest.raises(InputError, match="cache: disk needs a cache folder"):
        make(folder, cache="disk")


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_undecodable_images_are_found(tmp_path, cache):
    root = write_folder(tmp_path / "faces", {"ann": 4, "bob": 5})
    (root / "ann/2.jpg").write_bytes(b"")
    (root / "bob/3.jpg").write_bytes((root / "bob/0.jpg").read_bytes()[:200])
    source = FolderSource(root)
    (root / "bob/4.jpg").unlink()
    pipeline = make(source, indices=np.arange(9), cache=cache, cache_dir=tmp_path / "cache")
    if cache == "none":
        with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.NotFoundError)):
            batches(pipeline.epoch(0))
    else:
        # The disk cache looks at all files first, and one is missing.
        message = "bob/4" if cache == "disk" else "(?s)ann/2.jpg: the file is empty.*bob/3.jpg: "
        with pytest.raises(InputError, match=message):
            pipeline.epoch(0)
    found = pipeline.find_undecodable()
    assert found[:2] == [
        ("ann/2.jpg", "the file is empty (0 bytes)"),
        ("bob/3.jpg", "the image data are damaged or truncated"),
    ]
    assert found[2:] == [("bob/4.jpg", "can't be read: No such file or directory")]
    assert make(source, indices=np.array([0, 1])).find_undecodable() == []


@pytest.mark.parametrize("damage", ["decode", "gone", "folder"])
def test_bad_images_are_named_after_an_error(tmp_path, damage):
    root = write_folder(tmp_path / "faces", {"ann": 4, "bob": 5})
    pipeline = make(FolderSource(root), indices=np.arange(9))
    (root / "bob/3.jpg").unlink()
    if damage == "decode":
        (root / "bob/3.jpg").write_bytes(b"no image")
    elif damage == "folder":
        (root / "bob/3.jpg").mkdir()
    with pytest.raises(InputError, match=r"^bob/3\.jpg: "), pipeline.naming_bad_images():
        batches(pipeline.epoch(0))


def test_other_errors_are_not_looked_into(folder):
    pipeline = make(folder)
    with pytest.raises(tf.errors.ResourceExhaustedError), pipeline.naming_bad_images():
        raise tf.errors.ResourceExhaustedError(None, None, "no memory left")


def test_a_damaged_record_file_is_found(dataset, tmp_path):
    folder = dataset._records.files[0].parent
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    source = DatasetSource(tmp_path)
    assert len(source.labels) == NUM_IMAGES
    file = tmp_path / "data-00001-of-00003.tfrecord"
    whole = file.read_bytes()
    names = {source.filename(index) for index in range(8, 16)}
    # In the middle of an image's data, or of what says how long they are.
    inside, key = (
        whole.index(b"\xff\xda", len(whole) // 2),
        whole.index(b"image/enc", len(whole) // 2),
    )
    for place, where, why in (
        (inside + 40, names, "damaged"),
        (key, {str(file)}, "not a face rec"),
    ):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        pipeline = make(source)
        with pytest.raises(tf.errors.DataLossError):
            batches(pipeline.epoch(0))
        with pytest.raises(InputError, match=why), pipeline.naming_bad_images():
            batches(pipeline.epoch(0))
        found = pipeline.find_undecodable()
        assert len(found) == 1
        assert found[0][0] in where
        assert why in found[0][1]


class TestPKSampling:
    @pytest.mark.parametrize(("kind", "cache"), [("folder", "none"), ("dataset", "memory")])
    def test_a_batch_holds_so_many_of_each(self, request, kind, cache):
        source = request.getfixturevalue(kind)
        pipeline = make(source, cache=cache, samples_per_identity=2)
        assert pipeline.batch_size == 4
        assert pipeline.steps_per_epoch == 5
        expected = batches(pipeline.epoch(1))
        assert len(expected) == 5
        known = {}
        for index, image in source.encoded(np.arange(NUM_IMAGES)).as_numpy_iterator():
            known[decode(tf.constant(image), *SIZE).numpy().tobytes()] = source.labels[index]
        for images, labels in expected:
            assert labels[0] == labels[1] != labels[2] == labels[3]
            assert [known[image.tobytes()] for image in images] == labels.tolist()
            assert len({image.tobytes() for image in images}) == 4
        again = make(source, cache=cache, samples_per_identity=2)
        assert_equal(batches(again.epoch(1)), expected)
        assert_equal(batches(again.epoch(1, first_step=3)), expected[3:])
        assert again.epoch(1, first_step=3).cardinality() == 2

    def test_cached_or_not_the_batches_are_the_same(self, folder):
        options = {"samples_per_identity": 3, "batch_size": 6, "indices": np.arange(23)[::-2]}
        expected = batches(make(folder, **options).epoch(0))
        assert_equal(batches(make(folder, cache="memory", **options).epoch(0)), expected)

    def test_epochs_and_seeds_differ(self, folder):
        contents = {
            np.concatenate(
                [
                    images
                    for images, _ in batches(make(folder, seed=s, samples_per_identity=2).epoch(e))
                ]
            ).tobytes()
            for s, e in ((0, 0), (0, 1), (1, 0))
        }
        assert len(contents) == 3

    def test_labels_given_are_the_identities(self, folder):
        labels = np.arange(NUM_IMAGES) // 12
        pipeline = make(folder, labels=labels, samples_per_identity=2)
        for _, found in batches(pipeline.epoch(0)):
            assert sorted(found.tolist()) == [0, 0, 1, 1]

    def test_fewer_identities_than_a_batch_wants(self, folder, capsys):
        pipeline = make(folder, batch_size=64, samples_per_identity=4)
        assert (
            "batch_size 64 wants 16 identities, more than the 3 there are"
            in capsys.readouterr().err
        )
        assert pipeline.batch_size == 12
        assert [len(labels) for _, labels in batches(pipeline.epoch(0))] == [12]

    def test_more_than_there_are_images_is_one_batch(self, folder):
        pipeline = make(folder, indices=np.array([0, 6]), batch_size=8, samples_per_identity=4)
        (batch,) = batches(pipeline.epoch(0))
        assert sorted(batch[1].tolist()) == [0] * 4 + [1] * 4

    def test_records_need_a_cache(self, dataset):
        part = Subset(dataset, np.arange(NUM_IMAGES), np.arange(3))
        for source in (dataset, part):
            with pytest.raises(InputError, match="read from front to back: use cache: memory"):
                make(source, samples_per_identity=2)

    def test_batches_must_be_whole(self, folder):
        with pytest.raises(InputError, match="batch_size 4 can't be divided by samples"):
            make(folder, samples_per_identity=3)


class TestLabels:
    def test_mixed_batches_have_the_labels_of_both(self, folder):
        augment = [AUGMENTATIONS["random_flip"](), AUGMENTATIONS["mixup"](1.0)]
        pipeline = make(folder, augment=augment)
        spec = pipeline.epoch(0).element_spec
        assert spec[0] == tf.TensorSpec((4, *SIZE, 3), tf.uint8)
        assert spec[1] == {
            "identities": tf.TensorSpec((4,), tf.int32),
            "others": tf.TensorSpec((4,), tf.int32),
            "shares": tf.TensorSpec((4,), tf.float32),
        }
        plain = batches(make(folder).epoch(0))
        for (_, found), (_, labels) in zip(pipeline.epoch(0), plain, strict=True):
            np.testing.assert_array_equal(found["identities"], labels)
            np.testing.assert_array_equal(np.sort(found["others"]), np.sort(labels))

    def test_patches_come_from_images_of_the_same_person(self, folder):
        augment = [AUGMENTATIONS["one_class_cutmix"](1.0, probability=1.0)]
        options = {"samples_per_identity": 2, "batch_size": 6}
        plain = batches(make(folder, **options).epoch(0))
        mixed = batches(make(folder, augment=augment, **options).epoch(0))
        num_changed = 0
        for (images, labels), (found, found_labels) in zip(plain, mixed, strict=True):
            np.testing.assert_array_equal(labels, found_labels)
            for number in range(6):
                is_own = (found[number] == images[number]).all(axis=-1)
                # Two images of each stand together.
                is_partners = (found[number] == images[number ^ 1]).all(axis=-1)
                assert (is_own | is_partners).all()
                num_changed += not is_own.all()
        assert num_changed > 8

    def test_one_stage_mixes(self, folder):
        augment = [AUGMENTATIONS["mixup"](), AUGMENTATIONS["cutmix"]()]
        with pytest.raises(InputError, match=r"only one stage .* may mix identities"):
            make(folder, augment=augment)

    def test_labels_are_used_before_they_are_mixed(self, folder):
        augment = [AUGMENTATIONS["mixup"](), AUGMENTATIONS["one_class_cutmix"]()]
        with pytest.raises(InputError, match="one_class_cutmix must come before the stage"):
            make(folder, augment=augment)
        make(folder, augment=augment[::-1])
