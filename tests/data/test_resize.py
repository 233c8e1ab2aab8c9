import torch

from netslim.data.resize import resize


def test_resize_averages_what_it_shrinks_and_keeps_flat_images() -> None:
    flat = torch.full((1030, 3, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal(resize(flat, 5), torch.full((1030, 3, 5, 5), 77, dtype=torch.uint8))
    stripes = torch.tensor([0, 200], dtype=torch.uint8).repeat(16).expand(1, 1, 32, 32).contiguous()
    middle = resize(stripes, 8)[..., 2:6].int()
    assert (middle - 100).abs().max() <= 2  # without antialiasing it would be 0 or 200
