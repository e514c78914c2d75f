"""A patched step against a plain pass in which the stream is edited by hand."""

import numpy as np
import torch

from tests.injection.tiny import counting_task, gpt2
from tracrlab.injection.alignment import Alignment, LinearMap, carried_directions, rows_of
from tracrlab.injection.batches import Batches, BatchSettings
from tracrlab.injection.methods import InjectionStep, Terms
from tracrlab.injection.prompts import PromptInterchange
from tracrlab.injection.streams import StreamModel


def test_an_interchanged_step_is_that_of_a_stream_edited_by_hand():
    program, examples, _ = counting_task()
    codes = program.codes(examples.symbols)
    alignment = Alignment(
        (0, 2, 4, 6), (0, 2, 4, 6), carried_directions(program, codes[examples.supervised])
    )
    interchange = PromptInterchange(program, examples, codes, np.arange(40, 50))
    settings = BatchSettings(seed=0, rows=8, width=64, variables=0.5)
    batches = Batches(settings, program, alignment, examples, codes, 0, interchange)
    patched = [batch for batch in map(batches.batch, range(8)) if batch.patches is not None]
    batch = max(patched, key=lambda b: len(set(b.patches.variables)))
    model = StreamModel(gpt2())
    linear_map = LinearMap(64, len(alignment.directions), generator=torch.Generator())
    terms = Terms(alignment=1.0, text=0.0, swap="none")
    step = InjectionStep(model, program, alignment, terms, linear_map)
    losses = step(batch, None)

    patches, weight = batch.patches, linear_map.weight.detach()
    stage_of = {v.name: v.stage for v in program.variables}
    hidden, kept = {}, {}
    with torch.no_grad():
        for row, length in enumerate(batch.lengths):
            tokens = torch.from_numpy(batch.tokens[row : row + 1, :length])
            edits = {}
            mine = np.flatnonzero(patches.rows == row)
            if len(mine):
                i = int(mine[0])
                variable = program.variables[patches.variables[i]]
                stage = stage_of[variable.name]
                rows = weight[rows_of(alignment, variable.directions)]
                projector = torch.linalg.pinv(rows) @ rows
                source = int(patches.sources[i])
                other = torch.from_numpy(batch.tokens[source : source + 1, : batch.lengths[source]])
                taken = model(other, keep=(stage,)).streams[stage][0, patches.source_positions[i]]

                def edit(stream, at=patches.positions[i], taken=taken, projector=projector):
                    stream = stream.clone()
                    stream[0, at] += (taken - stream[0, at]) @ projector
                    return stream

                edits = {stage: edit}
            run = model(tokens, keep=(0, 2, 4, 6), edits=edits)
            hidden[row] = run.hidden[0]
            kept[row] = {s: (edits[s](x) if s in edits else x)[0] for s, x in run.streams.items()}
        answer, cosines = [], []
        for row, position, target in zip(batch.rows, batch.positions, batch.targets, strict=True):
            logits = model.logits(hidden[row][position])
            answer.append(-torch.log_softmax(logits, dim=-1)[target].item())
        for index, stage in enumerate(alignment.compiled_stages):
            for row, position, values in zip(
                batch.aligned_rows, batch.aligned_positions, batch.codes, strict=True
            ):
                target = program.streams(values[None], [stage])[0, 0, list(alignment.directions)]
                mapped = weight @ kept[row][alignment.model_stages[index]][position]
                cosines.append(
                    torch.cosine_similarity(mapped, torch.from_numpy(target), dim=0).item()
                )
    assert len(set(patches.variables)) == 2
    assert abs(losses["answer"].item() - np.mean(answer)) < 1e-4
    assert abs(losses["alignment"].item() - (1 - np.mean(cosines))) < 1e-4
    losses["loss"].backward()
    assert linear_map.weight.grad.abs().sum() > 0
