"""Tables of text from the hub, or from local files of the same columns."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tracrlab.errors import TracrLabError

#: Seconds to wait for the hub before it counts as out of reach.
PATIENCE = 5


#: Branch on which the hub keeps every public data set as Parquet files.
PARQUET = "refs/convert/parquet"


@dataclass(frozen=True)
class DataSet:
    """Where a data set of the paper's retention measurements is found.

    Attributes:
      repository, configuration, split: its place on the hub.
      columns: those that are read.
      revision: branch of the repository; `PARQUET` where its main branch is a loading script, which
        `datasets` no longer runs.
    """

    repository: str
    configuration: str | None
    split: str
    columns: tuple[str, ...]
    revision: str | None = None


#: SST-2 and MRPC on their validation splits, whose labels are public; LAMBADA as OpenAI cut it.
DATA_SETS = {
    "sst2": DataSet("nyu-mll/glue", "sst2", "validation", ("sentence", "label")),
    "mrpc": DataSet("nyu-mll/glue", "mrpc", "validation", ("sentence1", "sentence2", "label")),
    "lambada": DataSet("EleutherAI/lambada_openai", "default", "test", ("text",), PARQUET),
    "tiny_shakespeare": DataSet("karpathy/tiny_shakespeare", None, "test", ("text",), PARQUET),
}

_FORMATS = {".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class Rows:
    """Rows of a data set, and where they come from.

    Attributes:
      rows: one mapping of columns to values each.
      source: the repository or the file.
    """

    rows: list[dict]
    source: str


def load_data_set(name: str, folder: str | Path | None = None) -> Rows | None:
    """One of `DATA_SETS`, from local files if they are there, else from the hub.

    Args:
      name: a key of `DATA_SETS`.
      folder: where `NAME.jsonl`, `NAME.csv` or `NAME.parquet` may be (`tiny_shakespeare.txt` too).

    Returns:
      the rows, or None where no file is there and the hub is out of reach.

    Raises:
      TracrLabError: if the name is unknown, or a file lacks a column or has no rows.
    """
    if name not in DATA_SETS:
        raise TracrLabError(f"there is no data set {name!r}; give one of {', '.join(DATA_SETS)}.")
    wanted = DATA_SETS[name]
    if folder is not None:
        for suffix in (*_FORMATS, ".txt"):
            path = Path(folder) / f"{name}{suffix}"
            if path.is_file() and (suffix != ".txt" or wanted.columns == ("text",)):
                return Rows(read_rows(path, wanted.columns), str(path))
    try:
        rows = load_rows(
            wanted.repository, wanted.configuration, wanted.split, revision=wanted.revision
        )
    except HubUnreachableError:
        return None
    return Rows([{key: row[key] for key in wanted.columns} for row in rows], wanted.repository)


def read_rows(path: Path, columns: Sequence[str]) -> list[dict]:
    """The rows of a local file; a text file is one row with the column `text`.

    Raises:
      TracrLabError: if it cannot be read, lacks a column or has no rows.
    """
    if path.suffix == ".txt":
        rows = [{"text": path.read_text(encoding="utf-8")}]
    else:
        rows = _read_table(path)
    if not rows:
        raise TracrLabError(f"{path} has no rows.")
    for column in columns:
        if column not in rows[0]:
            raise TracrLabError(
                f"{path} has no column {column!r}; it has {', '.join(rows[0])} and needs "
                f"{', '.join(columns)}."
            )
    return [{column: row[column] for column in columns} for row in rows]


def _read_table(path: Path) -> list[dict]:
    import pandas as pd

    readers = {
        ".jsonl": lambda: pd.read_json(path, lines=True),
        ".csv": lambda: pd.read_csv(path),
        ".parquet": lambda: pd.read_parquet(path),
    }
    try:
        return readers[path.suffix]().to_dict("records")
    except (ValueError, OSError) as error:
        raise TracrLabError(f"{path} cannot be read as a table ({error}).") from None


class HubUnreachableError(TracrLabError):
    """There is no network, or no hub behind it."""


def load_rows(
    repository: str,
    configuration: str | None,
    split: str,
    limit: int | None = None,
    revision: str | None = None,
) -> list[dict]:
    """Rows of a data set of the hub through `datasets`.

    With `HF_HUB_OFFLINE=1` only what has been downloaded before is used.

    Args:
      repository: `owner/name`.
      configuration: its configuration, where it has several.
      split: which part.
      limit: stream, and take only so many rows; None takes all.
      revision: its branch, where it is not the main one.

    Raises:
      HubUnreachableError: if the hub does not answer.
      TracrLabError: if the hub has no such data set.
    """
    require_hub(f"the data set {repository}")
    import datasets

    try:
        rows = datasets.load_dataset(
            repository,
            configuration,
            split=split,
            revision=revision,
            streaming=limit is not None,
        )
        return list(rows if limit is None else itertools.islice(rows, limit))
    except ConnectionError as error:  # offline by choice, and not downloaded before
        raise HubUnreachableError(
            f"the data set {repository} is not on this machine ({_first_line(error)})."
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise TracrLabError(
            f"the data set {repository} cannot be loaded ({_first_line(error)})."
        ) from None


def require_hub(wanted: str) -> None:
    """Raises HubUnreachableError after a few seconds where there is no network.

    The libraries themselves try again for minutes. With `HF_HUB_OFFLINE=1` they use what is on
    disk, and nothing is asked here.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        return
    if not hub_answers():
        raise HubUnreachableError(
            f"{wanted} is not on this machine and the hub does not answer; give a local path, or "
            "set HF_HUB_OFFLINE=1 to use what has been downloaded before."
        )


def hub_answers() -> bool:
    """Whether the hub answers within a few seconds; proxies are used as the environment says."""
    import urllib.error
    import urllib.request

    from huggingface_hub.constants import ENDPOINT

    request = urllib.request.Request(ENDPOINT, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
