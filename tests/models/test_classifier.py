"""The classifier: what it accepts, what it answers, what it refuses."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

from isozoo.data.labels import imagenet_classes
from isozoo.data.preprocessing import IMAGENET, Preprocessing
from isozoo.errors import ImageError, WeightsError
from isozoo.models import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.predictions import classify_pictures
from tests.harness import numpy

LABELS = ("ant", "bee", "cat", "dog")
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), dtype="uint8")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return Classifier(architecture("r-isonet-8", classes=4), labels=LABELS)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(PIXELS[0]).save(path)
    return path


def opened(path):
    return io.BytesIO(path.read_bytes())


FORMS = {
    "text": str,
    "path": lambda path: path,
    "open file": opened,
    "Pillow image": Image.open,
    "array": lambda path: PIXELS[0],
    "list": lambda path: [path],
    "tuple": lambda path: (PIXELS[0],),
    "generator": lambda path: (p for p in [path]),
    "batch": lambda path: PIXELS[:1],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_picture_may_come_in_any_form(model, path, form):
    (found,) = model.classify(form(path), top=4)
    (expected,) = model.classify([PIXELS[0]], top=4)
    assert found == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_name_nothing(value):
    def logits(pictures):
        return np.array([[1.0, value]])

    with pytest.raises(WeightsError, match="logits are not finite, so no class can be named; load"):
        classify_pictures([0.0], logits, ["cat", "dog"], 1, 1)


def test_predictions_are_the_softmax_of_the_logits_from_the_most_probable(model):
    found = model.classify(PIXELS, top=4)
    probabilities = numpy(keras.ops.softmax(model(model.preprocess(list(PIXELS)), training=False)))
    assert len(found) == 3
    for predictions, row in zip(found, probabilities, strict=True):
        order = np.argsort(-row)
        assert [p.index for p in predictions] == order.tolist()
        assert [p.label for p in predictions] == [LABELS[i] for i in order]
        np.testing.assert_allclose([p.probability for p in predictions], row[order], rtol=1e-5)
        assert abs(sum(p.probability for p in predictions) - 1) < 1e-5


@pytest.mark.parametrize(("top", "count"), [(1, 1), (3, 3), (4, 4), (5, 4)])
def test_top_is_the_number_of_predictions_up_to_the_number_of_classes(model, top, count):
    (found,) = model.classify(PIXELS[0], top=top)
    assert len(found) == count
    assert found == model.classify(PIXELS[0], top=4)[0][:count]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_changes_nothing(model, batch_size):
    found = model.classify(PIXELS, batch_size=batch_size)
    for one, other in zip(found, model.classify(PIXELS), strict=True):
        assert [p.label for p in one] == [p.label for p in other]
        np.testing.assert_allclose(
            [p.probability for p in one], [p.probability for p in other], rtol=1e-5
        )


def test_no_pictures_have_no_predictions(model):
    assert model.classify([]) == []


def test_equal_probabilities_keep_the_order_of_the_classes():
    model = Classifier(architecture("fixup-8", classes=64))
    model.head.get_layer("head_fc").bias.assign(np.arange(64) % 2)
    (found,) = model.classify(PIXELS[0], top=64)
    assert [p.index for p in found] == [*range(1, 64, 2), *range(0, 64, 2)]
    assert len({p.probability for p in found}) == 2


@pytest.mark.parametrize("options", [{"top": 0}, {"batch_size": 0}, {"top": -1}])
def test_numbers_below_one_are_refused(model, options):
    (value,) = options.values()
    with pytest.raises(ValueError, match=f"top and batch_size must be at least 1, got .*{value}"):
        model.classify(PIXELS[0], **options)


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_one_picture_or_several_become_a_batch(model, path, form):
    np.testing.assert_array_equal(model.preprocess(form(path)), model.preprocess([PIXELS[0]]))


def test_a_file_that_is_no_picture_is_named(model, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ImageError, match=r"notes\.txt"):
        model.classify([PIXELS[0], tmp_path / "notes.txt"])
    with pytest.raises(ImageError, match=r"absent\.png"):
        model.classify(tmp_path / "absent.png")


def test_arrays_that_are_not_pixels_are_refused(model):
    with pytest.raises(ValueError, match="expected a uint8 array"):
        model.classify(PIXELS[0] / 255.0)
    with pytest.raises(TypeError, match=r"expected a path, an open file, .* not int"):
        model.classify(7)


def test_preprocessing_and_network_must_have_the_same_channels():
    described = architecture("r-isonet-8", classes=2, channels=4)
    assert Classifier(described).preprocessing.channels == 4
    with pytest.raises(
        ValueError, match=r"makes 3 channels and the network takes 4; use .*with_channels\(4\)"
    ):
        Classifier(described, preprocessing=IMAGENET)


@pytest.mark.parametrize("labels", [[], ["ant"], ["ant"] * 5])
def test_labels_must_be_one_per_class(labels):
    with pytest.raises(
        ValueError, match=f"{len(labels)} labels were given for 4 classes; give one"
    ):
        Classifier(architecture("r-isonet-8", classes=4), labels=labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["ant", "bee", "ant", "cow"], "labels must be distinct, got 'ant' more than once"),
        (["ant", "bee", 3, "cow"], "labels must be texts, got 3 of type int; write '3' for it"),
        ([None, "bee", "ant", "cow"], "labels must be texts, got None of type NoneType"),
    ],
)
def test_labels_must_be_distinct_texts(labels, message):
    with pytest.raises(ValueError, match=message):
        Classifier(architecture("r-isonet-8", classes=4), labels=labels)


def test_labels_may_be_imagenets_numbers_or_numpys_texts():
    for labels in (list(imagenet_classes().values()), [str(number) for number in range(1000)]):
        model = Classifier(architecture("r-isonet-8", classes=1000), labels=labels)
        assert model.labels == tuple(labels)
    model = Classifier(architecture("r-isonet-8", classes=2), labels=np.array(["ant", "bee"]))
    assert [type(label) for label in model.labels] == [str, str]


def test_classes_without_labels_are_numbered():
    assert Classifier(architecture("r-isonet-8", classes=3)).labels == ("0", "1", "2")


def test_each_stem_has_its_usual_preprocessing():
    assert Classifier(architecture("r-isonet-8")).preprocessing.size == 32
    assert Classifier(architecture("r-isonet-18-w32")).preprocessing is IMAGENET


def test_the_preprocessing_can_be_chosen_and_is_used():
    chosen = Preprocessing(resize=None, size=24)
    for given in (chosen, chosen.to_dict()):
        model = Classifier(architecture("r-isonet-8"), preprocessing=given)
        assert model.preprocessing == chosen
        batch = model.preprocess([PIXELS[0]])
        np.testing.assert_array_equal(batch, chosen(PIXELS[0])[None])


def test_channels_first_classifies_alike(model):
    twin = Classifier(model.architecture, LABELS, data_format="channels_first")
    twin.set_weights([numpy(variable) for variable in model.weights])
    assert twin.data_format == "channels_first"
    assert twin.preprocess([PIXELS[0]]).shape == (1, 3, 32, 32)
    for one, other in zip(twin.classify(PIXELS), model.classify(PIXELS), strict=True):
        assert [p.label for p in one] == [p.label for p in other]
        np.testing.assert_allclose(
            [p.probability for p in one], [p.probability for p in other], rtol=1e-4
        )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_logits_are_float32_whatever_is_computed_in(policy):
    model = Classifier(architecture("r-isonet-8", classes=4), dtype=policy)
    logits = model(np.zeros((1, 32, 32, 3), "float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert model.head.get_layer("head_fc").compute_dtype == "float32"
    assert model.backbone.get_layer("stem_conv").compute_dtype == policy.removeprefix("mixed_")
    assert model.output.dtype == "float32"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "labels": LABELS,
            "preprocessing": Preprocessing(resize=40, size=32),
            "input_shape": (3, 32, 32),
            "data_format": "channels_first",
            "dtype": "mixed_bfloat16",
            "name": "net",
            "trainable": False,
        },
    ],
    ids=["plain", "everything"],
)
def test_a_classifier_is_made_again_from_its_configuration(options):
    model = Classifier(architecture("r-isonet-8", classes=4), **options)
    twin = Classifier.from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    assert twin.labels == model.labels
    assert twin.preprocessing == model.preprocessing
    assert [v.path for v in twin.weights] == [v.path for v in model.weights]
    assert [v.trainable for v in twin.weights] == [v.trainable for v in model.weights]


def test_keras_can_clone_a_classifier(model):
    twin = keras.models.clone_model(model)
    twin.set_weights([numpy(variable) for variable in model.weights])
    x = model.preprocess(list(PIXELS))
    np.testing.assert_array_equal(numpy(twin(x)), numpy(model(x)))


def test_a_saved_classifier_is_a_classifier_again(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Classifier
    assert loaded.classify(PIXELS) == model.classify(PIXELS)


FROZEN = {
    "nothing": lambda model: [],
    "encoder": lambda model: [model.backbone],
    "head": lambda model: [model.head],
    "stem": lambda model: [model.backbone.get_layer("stem_conv")],
    "everything": lambda model: [model],
}


@pytest.mark.parametrize("frozen", FROZEN.values(), ids=list(FROZEN))
def test_what_is_frozen_stays_frozen_when_saved(tmp_path, frozen):
    model = Classifier(architecture("r-isonet-8", classes=4))
    for part in frozen(model):
        part.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = [v.path for v in model.trainable_variables]
    assert [v.path for v in loaded.trainable_variables] == expected
    for name in ("backbone", "head"):
        assert getattr(loaded, name).trainable == getattr(model, name).trainable


def test_the_dense_layer_starts_as_pytorchs():
    dense = Classifier(architecture("r-isonet-8", classes=500)).head.get_layer("head_fc")
    for values in map(numpy, (dense.kernel, dense.bias)):
        bound = 64**-0.5
        assert np.abs(values).max() <= bound
        assert abs(values.std() * 3**0.5 / bound - 1) < 0.1


def test_dropout_acts_in_training_only():
    model = Classifier(architecture("r-isonet-8", classes=4, dropout=0.9))
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    first, second = (numpy(model(x, training=False)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (numpy(model(x, training=True)) != first).any()
