"""The verbs: what the command line says of each stage."""

from dataclasses import dataclass

from netslim.stages.stage import STAGES, Stage


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        stage: what it runs.
        help: one line for `netslim --help`.
        positional: settings that are given as arguments.
        goes_on: whether `stages/next_step` knows a step that follows.
        takes_folders: whether its stage takes folders of weights as they are, and names its output by them.
    """

    stage: Stage
    help: str
    positional: tuple[str, ...] = ()
    goes_on: bool = False
    takes_folders: bool = False


VERBS = {
    "slim": Verb(STAGES["slim"], "All of it in one command: from a network to a small one, by a recipe.", ("recipe",)),
    "transfer": Verb(
        STAGES["transfer"], "Transfer a pretrained ResNet of a library into a prunable network.", goes_on=True
    ),
    "train": Verb(
        STAGES["train"],
        "Train one phase: from scratch, from a file's weights, or of a pruned network.",
        goes_on=True,
    ),
    "prune": Verb(
        STAGES["prune"], "Remove the channels with the smallest scales and prove the result.", ("model",), goes_on=True
    ),
    "sweep": Verb(STAGES["sweep"], "Show accuracy, size and speed right after pruning, over many budgets.", ("model",)),
    "sensitivity": Verb(
        STAGES["sensitivity"], "Show what each layer's channels are worth, one layer at a time.", ("model",)
    ),
    "evaluate": Verb(STAGES["evaluate"], "Measure the accuracy of a checkpoint.", ("model",)),
    "export": Verb(
        STAGES["export"], "Make a network for inference, in a file of some kind.", ("model",), takes_folders=True
    ),
    "bench": Verb(STAGES["bench"], "Measure speed and memory of networks side by side.", ("files",)),
    "profile": Verb(STAGES["profile"], "Time a network's parts, for plans in an engine.", ("model",)),
    "push": Verb(
        STAGES["push"], "Send a network to the Hugging Face hub, with a card.", ("model",), takes_folders=True
    ),
    "report": Verb(STAGES["report"], "Make one page of one or several runs, for people.", ("folders",)),
    "info": Verb(STAGES["info"], "Say what a checkpoint holds.", ("model",)),
    "list": Verb(STAGES["list"], "List the names that settings take: models, datasets ...", ("kind", "pattern")),
    "recipe": Verb(STAGES["recipe"], "Write, check or show a recipe for slim: new, check, show.", ("action", "file")),
    "doctor": Verb(STAGES["doctor"], "Say what this machine has, what is missing, and how to get it."),
    "demo": Verb(STAGES["demo"], "Run the five steps on the embedded digits."),
}
TOGETHER = ("train",)  # several processes of torchrun work on one run; any other verb is one process
