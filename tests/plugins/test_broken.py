"""A broken plug-in is one line that names its package, and nothing else breaks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from csiq.cli import main
from csiq.errors import ConfigError, ModelError, RawDataError
from csiq.io import read_acquisition
from csiq.plugins import load_assessor, plugin_named
from csiq.quality.grade import Grader
from csiq.solvers import SOLVERS, solver_named
from csiq.stopping import GradePlateau, parse_rule

BROKEN = """\
[csiq.readers]
broken = nowhere_at_all
[csiq.graders]
broken = nowhere_at_all:grade
leaving = leaving_module:grade
failing = working_module:fail
number = working_module:number
[csiq.rules]
broken = nowhere_at_all:Rule
number = working_module:number
[csiq.solvers]
broken = nowhere_at_all:Solver
number = working_module:number
"""
MODULES = {
    "leaving_module": "import sys\nsys.exit(3)\n",
    "working_module": "number = 3\ndef fail(volume, voxel_size):\n    raise KeyError('weights')\n",
}


@pytest.fixture
def broken(declared):
    declared("broken-package", BROKEN, **MODULES)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["--model", "broken"], 4, "grader 'broken' of broken-package 1.0 cannot be loaded: ModuleNotFound"),
        (["--model", "leaving"], 4, "grader 'leaving' of broken-package 1.0 cannot be loaded: SystemExit: 3"),
        (["--model", "number"], 4, "grader 'number' of broken-package 1.0 expected a grader"),
        (["--model", "failing"], 4, "grader 'failing' of broken-package 1.0 failed: KeyError: 'weights'"),
    ],
)
def test_a_broken_grader_is_one_line(command, code, said, tmp_path, capsys):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / "a.nii")
    assert main(["grade", str(tmp_path / "a.nii"), *command]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert err.rstrip().endswith("repair or uninstall broken-package")


@pytest.mark.usefixtures("broken")
def test_broken_rules_and_solvers_are_named():
    with pytest.raises(ConfigError, match=r"rule 'broken' of broken-package 1.0 cannot be loaded"):
        parse_rule("broken")
    with pytest.raises(ConfigError, match=r"rule 'number' of broken-package 1.0 is no class or function"):
        parse_rule("number")
    with pytest.raises(ConfigError, match=r"solver 'broken' of broken-package 1.0 cannot be loaded"):
        solver_named("broken")
    with pytest.raises(ConfigError, match=r"is no child of csiq.solvers.base.Solver"):
        solver_named("number")


@pytest.mark.usefixtures("broken")
def test_a_broken_reader_speaks_where_no_other_takes_the_file(tmp_path, capsys):
    path = tmp_path / "scan.raw"
    path.write_bytes(b"who knows" * 100)
    with pytest.raises(RawDataError, match=r"reader 'broken' of broken-package 1.0 cannot be loaded"):
        read_acquisition(path)
    assert main(["info", str(path)]) == 3
    assert capsys.readouterr().err.startswith("csiq: error: scan.raw: reader 'broken' of broken-package")


@pytest.mark.usefixtures("broken")
def test_nothing_of_csiq_breaks(capsys):
    assert main(["doctor", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    states = [line["state"] for line in lines if line["name"] == "plug-in"]
    assert states.count("note") == 5
    assert main(["model", "list"]) == 0
    assert "grader of broken-package 1.0" in capsys.readouterr().out
    assert isinstance(load_assessor("default"), Grader)
    assert solver_named("nlcg") is SOLVERS["nlcg"]
    assert parse_rule("plateau") == GradePlateau()


def test_csiqs_own_names_win_and_doctor_says_so(declared, capsys):
    declared("thief", "[csiq.solvers]\nnlcg = thief:Solver\n", thief="raise RuntimeError")
    assert solver_named("nlcg") is SOLVERS["nlcg"]
    assert main(["doctor"]) == 0
    assert "solver 'nlcg' of thief 1.0: never used, csiq has its own 'nlcg'" in capsys.readouterr().out


def test_one_name_in_two_packages(declared):
    for name in ("one", "two"):
        declared(f"package-{name}", "[csiq.graders]\nsame = nowhere:grade\n")
    with pytest.raises(ConfigError, match=r"in several packages: package-one 1.0, package-two 1.0"):
        plugin_named("grader", "same")


def test_a_reader_that_gives_something_else_or_fails(declared, tmp_path):
    code = (
        "def takes(path):\n    return path.suffix == '.odd'\n"
        "def read_acquisition(path, options):\n"
        "    return 1 / 0 if b'fail' in path.read_bytes() else 'a scan'\n"
    )
    declared("odd-reader", "[csiq.readers]\nodd = odd_reader\n", odd_reader=code)
    path = tmp_path / "a.odd"
    path.write_bytes(b"\1\2 scan")
    with pytest.raises(RawDataError, match=r"reader 'odd' of odd-reader 1.0 gave no scan but str"):
        read_acquisition(path)
    path.write_bytes(b"\1\2 fail")
    with pytest.raises(RawDataError, match=r"odd-reader 1.0 failed: ZeroDivisionError"):
        read_acquisition(path)


def test_an_unknown_name_is_as_before():
    with pytest.raises(ModelError, match=r"no model 'iq-dcm'"):
        load_assessor("iq-dcm")
    with pytest.raises(ConfigError, match=r"no solver 'nlgc'.*nlcg"):
        solver_named("nlgc")
