"""Images that don't fit in memory: they stay in their files, and a few threads decode them ahead of the training."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from netslim.data.dataset import Split
from netslim.data.reading.decode import THREADS, decode_into
from netslim.data.reading.image_file import ImageFormat


@dataclass(frozen=True, eq=False)
class StreamedSplit(Split):
    """A split whose `images` have a shape and no pixels (they are on torch's "meta" device).

    Attributes:
        files: of the images, in their order.
        image_format: what every image is brought to.
    """

    files: tuple[Path, ...]
    image_format: ImageFormat

    def part(self, chosen: Tensor | slice) -> "StreamedSplit":
        """See `Split.part`."""
        files = tuple(self.files[index] for index in torch.arange(len(self))[chosen].tolist())
        return streamed(files, self.labels[chosen], self.image_format)

    def on(self, device: torch.device | str) -> "StreamedSplit":
        """The same; what is read from the files then comes to the device."""
        return StreamedSplit(self.images, self.labels.to(device), self.files, self.image_format)

    def rows(self, wanted: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Split.rows`: as many batches as there are threads are decoded in advance.

        Raises:
            DataError: an image can't be decoded.
        """
        pool, ahead = ThreadPoolExecutor(THREADS), deque[tuple[Tensor, Future[Tensor]]]()
        try:
            for chosen in wanted:
                ahead.append((chosen, pool.submit(self._read, chosen.tolist())))
                if len(ahead) > THREADS:
                    yield self._next(ahead)
            while ahead:
                yield self._next(ahead)
        finally:
            pool.shutdown(cancel_futures=True)

    def _next(self, ahead: deque[tuple[Tensor, Future[Tensor]]]) -> tuple[Tensor, Tensor]:
        chosen, images = ahead.popleft()
        return chosen, images.result().to(self.labels.device)

    def _read(self, indices: list[int]) -> Tensor:
        images = torch.empty(len(indices), *self.images.shape[1:], dtype=torch.uint8)
        decode_into(images.numpy(), [self.files[index] for index in indices], self.image_format)
        return images


def streamed(files: tuple[Path, ...], labels: Tensor, image_format: ImageFormat) -> StreamedSplit:
    """A split of these files with these labels."""
    shape = (len(files), len(image_format.mode), image_format.height, image_format.width)
    return StreamedSplit(torch.empty(shape, dtype=torch.uint8, device="meta"), labels, files, image_format)
