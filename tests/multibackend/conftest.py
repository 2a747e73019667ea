"""The program that the tests start is no test: it imports Keras with the backend it is given."""

collect_ignore = ["compute.py"]
