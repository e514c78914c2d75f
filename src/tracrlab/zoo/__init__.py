"""Zoos: verified (program, weights) pairs as Parquet shards with a manifest."""

from tracrlab.zoo.manifest import Manifest, load_manifest
from tracrlab.zoo.reading import Row, read_rows
from tracrlab.zoo.verifying import ShardReport, verify_shard

__all__ = ["Manifest", "Row", "ShardReport", "load_manifest", "read_rows", "verify_shard"]
