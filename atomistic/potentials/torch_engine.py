"""What all torch models share: the device must exist, and ranks must not fight over cores."""

from __future__ import annotations

from mpi4py import MPI

from atomistic.errors import DeviceError


def prepare_torch(device: str, comm: MPI.Comm) -> None:
    """Check the device and give each rank one thread where several ranks share the machine.

    Oversubscribed threads cost a factor of several; independent cells on different ranks cost nothing.

    Raises:
        DeviceError: the device is unknown or absent.
    """
    import torch

    if device.split(":")[0] not in ("cpu", "cuda"):
        raise DeviceError(f"Unknown device {device!r}; expected 'cpu' or 'cuda'.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError("The device 'cuda' was asked for, but torch finds no GPU here. Use device 'cpu'.")
    if max(comm.size, MPI.COMM_WORLD.size) > 1:
        torch.set_num_threads(1)
