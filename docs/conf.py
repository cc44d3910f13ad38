"""The documentation site: ``make docs`` builds it, and a warning is an error."""

from __future__ import annotations

from collections.abc import Iterator

import click
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

import csiq
from csiq.cli.group import csiq as command_line

project = "csiq"
author = "the csiq authors"
version = release = csiq.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# indented blocks are shells, tables and Python alike
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
# shapes such as (n_phases, z, y, x) stand where types do, and are no names to link to
napoleon_use_param = False
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"csiq {release}"
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


class Commands(SphinxDirective):
    """A section for each command, with its help as ``csiq COMMAND --help`` prints it."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [self._section(name, command) for name, command in leaves("csiq", command_line)]

    def _section(self, name: str, command: click.Command) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(name)], names=[name])
        section += nodes.title(text=name)
        context = click.Context(command, info_name=name, max_content_width=96, terminal_width=96)
        context.help_option_names = ["-h", "--help"]
        section += nodes.literal_block(text=command.get_help(context), language="none")
        return section


def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands that do something, with their full names."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        if found is not None:
            yield from leaves(f"{name} {word}", found)


def _bars(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Let |x| in a docstring be a modulus: reST takes it for a substitution."""
    for number, line in enumerate(lines):
        parts = line.split("``")
        lines[number] = "``".join(part if i % 2 else part.replace("|", r"\|") for i, part in enumerate(parts))


def setup(app: Sphinx) -> None:
    """Write formulas as MathML, which browsers know: no script, no network. Add the list of commands."""
    app.connect("autodoc-process-docstring", _bars, priority=900)
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.add_directive("csiq-commands", Commands)
