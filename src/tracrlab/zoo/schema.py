"""The columns of the Parquet files, and the description of a zoo that every file carries.

`datasets.load_dataset("parquet", ...)` reads the shards as they are. The file's metadata hold one
JSON object under the key ``tracrlab``: kind of file, schema version, domain, seed and counts.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.values import Value, literal, parse_literal
from tracrlab.sealing import BLANK_SEAL, check_seal
from tracrlab.sections.section import MAX_SEQ_LEN

SCHEMA_VERSION = 3
_KEY = b"tracrlab"
_CHECKSUM_KEY = b"tracrlab_checksum"

#: The most values in a column of a row group (1 GiB of weights): a file that claims more is refused
#: before memory is taken, and so is one of inputs longer than any configuration allows.
MAX_GROUP_VALUES = 1 << 28

#: What reading a damaged file may raise.
DAMAGE = (pa.ArrowException, OSError, ValueError, LookupError, TypeError, RecursionError)

#: A sampled program. `index` is the sampler's, `behaviour` the hash of its function.
PROGRAM_SCHEMA = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("n_ops", pa.int32(), nullable=False),
        pa.field("behaviour", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.int16()), nullable=False),
    ]
)

#: A selected program: `id` is its index; `split` is cut by behaviour.
SELECTED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("n_ops", pa.int32(), nullable=False),
        pa.field("behaviour", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.int16()), nullable=False),
    ]
)

#: A teacher of students: a selected program, and the padded sizes that its student is trained in.
TEACHER_SCHEMA = pa.schema(
    [*SELECTED_SCHEMA, pa.field("shape", pa.list_(pa.int32()), nullable=False)]
)

#: A zoo row: a program and the weights that compute it.
ZOO_SCHEMA = pa.schema(
    [
        *SELECTED_SCHEMA,
        pa.field("text", pa.string(), nullable=False),
        pa.field("d_model", pa.int32(), nullable=False),
        pa.field("n_layers", pa.int32(), nullable=False),
        # Sizes of each layer; 0 where the half-layer is empty.
        pa.field("heads", pa.list_(pa.int32()), nullable=False),
        pa.field("key_size", pa.list_(pa.int32()), nullable=False),
        pa.field("value_size", pa.list_(pa.int32()), nullable=False),
        pa.field("mlp_hidden", pa.list_(pa.int32()), nullable=False),
        pa.field("output_encoding", pa.string(), nullable=False),
        pa.field("output_values", pa.list_(pa.string()), nullable=False),
        pa.field("labels", pa.list_(pa.string()), nullable=False),
        pa.field("weights", pa.list_(pa.float32()), nullable=False),
        pa.field("verified_inputs", pa.int32(), nullable=False),
        pa.field("max_error", pa.float32(), nullable=False),
        # How it came about; a compiled model is exact, with no steps and no loss.
        pa.field("accuracy", pa.float32(), nullable=False),
        pa.field("exact", pa.bool_(), nullable=False),
        pa.field("loss", pa.float32(), nullable=False),
        pa.field("steps", pa.int32(), nullable=False),
        pa.field("snapshot", pa.int32(), nullable=False),
        pa.field("refined", pa.bool_(), nullable=False),
        # From the model's residual stream to its teacher's, row by row; empty if compiled.
        pa.field("teacher_d_model", pa.int32(), nullable=False),
        pa.field("readout", pa.list_(pa.float32()), nullable=False),
    ]
)

_SCHEMAS = {
    "programs": PROGRAM_SCHEMA,
    "selected": SELECTED_SCHEMA,
    "teachers": TEACHER_SCHEMA,
    "zoo": ZOO_SCHEMA,
}


@dataclass(frozen=True)
class FileInfo:
    """What a Parquet file says of itself.

    Attributes:
      kind: programs, selected, teachers or zoo.
      vocab: the input symbols, as literals.
      max_seq_len, causal: the rest of the domain.
      seed: the sampler's.
      counts: what happened on the way to this file: refusals by reason and the like.
      schema_version: version of the columns.
    """

    kind: str
    vocab: tuple[str, ...]
    max_seq_len: int
    causal: bool
    seed: int
    counts: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(cls, kind: str, domain: Domain, seed: int, counts: dict[str, Any]) -> FileInfo:
        vocab = tuple(literal(symbol) for symbol in domain.vocab)
        return cls(kind, vocab, domain.max_seq_len, domain.causal, seed, counts)

    @property
    def domain(self) -> Domain:
        vocab: tuple[Value, ...] = tuple(parse_literal(symbol) for symbol in self.vocab)
        return Domain(vocab, self.max_seq_len, self.causal)

    @property
    def schema(self) -> pa.Schema:
        """The file's columns with this description attached."""
        text = json.dumps(asdict(self), sort_keys=True)
        return _SCHEMAS[self.kind].with_metadata(
            {_KEY: text.encode(), _CHECKSUM_KEY: BLANK_SEAL.encode()}
        )


def open_parquet(path: str | Path, kind: str) -> tuple[pq.ParquetFile, FileInfo]:
    """Opens a file of the given kind, after its checksum is compared with all of its bytes.

    Raises:
      TracrLabError: if it is missing, damaged, of another kind or of another schema version, or if
        it claims more than any file of this package holds.
    """
    if not Path(path).is_file():
        raise TracrLabError(f"there is no file {path}; run the rule that makes it.")
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        described = json.loads((file.metadata.metadata or {})[_KEY])
        info = FileInfo(**{**described, "vocab": tuple(described["vocab"])})
    except DAMAGE as error:
        raise damaged(path, error) from None
    if info.schema_version != SCHEMA_VERSION:
        raise TracrLabError(
            f"{path} has schema version {info.schema_version} and this is tracrlab with version "
            f"{SCHEMA_VERSION}; make the zoo again."
        )
    if info.kind != kind:
        raise TracrLabError(f"{path} holds {info.kind!r}, not {kind!r}; give the right file.")
    if not file.schema_arrow.equals(_SCHEMAS[kind]):
        raise TracrLabError(f"{path} does not have the columns of a {kind!r} file.")
    try:
        check_seal(path)
        _check_claims(file.metadata, info)
    except (OSError, ValueError, TracrLabError) as error:
        raise damaged(path, error) from None
    return file, info


def _check_claims(metadata: pq.FileMetaData, info: FileInfo) -> None:
    """Raises ValueError where a file says of itself what would not fit into memory."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        sizes = [group.column(index) for index in range(group.num_columns)]
        values = max((column.num_values for column in sizes), default=0)
        if max(values, group.num_rows) > MAX_GROUP_VALUES:
            raise ValueError(f"it claims {values:,} values in one row group")
    numbers = (info.max_seq_len, info.seed)
    if any(type(number) is not int for number in numbers) or type(info.causal) is not bool:
        raise ValueError("its description has a value of the wrong type")
    if not 0 < info.max_seq_len <= MAX_SEQ_LEN:
        raise ValueError(f"it claims inputs of {info.max_seq_len:,} symbols")
    if not all(isinstance(symbol, str) for symbol in info.vocab):
        raise ValueError("its description has a symbol that is no text")
    if not isinstance(info.counts, dict) or not info.vocab:
        raise ValueError("its description lacks its vocabulary or its counts")
    _ = info.domain  # raises TracrLabError where the vocabulary is none


def damaged(path: str | Path, error: Exception) -> TracrLabError:
    """The error for a file that cannot be read."""
    detail = " ".join(str(error).split())[:200]
    return TracrLabError(f"{path} is damaged ({detail}); delete it and make it again.")
