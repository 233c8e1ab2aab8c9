"""Networks of sound, which take spectra of the samples themselves."""

import pytest
import torch
from torch import Tensor, nn

import netslim
from pruning.kinds import lively


class Spoken(nn.Module):
    """Spectrum, then convolutions over time; perhaps a recurrent layer, perhaps bands of frequencies."""

    def __init__(self, *, recurrent: bool = False, bands: bool = False, center: bool = True) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *(nn.Conv1d(16 if bands else 33, 12, 5, padding=2), nn.BatchNorm1d(12), nn.ReLU()),
            *(nn.Conv1d(12, 8, 3, stride=2), nn.BatchNorm1d(8), nn.ReLU()),
        )
        self.rnn = nn.GRU(8, 6, batch_first=True) if recurrent else None
        self.fc = nn.Linear(6 if recurrent else 8, 3)
        self.center = center
        self.register_buffer("window", torch.hann_window(64))
        self.register_buffer("mel", torch.rand(16, 33) if bands else None)

    def forward(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(samples, 64, 12, window=self.window, center=self.center, return_complex=True).abs()
        features = self.convs((spectrum if self.mel is None else self.mel @ spectrum).log1p())
        if self.rnn is not None:
            features = self.rnn(features.transpose(1, 2))[0].transpose(1, 2)
        return self.fc(features.mean(2))


@pytest.mark.parametrize("given", [{}, {"recurrent": True}, {"bands": True}, {"center": False}], ids=str)
def test_spectra_of_samples(given: dict[str, bool]) -> None:
    torch.manual_seed(0)
    model, samples = lively(Spoken(**given)), torch.randn(2, 800)
    small = netslim.apply(model, netslim.plan(model, samples, target_macs=0.5, criterion="l2_norm"))
    assert netslim.verify(model, small, samples).holds
    assert small.get_parameter("convs.0.weight").shape[0] < 12


class Enhanced(nn.Module):
    """A mask for the spectrum, and samples of what it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv1d(33, 12, 3, padding=1), nn.BatchNorm1d(12), nn.ReLU(), nn.Conv1d(12, 33, 1))
        self.register_buffer("window", torch.hann_window(64))

    def forward(self, samples: Tensor) -> Tensor:
        spectrum = torch.stft(samples, 64, 16, window=self.window, return_complex=True)
        left = spectrum * self.convs(spectrum.abs()).sigmoid()
        return torch.istft(left, 64, 16, window=self.window, length=samples.shape[1])


def test_samples_of_spectra() -> None:
    torch.manual_seed(0)
    model, samples = lively(Enhanced()), torch.randn(2, 800)
    small = netslim.apply(model, netslim.plan(model, samples, percent=0.4))
    assert netslim.verify(model, small, samples).holds
    assert small.get_parameter("convs.0.weight").shape[0] < 12
