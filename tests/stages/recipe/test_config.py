"""Settings of `netslim recipe`."""

from netslim.stages.recipe.config import ACTIONS, RecipeConfig


def test_the_help_names_every_action() -> None:
    described = str(RecipeConfig.model_fields["action"].description)
    assert all(action in described for action in ACTIONS)
