"""Configuration: merging, and one-line errors that name the key."""

from __future__ import annotations

import pytest

from csiq.config import Config, load_config, parse_config
from csiq.errors import ConfigError
from csiq.presets import preset_names
from csiq.quantities import bytes_of, seconds_of


def test_defaults_are_those_of_the_contract():
    config = Config()
    assert (config.stop.plateau_tol, config.stop.plateau_floor, config.stop.patience) == (0.02, 1.0, 2)
    assert (config.stop.min_iter, config.solver.max_iter, config.gating.phases) == (3, 20, 4)
    assert config.penalty.lamda == 0.02
    assert config.stop.return_ == "best"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads(name):
    assert isinstance(load_config(preset=name), Config)


def test_an_option_wins_over_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[penalty]\nlamda = 0.1\n[solver]\nmax_iter = 5\n")
    config = load_config(file=file, overrides={"lamda": 0.3, "max_iter": None})
    assert (config.penalty.lamda, config.solver.max_iter) == (0.3, 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[stop]\npatiance = 2", "mine.toml: stop.patiance: unknown key; did you mean 'patience'?"),
        ("[solvr]\n", r"\[solvr\]: unknown section; did you mean 'solver'"),
        ("[stop]\nlamda = 1", r"stop.lamda: unknown key; it belongs to \[penalty\]"),
        ("[solver]\nmax_iter = '20'", "mine.toml: solver.max_iter: expected `int`, got `str`"),
        ("[penalty]\nlamda = -1", "penalty.lamda: expected `float` >= 0.0"),
        ("[penalty]\nlamda = nan", "lamda"),
        ("[penalty]\nlamda = inf", "expected a finite number"),
        ("[solver]\nmax_iter = 0", "solver.max_iter: expected `int` >= 1"),
        ("[gating]\nphases = 0", "gating.phases: expected `int` >= 1"),
        ("[gating]\nband = [1.0, 0.5]", "mine.toml: gating.band: expected low < high"),
        ("[run]\nmax_memory = 'lots'", "mine.toml: run.max_memory: cannot read 'lots'; for example 8GB"),
        ("[solver]\ntime_limit = '-3m'", "mine.toml: solver.time_limit: cannot read '-3m'"),
        ("[data]\ndelays = 'maybe'", "mine.toml: data.delays: cannot read 'maybe'"),
        ("[stop]\nrule = 'slope('", "mine.toml: stop.rule: "),
        ("[gating]\nmode = 'x'", "gating.mode: invalid enum value 'x'"),
        ("gating = 3", "expected a .section."),
        ("[gating", "not TOML"),
        ("[gating]\nphases = 4\nphases = 5", "not TOML"),
    ],
)
def test_what_is_wrong_is_named(text, says):
    with pytest.raises(ConfigError, match=says) as error:
        parse_config(text, {}, "some/folder/mine.toml")
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    assert "folder" not in str(error.value)


def test_a_wrong_option_is_named_as_an_option():
    with pytest.raises(ConfigError, match="--plateau-tol: expected"):
        load_config(overrides={"plateau_tol": -1.0})
    with pytest.raises(ConfigError, match=r"^--band: expected low < high in Hz, got \[0.5, 0.1\]$"):
        load_config(overrides={"band": (0.5, 0.1)})
    with pytest.raises(ConfigError, match=r"^--lamda: expected"):
        load_config(preset="whole-heart", overrides={"lamda": float("nan")})
    with pytest.raises(ConfigError, match="did you mean 'lamda'"):
        load_config(overrides={"lambda": 1.0})
    with pytest.raises(ConfigError, match="no preset 'whole-hart'; did you mean 'whole-heart'"):
        load_config(preset="whole-hart")


def test_unreadable_files_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(file=tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        load_config(file=binary)


def test_a_path_is_a_file_wherever_it_is_given(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[gating]\nphases = 7\n")
    for given in ((file,), (str(file),), (None, file), (None, str(file))):
        assert load_config(*given).gating.phases == 7
    with pytest.raises(ConfigError, match=r"nothing\.toml: no such file"):
        load_config(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="exclude each other"):
        load_config(file, file)


def test_a_wrong_word_is_answered_with_the_words_there_are():
    with pytest.raises(ConfigError, match="--return: invalid enum value 'lst'; known: best, last, best-per"):
        load_config(overrides={"return": "lst"})


def test_the_hash_leaves_out_what_does_not_change_the_iterates():
    base = Config().sha256()
    for key, value in {
        "max_iter": 40,
        "time_limit": "1h",
        "device": "cpu",
        "threads": 1,
        "live": True,
    }.items():
        assert load_config(overrides={key: value}).sha256() == base
    for key, value in {"lamda": 0.1, "phases": 3, "coils": 2, "plateau_tol": 0.1}.items():
        assert load_config(overrides={key: value}).sha256() != base


def test_a_config_survives_its_own_dictionary():
    config = load_config(overrides={"return": "last", "band": [0.1, 0.5]})
    content = config.as_dict()
    assert content["stop"]["return"] == "last"
    flat = {key: value for section in content.values() for key, value in section.items()}
    assert load_config(overrides=flat) == config


def test_units():
    assert (seconds_of("90"), seconds_of("30m"), seconds_of("1.5h")) == (90, 1800, 5400)
    assert (bytes_of("8GB"), bytes_of("1 MiB"), bytes_of("10000")) == (8_000_000_000, 1_048_576, 10_000)
    for wrong in ("", "m", "-3s", "0", "3 days"):
        with pytest.raises(ConfigError, match="--time-limit"):
            seconds_of(wrong)
    with pytest.raises(ConfigError, match="--max-memory"):
        bytes_of("lots")
    with pytest.raises(ConfigError, match="8 bytes are too few; with its unit"):
        bytes_of("8")
