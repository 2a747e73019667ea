"""The programs that the tests start are no tests: they import Keras with a backend of their own."""

collect_ignore = ["compute.py", "measuring.py", "without_tensorflow.py"]
