"""What every command has: examples, --json, --debug, help of each option; one name for one thing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import click
import pytest

from csiq.cli import main
from csiq.cli.group import csiq
from csiq.presets import preset_names


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield groups and commands with their names."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            found = command.get_command(context, word)
            assert found is not None
            yield from commands(found, f"{name} {word}")


ALL = dict(commands(csiq, "csiq"))
LEAVES = {name: command for name, command in ALL.items() if not isinstance(command, click.Group)}
#: Their output is a script, or the help of others.
WITHOUT_JSON = {"csiq completion"}


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {max(p.opts, key=len): p for p in command.params if isinstance(p, click.Option)}


def examples_of(command: click.Command) -> list[str]:
    """Return the lines of the examples, without what stands behind two spaces."""
    lines = (command.epilog or "").partition("Examples:")[2].splitlines()
    found = [re.split(r"(?<=\S)\s{2,}", line.strip())[0] for line in lines]
    return [line for line in found if re.search(r"\bcsiq ", line)]


@pytest.mark.parametrize("name", ALL)
def test_help_ends_with_examples_of_the_command(name):
    examples = examples_of(ALL[name])
    assert any(line.startswith(name) or f"({name} " in line for line in examples), examples


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_debug_and_json(name):
    options = options_of(LEAVES[name])
    assert "--debug" in options
    assert ("--json" in options) == (name not in WITHOUT_JSON)


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_says_what_it_is(name):
    for option, parameter in options_of(LEAVES[name]).items():
        assert parameter.help, option
        assert parameter.help.endswith("."), option


def test_an_option_has_one_short_form_and_one_kind_of_value_everywhere():
    """Whether it is a flag, and its letter, do not depend on the command."""
    kinds = defaultdict(set)
    for command in LEAVES.values():
        for name, option in options_of(command).items():
            kinds[name].add((option.is_flag, *sorted(o for o in option.opts if o != name)))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}


def test_one_name_for_one_thing():
    """Words of other programs that stand for what csiq calls otherwise."""
    named = {name for command in LEAVES.values() for name in options_of(command)}
    assert named.isdisjoint({"--out", "--outdir", "--lambda", "--force-overwrite", "--jobs"})
    assert named.isdisjoint({"--nthreads", "--gpu", "--verbosity", "--clobber", "--silent", "--n-phases"})


# ---------------------------------------------------------------- near words


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (["recn"], "'recon'"),
        (["config", "lst"], "'list'"),
        (["cohort", "rn"], "'run'"),
        (["model", "shw"], "'show'"),
        (["recon", "--phasis", "3", "x.h5"], "'--phases'"),
        (["simulate", "--sed", "3"], "'--seed'"),
        (["config", "show", "xenon-lungs"], "'xenon-lung'"),
        (["simulate", "-o", "new.h5", "--trajectory", "phylotaxis"], "'phyllotaxis'"),
        (["recon", "--mode", "selfnv", "x.h5"], "phases, selfnav"),
        (["recon", "--dcf", "pipe", "x.h5"], "analytic, pipe-menon"),
        (["recon", "--rule", "plateu", "x.h5"], "'plateau'"),
    ],
)
def test_a_wrong_word_is_answered_with_the_near_one(typed, near, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(typed) == 2
    error = capsys.readouterr().err
    assert near in error
    assert error.count("\n") == 1


# ---------------------------------------------------------------- completion


def offered(words: str) -> set[str]:
    """Return what bash would be offered for the last word."""
    number = str(len(words.split(" ")) - 1)
    env = {**os.environ, "_CSIQ_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
    done = subprocess.run([sys.executable, "-m", "csiq"], capture_output=True, text=True, env=env, timeout=60)
    assert done.stderr == ""
    return {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_names_are_completed_not_only_options():
    assert offered("csiq recon --preset whole") == {"whole-heart", "whole-heart-fast"}
    assert offered("csiq config show ") == set(preset_names())
    assert offered("csiq recon scan.h5 --trajectory golden") == {"golden2d", "golden3d"}
    assert "--plateau-tol" in offered("csiq recon --plat")


def test_bash_takes_the_script(tmp_path):
    """What is printed is sourced by a shell, and its function answers there."""
    script = (
        f'eval "$({sys.executable} -m csiq completion bash)"\n'
        "complete -p csiq\n"
        'COMP_WORDS=(csiq config sh); COMP_CWORD=2; _csiq_completion "$0"; echo "${COMPREPLY[@]}"'
    )
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "csiq").write_text(f'#!/bin/sh\nexec {sys.executable} -m csiq "$@"\n')
    (folder / "csiq").chmod(0o755)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script, "csiq"], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "_csiq_completion" in done.stdout
    assert done.stdout.splitlines()[-1] == "show"


# ---------------------------------------------------------------- --json of what had none


def test_simulate_and_config_show_speak_json(capsys, tmp_path):
    path = tmp_path / "scan.h5"
    given = ["-o", str(path), "--matrix", "16", "--spokes", "60", "--coils", "1", "--trajectory", "golden2d"]
    assert main(["simulate", *given, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["raw"], content["truth"]) == ("scan.h5", "scan.truth.h5")
    assert (content["n_spokes"], content["matrix"]) == (60, [1, 16, 16])
    assert main(["simulate", *given, "--overwrite", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["config", "show", "xenon-lung", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["config"]["gating"]["band"] == [0.8, 1.6]
    assert shown["config"]["solver"]["max_iter"] == 20
