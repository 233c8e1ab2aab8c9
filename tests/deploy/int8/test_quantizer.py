"""What quantisers have in common."""

import pytest
import torch

from netslim.core.errors import DataError, NetslimError
from netslim.deploy.int8.quantizer import check_differ, single


def test_images_that_are_all_the_same_are_refused() -> None:
    check_differ([torch.zeros(2, 1, 3, 3), torch.ones(1, 1, 3, 3)])
    for images in ([], [torch.ones(2, 1, 3, 3), torch.ones(3, 1, 3, 3)]):
        with pytest.raises(DataError, match=rf"the calibration images \({sum(map(len, images))}\) are all the same"):
            check_differ(images)


def test_a_network_of_several_outputs_is_refused() -> None:
    one = torch.ones(2)
    assert single(one) is one
    with pytest.raises(NetslimError, match="int8 is for networks with one output, and this one has 2"):
        single([one, one])
