"""The pages against the program: commands, options, links, configurations, imports and public names."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

import csiq
from csiq.cli.group import csiq as command_line
from csiq.config import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
USER_PAGES = [page for page in PAGES if page.parent.name != "decisions"]
# decisions speak of what was tried, too, and the changelog of what was
SPEAKING = [*USER_PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"]
LINKING = [*PAGES, *SPEAKING[-3:], ROOT / "benchmarks" / "RESULTS.md", ROOT / "CHANGELOG.md"]
#: Options of other programs that pages name: pip's, and those of scripts in benchmarks.
OTHERS = {"--index-url", "--keep-images", "--shard"}
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:(?: {4}.*|[ \t]*)\n)+")
_BREAKS = set(";|&()<>")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the code of each block, fenced or indented by four."""
    for fence in _FENCE.finditer(text):
        yield fence[1], textwrap.dedent(fence[2])
    for block in _INDENTED.findall(_FENCE.sub("\n", text)):
        if block.strip():
            yield "", textwrap.dedent(block)


def commands_of_line(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of csiq in a line of shell, without ``csiq``."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[str] | None = None
    start = True
    for token in lexer:
        breaks = set(token) <= _BREAKS or token in ("do", "then")
        if breaks and found is not None:
            yield found
            found = None
        elif found is not None:
            found.append(token)
        elif start and token == "csiq":
            found = []
        start = breaks
    if found is not None:
        yield found


def calls(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of csiq on a page: in code blocks, and within lines."""
    for _, code in code_blocks(text):
        for line in re.sub(r"\\\n\s*", " ", code).splitlines():
            # behind two spaces stands what the line does
            command = re.split(r"(?<=\S)\s{2,}", line.strip())[0]
            if re.search(r"\bcsiq [a-z-]", command) and not re.match(r"(from|import) ", command):
                yield from commands_of_line(command)
    for inline in re.findall(r"`(csiq [^`]+)`", _FENCE.sub("\n", text)):
        yield from commands_of_line(" ".join(inline.split()))


def parse(arguments: list[str]) -> None:
    """Parse arguments as click would; raise what it would about commands, options and choices."""
    command: click.Command = command_line
    context = click.Context(command, info_name="csiq")
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, word := rest.pop(0))
        if found is None:
            raise click.UsageError(f"no command '{word}'")
        command, context = found, click.Context(found, info_name=word, parent=context)
    values, _, _ = command.make_parser(context).parse_args(rest)
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice) and values.get(parameter.name or "") is not None:
            parameter.type_cast_value(context, values[parameter.name or ""])


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        assert found is not None
        yield from leaves(found, f"{name} {word}")


LEAVES = dict(leaves(command_line, "csiq"))


@pytest.mark.parametrize("page", SPEAKING, ids=name_of)
def test_commands_on_a_page_are_commands(page):
    for arguments in calls(page.read_text(encoding="utf-8")):
        try:
            parse(arguments)
        except click.ClickException as error:
            pytest.fail(f"csiq {shlex.join(arguments)}: {error.format_message()}")


def test_wrong_commands_would_be_found():
    text = (
        "x\n\n    for s in a; do csiq recon $s --lamdda 2; done\n\nand `csiq rekon a`, `csiq info scan.h5`\n"
    )
    found = list(calls(text))
    assert found == [["recon", "$s", "--lamdda", "2"], ["rekon", "a"], ["info", "scan.h5"]]
    for wrong in (*found[:2], ["recon", "a", "--scope", "phase"], ["recon", "--lamda"], ["model", "lst"]):
        with pytest.raises(click.ClickException):
            parse(wrong)
    parse(found[2])


@pytest.mark.parametrize("page", SPEAKING, ids=name_of)
def test_options_on_a_page_are_options_of_some_command(page):
    known = {o for command in LEAVES.values() for p in command.params for o in (*p.opts, *p.secondary_opts)}
    text = _FENCE.sub("\n", page.read_text(encoding="utf-8"))
    named = set(re.findall(r"`(--[a-z][a-z-]*)", text))
    assert named <= known | {"--help", "--version"} | OTHERS


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_a_page_that_shows_it(name):
    arguments = name.split()[1:]
    shown = [
        page.name
        for page in USER_PAGES
        if any(call[: len(arguments)] == arguments for call in calls(page.read_text(encoding="utf-8")))
    ]
    assert shown


@pytest.mark.parametrize("name", LEAVES)
def test_examples_in_the_help_are_commands(name):
    block = textwrap.indent((LEAVES[name].epilog or "").partition("Examples:")[2], "    ")
    found = list(calls(f"\n\n{block}\n"))
    assert found
    for arguments in found:
        parse(arguments)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site name them."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", _FENCE.sub("\n", page.read_text(encoding="utf-8")), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_links_lead_somewhere(page):
    text = _FENCE.sub("\n", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), target
        assert ROOT in to.parents, target
        assert not anchor or anchor in headings(to), target


def test_every_page_is_in_the_contents():
    listed = {ROOT / "docs" / "index.md"}
    for page in (ROOT / "docs" / "index.md", ROOT / "docs" / "decisions" / "index.md"):
        for block in re.findall(r"```{toctree}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            names = [line for line in block.split() if not line.startswith(":")]
            listed |= {path for name in names for path in page.parent.glob(f"{name}.md")}
    assert set(PAGES) <= listed, "add the page to docs/index.md"


@pytest.mark.parametrize("page", SPEAKING, ids=name_of)
def test_python_on_a_page_imports_what_there_is(page):
    for language, code in code_blocks(page.read_text(encoding="utf-8")):
        if language == "python":
            tree = ast.parse(code)
        else:
            lines = [line for line in code.splitlines() if re.match(r"(from csiq|import csiq)", line)]
            tree = ast.parse("\n".join(lines))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("csiq"):
                module = import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


@pytest.mark.parametrize("page", SPEAKING, ids=name_of)
def test_configurations_on_a_page_are_taken(page, tmp_path):
    for language, code in code_blocks(page.read_text(encoding="utf-8")):
        if language == "toml":
            (tmp_path / "page.toml").write_text(code)
            load_config(file=tmp_path / "page.toml")


def test_api_page_lists_the_stable_names_and_no_others():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. auto\w+:: csiq\.(\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(set(csiq.__all__) - {"__version__"})
    assert set(csiq._HOME) == set(csiq.__all__) - {"__version__", "CsiqError"}
