"""Models in local files: a config.json, a folder, and how many bytes its weights are."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog.resolve import ModelNotFoundError, resolve

CONFIG = {"model_type": "llama", "text_config": {"dtype": "bfloat16", "max_position_embeddings": 8192}}


def write_safetensors(path: Path, shapes: dict[str, int]) -> None:
    """Write the published layout: header's length, header, tensors (here of one byte an element)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, size in shapes.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models" / "mine"
    made.mkdir(parents=True)
    (made / "config.json").write_text(json.dumps(CONFIG))
    return made


@pytest.mark.parametrize("name", ["models/mine", "./models/mine", "models/mine/config.json", "models/mine/"])
def test_a_config_by_its_path_from_the_specs_folder(folder: Path, tmp_path: Path, name: str) -> None:
    found = resolve(name, base_dir=tmp_path)
    assert (found.id, found.origin, found.config) == ("mine", "file", CONFIG)
    assert (found.dtype, found.context_tokens, found.weight_bytes) == ("bfloat16", 8192, None)
    assert found.local_path == str(tmp_path / name.rstrip("/"))
    assert found.source == name


def test_an_absolute_path_and_home(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve(str(folder), base_dir=Path("/")).origin == "file"
    assert resolve("~/models/mine", base_dir=Path("/")).origin == "file"


def test_the_name_that_a_config_gives_itself(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, "_name_or_path": "org/base"}))
    assert resolve("models/mine", base_dir=tmp_path).id == "org/base"


def test_the_index_says_how_many_bytes(folder: Path, tmp_path: Path) -> None:
    index = {"metadata": {"total_size": 4242}, "weight_map": {}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    write_safetensors(folder / "model-00001-of-00001.safetensors", {"a": 10})
    found = resolve("models/mine", base_dir=tmp_path)
    assert found.weight_bytes == 4242
    assert "model.safetensors.index.json" in found.source


def test_headers_say_how_many_bytes_where_there_is_no_index(folder: Path, tmp_path: Path) -> None:
    write_safetensors(folder / "model-00001-of-00002.safetensors", {"a": 1000, "b": 24})
    write_safetensors(folder / "model-00002-of-00002.safetensors", {"c": 76})
    # The same weights once more in another layout, as some publishers ship them.
    write_safetensors(folder / "consolidated.safetensors", {"a": 1000, "b": 24, "c": 76})
    assert resolve("models/mine", base_dir=tmp_path).weight_bytes == 1100


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        b"",
        struct.pack("<Q", 4) + b"[1]]",
        struct.pack("<Q", 2**62),
        struct.pack("<Q", 2) + b"{}"[:1],
    ],
)
def test_a_file_that_is_not_whole_gives_no_number(folder: Path, tmp_path: Path, content: bytes) -> None:
    write_safetensors(folder / "model-00001-of-00002.safetensors", {"a": 1000})
    (folder / "model-00002-of-00002.safetensors").write_bytes(content)
    assert resolve("models/mine", base_dir=tmp_path).weight_bytes is None


@pytest.mark.parametrize(
    "index", ["[]", "{}", '{"metadata": 3}', "nonsense", '{"metadata": {"total_size": "12"}}']
)
def test_a_strange_index_is_passed_over(folder: Path, tmp_path: Path, index: str) -> None:
    (folder / "model.safetensors.index.json").write_text(index)
    assert resolve("models/mine", base_dir=tmp_path).weight_bytes is None


def test_a_config_that_states_its_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, "weight_bytes": 99}))
    assert resolve("models/mine", base_dir=tmp_path).weight_bytes == 99


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00", "3"])
def test_a_config_that_is_none(folder: Path, tmp_path: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelNotFoundError) as caught:
        resolve("models/mine", base_dir=tmp_path)
    assert "config.json is not a JSON object" in str(caught.value)
    assert caught.value.kind == "file"


def test_a_file_too_large_for_a_config(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").write_bytes(b" " * (5 * 2**20))
    with pytest.raises(ModelNotFoundError, match="too large"):
        resolve("models/mine", base_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./models/other", "there is no such file"),
        ("missing.json", "there is no such file"),
        ("./models", "the folder has no config.json"),
        ("..", "the folder has no config.json"),
        ("/dev/null", "there is no such file"),
    ],
)
def test_a_path_that_leads_nowhere(folder: Path, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "deeper").mkdir()
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(name, base_dir=tmp_path / "deeper" if name == ".." else tmp_path)
    assert says in str(caught.value)
    assert caught.value.help


def test_a_folder_without_a_config_does_not_hide_a_hub_id(tmp_path: Path) -> None:
    (tmp_path / "some-org" / "some-model").mkdir(parents=True)
    with pytest.raises(ModelNotFoundError) as caught:
        resolve("some-org/some-model", base_dir=tmp_path, offline=True)
    assert caught.value.kind == "offline"


def test_the_catalog_comes_before_a_folder_of_the_same_name(tmp_path: Path) -> None:
    made = tmp_path / "microsoft" / "phi-4"
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")
    assert resolve("microsoft/phi-4", base_dir=tmp_path).origin == "catalog"
    assert resolve("./microsoft/phi-4", base_dir=tmp_path).origin == "file"
