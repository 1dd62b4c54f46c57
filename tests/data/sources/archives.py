"""Archives of a folder of identities, as other programs write them."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import tensorflow as tf


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def write_tar(path: Path, files: dict[str, bytes], format: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as archive:
        for name, content in files.items():
            add(archive, name, content)
    return path


def write_webdataset(folder: Path, output: Path, *, as_json: bool = False) -> Path:
    """Writes two shards of the images of a folder, in no order of names."""
    output.mkdir()
    images = sorted(folder.rglob("*.jpg"))
    for number in range(2):
        with tarfile.open(output / f"faces-{number:06d}.tar", "w") as archive:
            for image in reversed(images[number::2]):
                key = image.relative_to(folder).with_suffix("").as_posix()
                add(archive, f"{key}.jpg", image.read_bytes())
                name = image.parent.name
                if as_json:
                    add(archive, f"{key}.json", json.dumps({"identity": name, "age": 3}).encode())
                else:
                    add(archive, f"{key}.cls", f"{name}\n".encode())
    return output


def write_parquet(
    folder: Path, output: Path, *, plain: bool = False, rows_per_group: int = 3
) -> Path:
    """Writes two files of the images of a folder; as Hugging Face does, or `plain` columns."""
    output.mkdir()
    images = sorted(folder.rglob("*.jpg"))
    people = sorted({image.parent.name for image in images})
    for number in range(2):
        own = images[number::2][::-1]
        if plain:
            table = pyarrow.table(
                {
                    "photo": [image.read_bytes() for image in own],
                    "person": [image.parent.name for image in own],
                }
            )
        else:
            # The path is the name of the file alone.
            rows = [{"bytes": image.read_bytes(), "path": image.name} for image in own]
            labels = [people.index(image.parent.name) for image in own]
            table = pyarrow.table({"image": rows, "label": labels})
            features = {"label": {"names": people, "_type": "ClassLabel"}}
            info = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": info})
        pyarrow.parquet.write_table(
            table, output / f"train-{number:05d}-of-00002.parquet", row_group_size=rows_per_group
        )
    return output


def write_list(folder: Path, path: Path) -> Path:
    images = sorted(folder.rglob("*.jpg"))
    lines = [f"{image.relative_to(path.parent)} {image.parent.name}\n" for image in images]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_tface(folder: Path, index: Path, *, per_shard: int = 5) -> Path:
    """Writes the images of a folder as TFace does: shards above the index, and a line for each."""
    people = sorted(path.name for path in folder.iterdir())
    lines = []
    name = index.stem
    shards = index.parent.parent / name
    shards.mkdir()
    index.parent.mkdir(exist_ok=True)
    images = sorted(folder.rglob("*.jpg"))
    for number in range(-(-len(images) // per_shard)):
        offset = 0
        with tf.io.TFRecordWriter(str(shards / f"{name}-{number:05d}.tfrecord")) as writer:
            for image in images[number * per_shard : (number + 1) * per_shard]:
                record = tf.train.Example()
                record.features.feature["image"].bytes_list.value.append(image.read_bytes())
                content = record.SerializeToString()
                writer.write(content)
                lines.append(f"{name}\t{number}\t{offset}\t{people.index(image.parent.name)}\n")
                # Lengths and checksums around it.
                offset += len(content) + 16
    index.write_text("".join(lines), encoding="utf-8")
    return index
