"""The manifest: what a zoo is, and a checksum for every shard of it.

Downstream rules depend on the manifest and open shards through it, so a shard that is missing, cut
off or changed is named before anything is computed from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path, sha256
from tracrlab.sealing import BLANK_SEAL, check_seal, seal
from tracrlab.zoo.completeness import check_rows, pairs, whole_columns
from tracrlab.zoo.schema import DAMAGE, SCHEMA_VERSION, damaged, open_parquet


@dataclass(frozen=True)
class Manifest:
    """A zoo's manifest.

    Attributes:
      path: where it was read from; shards lie relative to its folder.
      content: the JSON object itself (see docs/formats.md).
    """

    path: Path
    content: dict[str, Any]

    @property
    def rows(self) -> int:
        return self.content["rows"]

    def shard_paths(self) -> list[Path]:
        """Paths of the shards, in order, without looking at them."""
        return [self.path.parent / shard["path"] for shard in self.content["shards"]]

    def checked_shards(self) -> Iterator[Path]:
        """Paths of the shards, in order, each checked against its size and checksum.

        Raises:
          TracrLabError: naming the first shard that is missing or not as it was written.
        """
        for path, shard in zip(self.shard_paths(), self.content["shards"], strict=True):
            if not path.is_file():
                raise TracrLabError(f"the shard {path} of {self.path} is missing; make it again.")
            size = path.stat().st_size
            if size != shard["bytes"]:
                raise TracrLabError(
                    f"the shard {path} has {size:,} bytes and {self.path} says "
                    f"{shard['bytes']:,}; delete it and make it again."
                )
            if sha256(path) != shard["sha256"]:
                raise TracrLabError(
                    f"the shard {path} has changed since {self.path} was written; delete it and "
                    "make it again."
                )
            yield path


def load_manifest(path: str | Path) -> Manifest:
    """Reads a manifest.

    Raises:
      TracrLabError: if it is missing, not a manifest, or of another schema version.
    """
    path = Path(path)
    if not path.is_file():
        raise TracrLabError(f"there is no manifest {path}; make the zoo first.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, shards = content["schema_version"], content["shards"]
        complete = all({"path", "rows", "bytes", "sha256"} <= shard.keys() for shard in shards)
    except (*DAMAGE, AttributeError) as error:
        raise damaged(path, error) from None
    if version != SCHEMA_VERSION:
        raise TracrLabError(
            f"{path} has schema version {version} and this is tracrlab with version "
            f"{SCHEMA_VERSION}; make the zoo again."
        )
    if not complete or not all(_is_inside(shard["path"]) for shard in shards):
        raise TracrLabError(f"{path} is not a manifest: its list of shards is malformed.")
    try:
        check_seal(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from None
    return Manifest(path, content)


def _is_inside(relative: Any) -> bool:
    if not isinstance(relative, str):
        return False
    return not Path(relative).is_absolute() and ".." not in Path(relative).parts


def write_manifest(
    config: Config,
    selected: Sequence[str | Path],
    shards: Sequence[str | Path],
    out: str | Path,
) -> None:
    """Writes the manifest of a standard zoo, after each shard is proved whole.

    Args:
      config: the configuration they were made with.
      selected: the files of selected programs in order; the first carries the counts of all
        sampling.
      shards: the shards in order, one for each file of selected programs.
      out: the manifest to write; shards are named relative to its folder.

    Raises:
      TracrLabError: naming the first file that is missing, damaged, or has not the rows that the
        configuration and its selected programs say.
    """
    for chosen, path in pairs(config, selected, shards):
        check_rows(path, whole_columns(path, ("id",))["id"], chosen)
    _, selected_info = open_parquet(selected[0], "selected")
    configuration = config.zoo.model_dump(mode="json")
    how = {"sampling": selected_info.counts}
    write_content(out, "standard", config.seed, configuration, shards, how)


def write_content(
    out: str | Path,
    kind: str,
    seed: int,
    configuration: dict[str, Any],
    shards: Sequence[str | Path],
    how: dict[str, Any],
) -> None:
    """Writes a manifest: the shards with their checksums, what is in them, and how it was made.

    Args:
      out: the manifest to write; shards are named relative to its folder.
      kind: standard, compressed or natural.
      seed: what it was made with.
      configuration: likewise, the sections that matter.
      shards: the shards in order.
      how: counts of the making, under their own keys.
    """
    out = Path(out)
    entries, splits, lengths = [], Counter(), Counter()
    for path in map(Path, shards):
        table = whole_columns(path, ("split", "n_ops"))
        splits.update(table["split"].to_pylist())
        lengths.update(table["n_ops"].to_pylist())
        entries.append(
            {
                "path": path.relative_to(out.parent).as_posix(),
                "rows": table.num_rows,
                "bytes": path.stat().st_size,
                "sha256": sha256(path),
            }
        )
    content = {
        "checksum": BLANK_SEAL,
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "seed": seed,
        "configuration": configuration,
        "rows": sum(entry["rows"] for entry in entries),
        "splits": dict(sorted(splits.items())),
        "rows_by_ops": {str(length): lengths[length] for length in sorted(lengths)},
        **how,
        "shards": entries,
    }
    with atomic_path(out) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        seal(temporary)
