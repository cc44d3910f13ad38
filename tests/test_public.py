"""The public names: all there, each loaded only when it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

import csiq


@pytest.mark.parametrize("name", csiq.__all__)
def test_public_name_is_there_and_documented(name):
    value = getattr(csiq, name)
    assert name == "__version__" or value.__doc__


@pytest.mark.parametrize("name", sorted(csiq._HOME))
def test_no_module_has_the_name_of_a_public_name(name):
    # importing it would put the module in the name's place: csiq.run(...) worked once, and then no more
    assert find_spec(f"csiq.{name}") is None


def test_unknown_names_are_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'reconstrukt'"):
        csiq.reconstrukt  # noqa: B018


def test_importing_csiq_imports_nothing_heavy():
    heavy = "{'numpy', 'torch', 'sigpy', 'scipy', 'matplotlib'}"
    code = f"import csiq, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_written_in_one_place():
    from importlib.metadata import version

    assert csiq.__version__ == version("csiq")
