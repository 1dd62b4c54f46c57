"""What the outputs of a command may replace."""

import re

import pytest

from tfface.errors import InputError
from tfface.output_paths import check_distinct, check_output, check_replaceable


def test_files_of_others_are_not_to_be_replaced(tmp_path):
    file = tmp_path / "a.json"
    mark = re.compile(b"ours")
    check_replaceable(file, mark, overwrite=False)
    for content in (b"", b"these are ours"):
        file.write_bytes(content)
        check_replaceable(file, mark, overwrite=False)
    file.write_bytes(b"these are others")
    with pytest.raises(InputError, match=r"a\.json: is there already, .* with --overwrite"):
        check_replaceable(file, mark, overwrite=False)
    check_replaceable(file, mark, overwrite=True)
    with pytest.raises(InputError, match="is a folder"):
        check_replaceable(tmp_path, mark, overwrite=True)


def test_outputs_are_not_written_over_each_other(tmp_path):
    (tmp_path / "link").symlink_to("a")
    a, b, link = tmp_path / "a", tmp_path / "b", tmp_path / "link"
    check_distinct({"--json": a, "--report": b, "--results": None}, {"--plots": tmp_path})
    for other in (a, link, tmp_path / "c" / ".." / "a"):
        with pytest.raises(InputError, match=r"^--json and --report are both \S+a: give each"):
            check_distinct({"--json": a, "--report": other})
    with pytest.raises(InputError, match="--report and --plots are both"):
        check_distinct({"--report": a}, {"--plots": a})
    for files, folders in (({"--x": a, "--y": a / "b"}, {}), ({"--x": a}, {"--y": a / "b"})):
        with pytest.raises(InputError, match=r"--x .* and --y .*: one lies in the other"):
            check_distinct(files, folders)


def test_an_output_in_the_source(tmp_path):
    check_output([tmp_path / "a"], tmp_path / "b")
    check_output([], tmp_path / "b")
    with pytest.raises(InputError, match="where its files would be taken for those of a person"):
        check_output([tmp_path], tmp_path / "out")
