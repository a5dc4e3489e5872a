"""Values as people write them stay text; YAML cannot change them, repeat them or run anything."""

from pathlib import Path

import pytest

from channelwise.runs.errors import UsageError
from channelwise.runs.values import parse_assignments, parse_grid, read_yaml


def yaml_file(folder: Path, text: str) -> Path:
    path = folder / "set.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_value_may_hold_equals_signs_and_any_character():
    values = parse_assignments(["a=b=c", "t=<script>alert(1)</script>", "e="])
    assert values == {"a": "b=c", "t": "<script>alert(1)</script>", "e": ""}


@pytest.mark.parametrize("text", ["depth", "=3", " =3"])
def test_an_assignment_needs_a_name_and_an_equals_sign(text):
    with pytest.raises(UsageError, match=r"write -p name=value, such as -p seed=1"):
        parse_assignments([text])


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(UsageError, match=r"-p seed is given twice"):
        parse_assignments(["seed=1", "seed=2"])


def test_yaml_leaves_every_scalar_as_it_was_written(tmp_path):
    text = "a: 1e-3\nb: 1_000\nc: no\nd: 2024-01-01\ne: 1:30\nf: 010\ng: 'quoted'\nh: [1, 2.5]\n"
    assert read_yaml(yaml_file(tmp_path, text)) == {
        "a": "1e-3",
        "b": "1_000",
        "c": "no",
        "d": "2024-01-01",
        "e": "1:30",
        "f": "010",
        "g": "quoted",
        "h": ["1", "2.5"],
    }


def test_yaml_null_and_nothing_are_none_but_a_quoted_null_is_text(tmp_path):
    text = "a:\nb: null\nc: ~\nd: 'null'\ne: ''\n"
    values = read_yaml(yaml_file(tmp_path, text))
    assert values == {"a": None, "b": None, "c": None, "d": "null", "e": ""}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_yaml_file_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match=r"set\.yaml is empty; write lines such as `seed: 1`"):
        read_yaml(yaml_file(tmp_path, text))


def test_a_yaml_key_given_twice_is_refused_with_its_line(tmp_path):
    with pytest.raises(UsageError, match=r"line 3: seed is given twice; write each parameter once"):
        read_yaml(yaml_file(tmp_path, "seed: 1\nn: 2\nseed: 3\n"))


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch pwned']",
        "a: !!python/name:os.system",
        "!!python/object/new:os.system [id]",
        "a: !mine 3",
    ],
)
def test_yaml_tags_are_refused_and_nothing_is_called(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not allowed here"):
        read_yaml(yaml_file(tmp_path, text))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "just words\n"])
def test_yaml_without_names_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match="not parameters; write lines such as"):
        read_yaml(yaml_file(tmp_path, text))


@pytest.mark.parametrize("text", ["a: [1, 2\n", "a: b: c\n", "\tx: 1\n", "? [1, 2]\n: 3\n"])
def test_broken_yaml_is_refused_with_its_line(tmp_path, text):
    with pytest.raises(UsageError, match=r"set\.yaml line \d+: .*as `name: value`\.$"):
        read_yaml(yaml_file(tmp_path, text))


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read: No such file or directory; check its"):
        read_yaml(tmp_path / "absent.yaml")
    (tmp_path / "set.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UsageError, match="not a UTF-8 text file; save it as plain UTF-8"):
        read_yaml(tmp_path / "set.yaml")


def test_a_grid_holds_lists_ranges_and_bracketed_items_once_each():
    grid = parse_grid(["lr=1e-4, 1e-3,1e-4", "seed=0..3", "t=-2..0,5", "hidden=[64,64],[128]"])
    assert grid == {
        "lr": ["1e-4", "1e-3"],
        "seed": ["0", "1", "2", "3"],
        "t": ["-2", "-1", "0", "5"],
        "hidden": ["[64,64]", "[128]"],
    }


@pytest.mark.parametrize("text", ["seed=4..0", "seed=0..99999999999"])
def test_a_range_must_rise_and_stay_small(text):
    with pytest.raises(UsageError, match="should rise from its first to its last number"):
        parse_grid([text])


def test_a_grid_with_a_hole_or_too_many_points_is_refused():
    with pytest.raises(UsageError, match="lacks a value; separate values by commas"):
        parse_grid(["n=1,,2"])
    with pytest.raises(UsageError, match="more than 10000; give fewer"):
        parse_grid(["a=0..999", "b=0..999"])
