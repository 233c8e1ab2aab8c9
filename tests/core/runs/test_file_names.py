"""The guide's own file names, which scripts of others rely on."""

from netslim.core.runs import file_names


def test_files_are_called_as_in_the_guide() -> None:
    assert (file_names.CHECKPOINT, file_names.BEST) == ("checkpoint.pth.tar", "model_best.pth.tar")
    assert file_names.PRUNED == "pruned.pth.tar"


def test_the_network_that_says_most_comes_first() -> None:
    """A folder with a chosen epoch also holds the state of the last one."""
    assert file_names.NETWORKS.index(file_names.BEST) < file_names.NETWORKS.index(file_names.CHECKPOINT)
