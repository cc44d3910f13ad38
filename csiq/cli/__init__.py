"""The command line: one file a command, loaded when it is called.

Nothing in this package imports numpy, torch, sigpy, scipy or matplotlib when it is loaded, so that
``csiq --help`` answers at once.
"""

from csiq.cli.entry import main

__all__ = ["main"]
