"""A YAML that cannot be read is refused by file, line and remedy, and none fills the memory."""

import os
import tracemalloc

import pytest

from semanticcmc.config import InputError
from semanticcmc.layers import read_yaml


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3: a is also in line 1; remove one"),
        (b"top:\n  a: {b: 1, b: 2}\n", "line 2: b is also in line 2"),
        (b'a: 1\n"a": 1\n', "line 2: a is also in line 1"),
        (b"list:\n- {x: 1}\n- x: 1\n  y: 2\n  x: 1\n", "line 5: x is also in line 3"),
        (b"base: &b {x: 1}\ntop:\n  <<: *b\n  <<: *b\n", "line 4: << is also in line 3"),
        ("a: 1\ntitle: Caf\xe9\n".encode("latin-1"), "line 2: not readable as text in UTF-8 .*; save it as UTF-8"),
        ("a: 1\n".encode("utf-16"), "line 1: not readable as text in UTF-8 .*; save it as UTF-8"),
        ("a: 1\n".encode("utf-16-be"), "not readable as YAML: unacceptable character #x0000"),
        ("a: 1\ntitle: \u201cM\xe4nner\u201d\n".encode("cp1252"), "line 2: not readable as text in UTF-8"),
        (b"a: 1\nb: \x07\n", "not readable as YAML: unacceptable character #x0007"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
        (b"a:\n" + b"".join(b" " * i + b"a:\n" for i in range(1, 700)), "nested too deeply"),
        (b"a: " + b"{a: " * 3000, "nested too deeply"),
        (b"- a\n- b\n", "expected `key: value` lines, found list"),
        (b"just text\n", "found str"),
        (b"", "found NoneType"),
        (b"a: 1\n---\nb: 2\n", "not readable as YAML: .*line 2"),
        (b"a: 1\n\tb: 2\n", "not readable as YAML: .*line 2"),
        (b"a: [1, 2\nb: 3\n", "not readable as YAML: .*line 2"),
        (b"a: !!python/object/apply:os.system ['true']\n", "not readable as YAML: .*line 1"),
        (b"? [a]\n: 1\n", "not readable as YAML: .*unhashable key.*line 1"),
        (b"a: 1\nday: 2024-13-45\n", "line 2: '2024-13-45' is no value .*; put text in quotes"),
        (b"a: 1\nn: " + b"9" * 5000, r"line 2: '9+\.\.\. is no value"),
        (b"a: " + b"x" * 300_000, "more than 262,144 characters"),
        (b"a: &a [*a, *a]\n", r"line 1: too long with its aliases \(\*\) written out"),
        (b"a: &a {b: *a}\n", r"line 1: too long with its aliases \(\*\)"),
    ],
)
def test_a_yaml_that_is_none_is_refused_with_line_and_remedy(tmp_path, content, words):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(InputError, match=rf"(?s)x\.yaml\b.*{words}") as error:
        read_yaml(tmp_path / "x.yaml")
    assert len(str(error.value)) < 6000


BOMBS = {
    "lists": "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "sections": "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40)),
    "merges": "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40)),
    "text": f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 10_000)}]\n",
    "in a list": "- &a0 [x, x]\n" + "".join(f"- &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
    "keys": "a0: &a0 kkkk\n" + "".join(f"a{i}: &a{i} {{*a0 : [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_aliases_are_bounded_in_memory_and_message(tmp_path, bomb):
    (tmp_path / "x.yaml").write_text(BOMBS[bomb])
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"x\.yaml, line \d+: too long with its aliases") as error:
            read_yaml(tmp_path / "x.yaml")
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20 and len(str(error.value)) < 500
    finally:
        tracemalloc.stop()


def test_aliases_that_save_writing_are_read(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "\ufeffa: &a {x: 1, y: [1, 2]}\r\nb: {<<: *a, x: 2}\r\nc: [*a, *a]\r\n", newline=""
    )
    one = {"x": 1, "y": [1, 2]}
    assert read_yaml(tmp_path / "x.yaml") == {"a": one, "b": one | {"x": 2}, "c": [one, one]}


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(InputError, match=r"a\.yaml: no regular file"):
        read_yaml(tmp_path / "a.yaml")
    with pytest.raises(InputError, match=r"b\.yaml: not readable: No such file"):
        read_yaml(tmp_path / "b.yaml")
