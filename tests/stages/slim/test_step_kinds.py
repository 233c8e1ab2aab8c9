"""What a recipe is made of fits the verbs that it names."""

from pathlib import Path

import pytest

from netslim.stages.slim.step_kinds import KINDS


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_names_settings_that_its_verb_has(name: str) -> None:
    kind = KINDS[name]
    fields = kind.stage.settings().model_fields
    assert all(setting in fields for setting in (kind.start, kind.output) if setting)


def test_a_step_writes_into_its_folder() -> None:
    folder = Path("runs/3-step")
    assert KINDS["train"].writes_to(folder, {}) == {"save": folder}
    assert KINDS["evaluate"].writes_to(folder, {}) == {}
    assert KINDS["transfer"].writes_to(folder, {}) == {"output": folder / "transferred.pth.tar"}
    assert KINDS["export"].writes_to(folder, {}) == {"output": folder / "small.onnx"}
    assert KINDS["export"].writes_to(folder, {"target": "safetensors"}) == {"output": folder / "small-safetensors"}
    assert (KINDS["bench"].several, KINDS["prune"].several) == (True, False)
