"""`import isozoo` registers its classes with Keras, in whatever order the two are imported."""

import pytest

ORDERS = {
    "isozoo first": "import isozoo; isozoo.list_models(); import keras",
    "keras first": "import keras, isozoo",
    "backbone first": "import isozoo.models.backbone, keras, isozoo",
    "data first": pytest.param("import isozoo.data, keras, isozoo", marks=pytest.mark.slow),
    "loading first": pytest.param("import isozoo.zoo.loading, isozoo", marks=pytest.mark.slow),
    # What is half imported when Keras is cannot also be registered; it must still work.
    "layers first": "import isozoo.layers, keras, isozoo; isozoo.Backbone",
    "others first": pytest.param(
        "import isozoo.regularizers, keras, isozoo; isozoo.Backbone", marks=pytest.mark.slow
    ),
}


@pytest.mark.parametrize("imports", ORDERS.values(), ids=list(ORDERS))
def test_the_classes_are_registered_in_any_order_of_imports(python, imports):
    found = python(
        "-c",
        f"{imports}\nfrom keras.saving import get_registered_object as find\n"
        "assert find('isozoo>Backbone').__name__ == 'Backbone'\n"
        "assert find('isozoo>SReLU').__name__ == 'SReLU'\n",
    )
    assert found.returncode == 0, found.stderr


def test_keras_is_found_as_it_would_be_without_isozoo(python):
    program = (
        "import sys, isozoo\n"
        "assert 'keras' not in sys.modules\n"
        "import keras, inspect, importlib.resources\n"
        "assert keras.__spec__.loader is keras.__loader__\n"
        "assert inspect.getsource(keras)\n"
        "assert importlib.resources.files('keras').joinpath('__init__.py').is_file()\n"
        "assert not any('isozoo' in type(finder).__module__ for finder in sys.meta_path)\n"
    )
    found = python("-c", program)
    assert found.returncode == 0, found.stderr
