"""What workers do: one module for each measure, imported by name in the process that times it."""
