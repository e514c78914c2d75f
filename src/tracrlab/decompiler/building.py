"""Meta-models from their descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from tracrlab.decompiler.line_model import LineModel, LineModelSettings
from tracrlab.decompiler.model import MetaModel, ModelSettings

if TYPE_CHECKING:
    from tracrlab.decompiler.model_folder import Description


def build(description: Description) -> nn.Module:
    """A meta-model with fresh weights: `LineModel` for the method lines, else `MetaModel`.

    Raises:
      TypeError: if its sizes are not those of such a model.
    """
    if description.method == "lines":
        return LineModel(LineModelSettings(**description.sizes))
    return MetaModel(ModelSettings(**description.sizes))
