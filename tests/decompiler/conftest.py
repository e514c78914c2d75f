"""A small zoo, made once."""

import pytest

from tests.zoo.conftest import make_zoo


@pytest.fixture(scope="session")
def small_zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("zoo"), programs=70, shard_size=16)
