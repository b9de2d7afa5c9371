# must trigger: give the same initial weights
import torch


def start(rank, seed, build):
    torch.manual_seed(0)
    network = build()
    torch.manual_seed(1_000_000 + 64 * seed + rank)
    return network
