"""The ``isozoo`` command."""
