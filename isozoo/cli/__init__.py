"""The ``isozoo`` command: it parses arguments and prints; each command calls one public function.

Exit codes: 0 all went well; 1 the command ran but some of what it was given failed (unreadable
pictures, an accuracy outside its tolerance); 2 it could not run (a mistake in the arguments, an
unknown name, missing weights); 130 stopped with Ctrl-C.
"""

from isozoo.cli.main import main

__all__ = ["main"]
