"""The programs that the tests start are no tests: they import Keras with the backend they are given."""

collect_ignore = ["compute.py", "without_tensorflow.py"]
