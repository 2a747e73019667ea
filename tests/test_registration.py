"""`import isozoo` registers its classes with Keras, in whatever order the two are imported."""

import pytest

from isozoo.models import architecture
from isozoo.models.classifier import Classifier

ORDERS = {
    "isozoo first": "import isozoo; isozoo.list_models(); import keras",
    "keras first": "import keras, isozoo",
    "backbone first": "import isozoo.models.backbone, keras, isozoo",
    "data first": pytest.param("import isozoo.data, keras, isozoo", marks=pytest.mark.slow),
    "loading first": pytest.param("import isozoo.zoo.loading, isozoo", marks=pytest.mark.slow),
    # TensorFlow looks for Keras, but does not import it.
    "tensorflow between": "import isozoo, tensorflow, keras",
    # What imports Keras is half imported then: the classes are registered after it.
    "a layer first": "from isozoo.layers import SReLU; import keras",
    "others first": pytest.param("import isozoo.regularizers", marks=pytest.mark.slow),
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


@pytest.mark.parametrize(
    "imports",
    ["import isozoo", "import isozoo, tensorflow", "from isozoo.layers import SReLU"],
)
def test_keras_reads_a_weights_folder_in_any_order_of_imports(python, tmp_path, imports):
    Classifier(architecture("r-isonet-8", classes=2)).save_pretrained(tmp_path / "out")
    found = python(
        "-c",
        f"{imports}\nimport keras, sys\n"
        "assert type(keras.saving.load_model(sys.argv[1])).__name__ == 'Backbone'\n",
        str(tmp_path / "out"),
    )
    assert found.returncode == 0, found.stderr


def test_a_module_that_cannot_be_imported_does_not_stop_the_watch(python, tmp_path):
    (tmp_path / "keras.py").write_text("raise ImportError('no backend')\n")
    program = (
        "import sys, isozoo\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "try:\n    import isozoo.layers\n"
        "except ImportError as error:\n    assert 'no backend' in str(error)\n"
        "sys.path.pop(0)\n"
        "sys.path_importer_cache.clear()\n"
        "import keras\n"
        "keras.saving.get_registered_object('isozoo>Backbone').__name__\n"
    )
    found = python("-c", program, str(tmp_path))
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
