"""What other installed packages add to csiq, through the entry points of their metadata.

=================  ==========================================================================================
group              what an entry point names
=================  ==========================================================================================
``csiq.readers``   an object, module or class with ``takes(path) -> bool``, and with
                   ``read_acquisition(path, options)`` (a :class:`csiq.io.finish.Draft` or an Acquisition),
                   or ``read_volumes(path)`` (tuples of name, volume z y x, voxel size in mm), or both
``csiq.graders``   whatever :func:`csiq.quality.assessor.as_assessor` takes; a class is made without arguments
``csiq.rules``     a class or function of named parameters that makes a :class:`csiq.stopping.Rule`
``csiq.solvers``   a child of :class:`csiq.solvers.base.Solver`
=================  ==========================================================================================

A package is loaded when something of that name is asked for that csiq itself does not have, or to say whether
it takes a file that csiq does not know. It runs with the rights of the user who installed it. What it does
wrong is one line that names it.
"""

from csiq.plugins.entries import GROUPS, Plugin, own_names, plugin_named, plugins_of
from csiq.plugins.graders import load_assessor
from csiq.plugins.makers import rule_maker, solver_class
from csiq.plugins.readers import PluginReader, reader_of

__all__ = [
    "GROUPS",
    "Plugin",
    "PluginReader",
    "load_assessor",
    "own_names",
    "plugin_named",
    "plugins_of",
    "reader_of",
    "rule_maker",
    "solver_class",
]
