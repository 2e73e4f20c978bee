"""A stand-in for a quantum engine: effective medium theory whose energies are all larger by one factor."""

from ase.calculators.emt import EMT

FACTOR = 1.3


class Strong(EMT):
    """EMT times a factor."""

    def __init__(self, factor: float = FACTOR) -> None:
        super().__init__()
        self.factor = factor

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        for name in ("energy", "forces", "stress", "energies", "free_energy"):
            if name in self.results:
                self.results[name] = self.factor * self.results[name]
