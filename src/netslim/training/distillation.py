"""A trained network as teacher of another one: knowledge distillation (Hinton et al. 2015)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.networks.trees import Batch, called
from netslim.core.protocols import Normalization


class Renormalized(nn.Module):
    """A network for images (N, C, H, W) that are normalised in another way than those it learnt from.

    Args:
        model: the network.
        given: mean and standard deviation per channel of the images that come.
        learnt: those of its own.

    >>> import torch
    >>> from netslim.training.distillation import Renormalized
    >>> seen = Renormalized(torch.nn.Identity(), given=((0.5,), (0.25,)), learnt=((0.0,), (1.0,)))
    >>> seen(torch.tensor([[[[-2.0, 2.0]]]]))  # black and white
    tensor([[[[0., 1.]]]])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, given: Normalization, learnt: Normalization) -> None:
        super().__init__()
        self.model = model
        (mean, std), (own_mean, own_std) = (
            torch.tensor(pair, dtype=torch.float64)[..., None, None] for pair in (given, learnt)
        )
        self.register_buffer("scale", (std / own_std).float(), persistent=False)
        self.register_buffer("shift", ((mean - own_mean) / own_std).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives."""
        said: Tensor = self.model(images * self.scale + self.shift)
        return said


class Teacher:
    """Gives a network softened targets beside the labels.

    The loss of an image becomes (1 - weight) x cross-entropy + weight x T^2 x KL(p || q), where p and q are the softmax
    of the teacher's and the network's logits over T. T^2 keeps the size of the gradients whatever T (Hinton et al.
    2015, section 2).

    Args:
        model: the teacher; put into eval mode, and its parameters take no gradient.
        weight: share of the teacher in the loss, 0 to 1.
        temperature: T.
    """

    def __init__(self, model: nn.Module, *, weight: float = 0.5, temperature: float = 4.0) -> None:
        self.model = model.eval().requires_grad_(False)
        self.weight = weight
        self.temperature = temperature

    def logits(self, images: Batch) -> Tensor:
        """What the teacher says of images (N, C, H, W): logits (N, classes)."""
        with torch.no_grad():
            said: Tensor = called(self.model, images)
        return said

    def mixed(self, loss: Tensor, logits: Tensor, said: Tensor) -> Tensor:
        """The loss with the teacher's part, summed over the images.

        Args:
            loss: cross-entropy summed over the images.
            logits: the network's, (N, classes), in float32.
            said: the teacher's.
        """
        wanted = F.log_softmax(said.float() / self.temperature, dim=1)
        given = F.log_softmax(logits / self.temperature, dim=1)
        divergence = F.kl_div(given, wanted, reduction="sum", log_target=True)
        return (1 - self.weight) * loss + self.weight * self.temperature**2 * divergence
