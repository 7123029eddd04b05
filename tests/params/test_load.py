"""params.yaml: what is wrong is named with key, file and the nearest valid key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vldistill import presets
from vldistill.errors import InputError
from vldistill.params import Params, load, parse

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_a_valid_experiment():
    assert parse({}) == Params()


def test_unknown_key_names_key_file_and_nearest(tmp_path):
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, "compute:\n  thread: 2\n"))
    assert "params.yaml" in str(caught.value)
    assert "compute.thread" in str(caught.value)
    assert "compute.threads" in str(caught.value)


def test_unknown_section_names_nearest(tmp_path):
    with pytest.raises(InputError, match="nearest known key is distill"):
        load(written(tmp_path, "destill: {}\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("compute: {threads: two}\n", ["compute.threads", "valid integer", "'two'"]),
        ("compute: {threads: 0}\n", ["compute.threads", "greater than or equal to 1"]),
        ("compute: {threads: true}\n", ["compute.threads", "valid integer"]),
        ("compute: {dtype: fp8}\n", ["compute.dtype", "fp32"]),
        ("compute: 3\n", ["compute"]),
        ("pretrain: {clip: {training: {accumulate: 2}}}\n", ["pretrain.clip", "accumulate (2)", "all pairs"]),
        ("- compute\n", ["mapping is expected"]),
        ("compute: {threads: 1\n", ["not valid YAML", "line 2"]),
        ("compute: {threads: 1}\ncompute: {threads: 2}\n", ["stands twice", "lines 1 and 2"]),
    ],
)
def test_wrong_values_are_explained(tmp_path, text, words):
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, text))
    for word in [*words, "params.yaml"]:
        assert word in str(caught.value)


def test_exponent_without_point_is_explained():
    with pytest.raises(InputError, match=r"YAML reads 1e-4 as text.*0\.0001"):
        parse({"compute": {"threads": "1e-4"}})


def test_every_problem_is_listed():
    with pytest.raises(InputError) as caught:
        parse({"compute": {"threads": 0, "device": "tpu"}})
    assert "compute.threads" in str(caught.value) and "compute.device" in str(caught.value)


def test_a_student_that_is_trained_here_needs_the_regions_of_its_phrases():
    tree = {"features": {"kinds": {"vg": ["region_pooled"]}}}
    with pytest.raises(InputError, match=r"features\.kinds\.vg lacks `region`.*pretrain\.student\.source"):
        parse(tree)
    published = {"pretrain": {"student": {"source": "vilt"}}, "distill": {"mad": {"extra": {}}}}
    assert parse({**tree, **published}).features.kinds == tree["features"]["kinds"]


def test_missing_and_undecodable_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"compute: {device: \xff}\n")
    with pytest.raises(InputError, match="not UTF-8"):
        load(tmp_path / "params.yaml")


@given(st.floats(min_value=1e-9, max_value=1e9, allow_nan=False))
def test_rendered_numbers_are_read_back(value):
    import yaml

    text = yaml.dump({"x": round(value, 10)}, Dumper=presets._Dumper)
    assert yaml.safe_load(text)["x"] == pytest.approx(round(value, 10), abs=1e-12)


@pytest.mark.parametrize("name", presets.NAMES)
def test_preset_round_trips_through_its_file(tmp_path, name):
    params = presets.params_of(ROOT, name)
    assert load(written(tmp_path, presets.render(params))) == params


def test_tracked_params_equal_mini():
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == presets.render(presets.params_of(ROOT, "mini"))


def test_every_field_is_described():
    from vldistill.params.docs import reference

    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    undescribed = [row for row in rows if row.split(" | ")[-1].strip(" |") == ""]
    assert len(rows) > 50
    assert undescribed == []


def test_schema_and_reference_are_up_to_date():
    from vldistill.params.docs import targets

    for path, text in targets(ROOT).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date: python -m vldistill.params.docs"
