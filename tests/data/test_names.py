"""What the package of the room offers, and to whom."""

import isozoo.data

LATER = {"evaluation_dataset", "evaluation_sequence", "training_dataset", "training_sequence"}


def test_a_star_import_needs_neither_tensorflow_nor_keras(python):
    found = python(
        "-c",
        "import sys; sys.modules.update(tensorflow=None)\n"
        "from isozoo.data import *\n"
        "print(len(IMAGENET.mean), 'training_dataset' in globals(), 'keras' in sys.modules)",
    )
    assert (found.returncode, found.stdout) == (0, "3 False False\n"), found.stderr


def test_every_name_is_there_and_listed():
    for name in {*isozoo.data.__all__, *LATER}:
        assert getattr(isozoo.data, name) is not None
        assert name in dir(isozoo.data)
    assert not LATER & {*isozoo.data.__all__}
