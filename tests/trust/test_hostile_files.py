"""Files made to harm: no code is loaded, nothing large is allocated, nothing is written outside."""

import json
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save, save_file

from tests.trust.kinds_of_files import KINDS
from tests.trust.random_inputs import byte_strings
from tests.trust.samples import sampled_row
from tests.workflow.conftest import ROOT
from tracrlab.config import load_config, section
from tracrlab.errors import TracrLabError
from tracrlab.sealing import BLANK_SEAL, seal
from tracrlab.zoo.schema import SCHEMA_VERSION, ZOO_SCHEMA

HUGE = 10**12
#: Megabytes that refusing a file may take.
MEMORY = 400
RESEALED = {"quick": 150, "full": 3_000}


class Bomb:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def outcomes(kind, paths, memory=MEMORY):
    """What the reader of a kind says of each file, in a process with little memory."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.trust.hostile_reading", kind, str(memory), *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(lines) == len(paths)
    return lines


def refused(kind, paths, tally, what):
    """Every file is refused in one sentence with its path."""
    for line in outcomes(kind, paths):
        assert line["said"].startswith("refused: "), line
        assert line["path"] in line["said"] or str(Path(line["path"]).parent) in line["said"], line
        assert "\n" not in line["said"]
    tally(5, what, len(paths))


def headers():
    """Malformed safetensors files."""
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    body = bytes(8)

    def file(header, body=body, length=None):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + body

    yield "huge length", file({"a": tensor}, length=HUGE)
    yield "longest length", file({"a": tensor}, length=2**64 - 1)
    yield "huge shape", file({"a": tensor | {"shape": [HUGE]}})
    yield "huge offsets", file({"a": tensor | {"data_offsets": [0, 4 * HUGE]}})
    yield "both huge", file({"a": tensor | {"shape": [HUGE], "data_offsets": [0, 4 * HUGE]}})
    yield "overflowing shape", file({"a": tensor | {"shape": [2**40, 2**40]}})
    yield "negative", file({"a": tensor | {"shape": [-2]}})
    yield "overlapping", file({"a": tensor, "b": tensor})
    yield "hole", file({"a": tensor | {"data_offsets": [4, 12]}}, bytes(12))
    yield "trailing", file({"a": tensor}, bytes(16))
    yield "unknown type", file({"a": tensor | {"dtype": "F3"}})
    yield "no object", file([1])
    yield "not json", file(b"{" * 50)
    yield "deep", file(b'{"a":' * 100_000)
    yield "not utf-8", file(b'{"\xff": 1}')
    yield "twice", file(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' * 2 + b"}")
    yield "empty", b""
    yield "eight bytes", bytes(8)
    yield "numbers for names", file({"a": 3})
    yield "metadata of numbers", file({"__metadata__": {"a": 3}, "a": tensor})
    deep = "[" * 200_000
    forms = ("tracrlab_model", "tracrlab_students", "tracrlab_injection_checkpoint")
    for form in forms:
        yield f"deep {form}", file({"__metadata__": {form: deep}, "a": tensor})
        sealed = json.dumps({"checksum": BLANK_SEAL, "version": 1, "layers": [HUGE]})
        yield f"wrong {form}", file({"__metadata__": {form: sealed}, "a": tensor})


@pytest.mark.parametrize(
    "kind",
    [
        "compiled.safetensors",
        "students.checkpoint",
        "injection.checkpoint",
        "windows.safetensors",
        "study.safetensors",
    ],
)
def test_malformed_safetensors(kind, tmp_path, tally):
    paths = []
    for number, (what, content) in enumerate(headers()):
        if kind == "study.safetensors" and what.startswith("wrong "):
            continue  # any arrays are a file of arrays
        for sealed in (False, True):
            path = tmp_path / f"{number}_{sealed}.safetensors"
            path.write_bytes(content)
            try:
                if sealed:
                    seal(path)
            except ValueError:
                continue
            paths.append(path)
    refused(kind, paths, tally, "malformed safetensors headers")


def test_a_model_that_claims_a_million_million_weights(tmp_path, tally):
    """Its metadata are of the right form, its checksum is left out or wrong."""
    KINDS["compiled.safetensors"].write(tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    meta = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["tracrlab_model"])
    paths = []
    for number, change in enumerate(
        [
            {"d_model": HUGE},
            {"max_seq_len": HUGE},
            {"output_size": HUGE},
            {"layers": [{"heads": HUGE, "key_size": HUGE, "value_size": 1, "mlp_hidden": HUGE}]},
            {"layers": [{}] * 100_000},
            {"d_model": "wide"},
            {"d_model": -1},
            {"input_symbols": ["1"] * 100_000},
            {"program": "v1 = Map(x, tokens)\n" * 10_000},
            {"program": "v1 = Map(x == " + "(" * 100_000 + ", tokens)"},
            {"output_values": [[]]},
            {"labels": None},
        ]
    ):
        path = tmp_path / f"{number}.safetensors"
        text = json.dumps(meta | change)
        save_file({"w": np.zeros(3, np.float32)}, path, metadata={"tracrlab_model": text})
        paths.append(path)
    refused("compiled.safetensors", paths, tally, "models with absurd metadata")


def shards(folder):
    """Parquet files that are no shards, each with a good checksum where it can have one."""
    info = {"kind": "zoo", "vocab": ["0", "1", "2"], "max_seq_len": 4, "causal": False, "seed": 7}
    info |= {"counts": {}, "schema_version": SCHEMA_VERSION}
    row = sampled_row(0)

    def table(rows, schema=ZOO_SCHEMA):
        columns = [pa.array([r[field.name] for r in rows], field.type) for field in schema]
        return pa.Table.from_arrays(columns, schema=schema)

    def written(name, content, described=info, **options):
        text = described if isinstance(described, str) else json.dumps(described)
        meta = {b"tracrlab": text.encode(), b"tracrlab_checksum": BLANK_SEAL.encode()}
        path = folder / f"{name}.parquet"
        pq.write_table(content.replace_schema_metadata(meta), path, **options)
        seal(path)
        return path

    good = table([row])
    for name, change in (
        ("long", {"max_seq_len": HUGE}),
        ("short", {"max_seq_len": 0}),
        ("text", {"max_seq_len": "5"}),
        ("truth", {"causal": 1}),
        ("vocab", {"vocab": []}),
        ("vocab_numbers", {"vocab": [1, 2]}),
        ("vocab_word", {"vocab": "abc"}),
        ("vocab_code", {"vocab": ["__import__('os')"]}),
        ("counts", {"counts": [1]}),
        ("seed", {"seed": None}),
        ("version", {"schema_version": HUGE}),
        ("kind", {"kind": "programs"}),
        ("more", {"another": 1}),
    ):
        yield written(name, good, info | change)
    yield written("deep", good, "[" * 100_000)
    yield written("no_object", good, "[]")
    for field in ZOO_SCHEMA:
        yield written(f"without_{field.name}", good.drop_columns([field.name]))
        other = pa.array([b"\x80\x04"], pa.binary())
        place = ZOO_SCHEMA.get_field_index(field.name)
        yield written(f"other_{field.name}", good.set_column(place, field.name, other))


def test_shards_of_another_form(tmp_path, tally):
    paths = list(shards(tmp_path))
    refused("shard.parquet", paths, tally, "shards with wrong columns, types or claims")


def test_a_row_group_that_claims_too_much(tmp_path, monkeypatch, tally):
    """What its footer claims is compared with the limit before a page is read."""
    path, kind = tmp_path / "shard.parquet", KINDS["shard.parquet"]
    kind.write(path)
    monkeypatch.setattr("tracrlab.zoo.schema.MAX_GROUP_VALUES", 1_000)
    with pytest.raises(TracrLabError, match=r"it claims [\d,]+ values in one row group"):
        kind.read(path)
    tally(5, "shards with wrong columns, types or claims", 1)


def test_absurd_sizes_in_a_row(tmp_path, tally):
    """A row may claim any sizes; weights that do not have them are named, and nothing is made."""
    from tracrlab.rasp.domain import Domain
    from tracrlab.zoo.schema import FileInfo
    from tracrlab.zoo.verifying import verify_shard
    from tracrlab.zoo.writing import row_writer

    changes = [
        {"d_model": 2**31 - 1},
        {"d_model": -1},
        {"n_layers": 2**31 - 1},
        {"heads": [2**31 - 1] * len(sampled_row(1)["heads"])},
        {"output_values": ["1"] * 1000},
        {"output_values": ["__import__('os')"]},
        {"output_encoding": "other"},
        {"tokens": [32_000]},
        {"tokens": []},
        {"labels": ["x"]},
        {"text": "v1 = Map(" + "(" * 10_000},
    ]
    path = tmp_path / "rows.parquet"
    with row_writer(path, FileInfo.of("zoo", Domain((0, 1, 2), 4), 7, {})) as writer:
        for number, change in enumerate(changes):
            writer.write(sampled_row(1) | change | {"id": number})
    report = verify_shard(path)
    assert len(report.failures) == len(changes), report.failures
    (line,) = outcomes("verify", [path], 600)
    assert line["said"] == "read: ShardReport"
    tally(5, "rows with absurd sizes, named by verification", len(changes))


def test_random_changes_behind_a_good_checksum(scale, tmp_path, tally):
    """Who can write a checksum can write anything: it is read or refused, and never a crash."""
    for name in ("shard.parquet", "study.safetensors", "students.checkpoint"):
        KINDS[name].write(tmp_path / name)
        valid = (tmp_path / name).read_bytes()
        paths = []
        for number, content in enumerate(byte_strings([valid], RESEALED[scale], 5)):
            path = tmp_path / f"{number}_{name}"
            path.write_bytes(content)
            try:
                seal(path)
            except (ValueError, OSError):
                path.unlink()
            else:
                paths.append(path)
        assert len(paths) > RESEALED[scale] // 10
        for start in range(0, len(paths), 500):
            outcomes(name, paths[start : start + 500], 1500)
        tally(5, "changed files with a checksum to match: read or refused", len(paths))


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in ("weights",)])
def test_pickles_and_archives_are_never_loaded(kind, tmp_path, tally):
    trap = tmp_path / "trap"
    path = tmp_path / "folder" / kind
    path.parent.mkdir()
    bomb = pickle.dumps(Bomb(trap))
    for content in (bomb, b"\x80\x04", bomb + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(TracrLabError):
            KINDS[kind].read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", bomb)
    with pytest.raises(TracrLabError):
        KINDS[kind].read(path)
    assert not trap.exists()
    tally(5, "pickles and archives, never loaded", 4)


def test_a_folder_of_pickled_weights_is_refused(tmp_path, tally):
    """`pytorch_model.bin` beside a good configuration: the file that libraries would load."""
    import torch

    from tests.injection.tiny import gpt2

    model, trap = gpt2(layers=1, width=8), tmp_path / "trap"
    folder = tmp_path / "model"
    model.config.save_pretrained(folder)
    torch.save({"a": Bomb(trap)}, folder / "pytorch_model.bin")
    tokenizer = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (line,) = outcomes("base_model", [folder], 4000)
    assert line["said"].startswith(f"refused: the model {folder} cannot be loaded"), line
    (folder / "injection.json").write_text("{}")
    (line,) = outcomes("injected_model", [folder], 4000)
    assert line["said"].startswith(f"refused: the model in {folder} is damaged"), line
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    config["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(trap)!r}, 'w')\n")
    (line,) = outcomes("base_model", [folder], 4000)
    assert line["said"].startswith(f"refused: the model {folder} cannot be loaded"), line
    assert not trap.exists()
    tally(5, "pickles and archives, never loaded", 3)


def test_no_module_loads_pickles(tally):
    """No reader of pickles is called anywhere, and no reader of models without its guard."""
    forbidden = re.compile(
        r"\bpickle\b|torch\.load\(|joblib|read_pickle|allow_pickle\s*=\s*True|\bdill\b|marshal"
        r"|yaml\.(unsafe_)?load\(|\bexec\("
    )
    sources = sorted((ROOT / "src").rglob("*.py"))
    for path in sources:
        code = [line for line in path.read_text().splitlines() if "without pickle" not in line]
        found = [line for line in code if forbidden.search(line) and "No pickle" not in line]
        assert not found, (path, found)
        text = path.read_text()
        for call in re.findall(
            r"AutoModelForCausalLM\.from_pretrained\((?:[^()]|\([^()]*\))*\)", text
        ):
            assert "SAFE" in call or "**place" in call, (path, call)
    tally(5, "modules searched for readers of pickles", len(sources))


def deep_json():
    yield "[" * 200_000
    yield '{"shards": ' * 100_000
    yield '{"schema_version": ' + "9" * 5_000 + "}"
    yield json.dumps({"schema_version": SCHEMA_VERSION, "shards": [[]]})
    yield json.dumps({"schema_version": SCHEMA_VERSION, "shards": {"a": 1}})
    yield json.dumps({"schema_version": SCHEMA_VERSION, "shards": [{"path": "../../x"}]})
    shard = {"rows": 1, "bytes": 1, "sha256": ""}
    for path in ("../../x", "/etc/passwd", "a/../../b", 7):
        yield json.dumps({"schema_version": SCHEMA_VERSION, "shards": [shard | {"path": path}]})
    yield "null"
    yield "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")


def test_hostile_manifests(tmp_path, tally):
    paths = []
    for number, text in enumerate(deep_json()):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(text)
    refused("manifest.json", paths, tally, "hostile manifests")


OUTSIDE = [
    "../../x",
    "/etc/x",
    "a/b",
    "{x}",
    "{wildcards.name}",
    "$(touch x)",
    "x;y",
    "..",
    "",
    "~",
]


def test_no_path_of_the_configuration_leaves_the_project(tally):
    """Names that results are called after are checked; other text never becomes a path to write."""
    for name in OUTSIDE:
        for values in (
            {"injection": {"tasks": [name]}},
            {"injection": {"tasks": [f"tasks/{name}.py"] if name not in ("a/b",) else [name]}},
            {"figures": {"residuals": [name]}},
            {"figures": {"blocks": name}},
            {"figures": {"formats": [name]}},
            {"study": {"programs": [name]}},
            {"study": {"library": {"programs": [name]}}},
            {"injection": {"methods": [name]}},
        ):
            if values == {"injection": {"tasks": ["tasks//etc/x.py"]}}:
                continue  # its name is x: results go where they should
            if values == {"injection": {"tasks": ["tasks/../../x.py"]}}:
                continue  # likewise: a task is read from anywhere
            with pytest.raises(TracrLabError):
                load_config(values)
    tally(5, "names in the configuration that would leave the project", 8 * len(OUTSIDE))


def test_text_in_braces_stays_text(tally):
    """Snakemake reads names in braces as wildcards; a section of the configuration has none."""
    for name in ("{x}", "{wildcards.shard}", "{{", '{"a": "}"}', "\\{", '\\"{x}'):
        values = {"zoo": {"vocab": [name, "b"]}, "injection": {"base": name, "data": name}}
        config = load_config(values)
        text = section(config, "zoo", "injection")
        assert not re.search(r"\{\s*[A-Za-z_]", text)
        assert load_config(text) == config
    tally(5, "names in the configuration that would leave the project", 6)


@pytest.mark.slow
@pytest.mark.workflow
def test_the_planned_outputs_are_all_inside(workflow, tally):
    """With hostile text in every free key, every file that a run would write is in `results/`."""
    hostile = {
        "base": "../../../{name}/$(touch pwned)",
        "data": "/etc/{shard}",
        "text": ["../..", "{wildcards.task}"],
    }
    own = workflow.directory / "own.json"
    own.write_text(json.dumps({"injection": hostile, "zoo": {"vocab": ["../{shard}", "b"]}}))
    run = workflow.snakemake("--summary", "all", "--configfile", str(own))
    assert run.returncode == 0, run.stdout
    files = [line.split("\t")[0] for line in run.stdout.splitlines() if "\t" in line][1:]
    assert len(files) > 60
    assert all(re.fullmatch(r"results/[\w/.]+", name) for name in files), files
    tally(5, "planned files under hostile names, all inside", len(files))


def test_save_is_the_plain_format():
    """The readers' library is the one whose writer the tests use."""
    assert save({"a": np.zeros(1, np.float32)})[:1] != b"\x80"
