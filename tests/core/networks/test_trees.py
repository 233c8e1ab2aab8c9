import torch

from netslim.core.networks.trees import InputBatch, called, described, in_single, mapped, on_device, rows


def test_every_tensor_of_an_arrangement_is_changed() -> None:
    tree = {"a": torch.ones(2), "b": [torch.ones(1), "text"]}
    assert mapped(tree, lambda tensor: tensor.sum().item()) == {"a": 2.0, "b": [1.0, "text"]}
    assert on_device(tree, "meta")["a"].is_meta
    assert in_single([torch.ones(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.int64)])[1].dtype == torch.int64


def test_rows_of_tensors_and_items_of_lists_with_one_per_image() -> None:
    images = torch.arange(4)
    per_image = [torch.zeros(count, 4) for count in (4, 4, 2, 4)]
    assert rows(images, slice(1, 3), 4).tolist() == [1, 2]
    assert [len(found) for found in rows(per_image, slice(1, 3), 4)] == [4, 2]
    two = rows({"x": images, "y": [images, images]}, slice(1, 3), 4)
    assert [part.tolist() for part in (two["x"], *two["y"])] == [[1, 2]] * 3


def test_shapes_and_types_in_a_line() -> None:
    assert described(torch.zeros(2, 3)) == "(2, 3) float32"
    assert described({"a": torch.zeros(1), "b": [torch.zeros(2).long()]}) == "{a: (1,) float32, b: [(2,) int64]}"
    assert described([torch.zeros(1)] * 9) == "list of 9"
    assert (described("text"), described(None)) == ("str of 4", "NoneType")


def test_a_batch_of_several_inputs_is_cut_moved_and_given_to_a_network_like_one_of_images() -> None:
    batch = InputBatch((torch.arange(4.0),), {"by": torch.ones(4)})
    assert (len(batch), len(batch[1:3]), batch.to("meta").device.type) == (4, 2, "meta")
    assert called(lambda first, by: first - by, batch[1:3]).tolist() == [0, 1]
    assert called(lambda images: images + 1, torch.ones(1)).tolist() == [2]
    assert described(batch) == "[(4,) float32], {by: (4,) float32}"
    assert described(InputBatch((torch.arange(4.0), torch.ones(4, 2)), {})) == "[(4,) float32, (4, 2) float32]"
